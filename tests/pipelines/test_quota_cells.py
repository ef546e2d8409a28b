"""Cells and their numbers alone, without a run."""

from itertools import product
from typing import Any

import pytest
from pydantic import ValidationError

from pipelines.quota import MOST_CELLS, Quota, apportioned, cell_weights, check_values, shown
from pipelines.sources import SOURCES
from pipelines.stages import STAGES
from prompts.errors import UsageError


def test_values_are_cells_by_their_type_too() -> None:
    wanted = Quota(per={"a": (1, "1", True), "b": ("x", "y")}, each=4).wanted([], None)
    keys = ["1", '"1"', "true"]
    assert list(wanted) == [(a, b) for a, b in product(keys, ['"x"', '"y"'])]
    assert set(wanted.values()) == {4}


def test_a_quota_cannot_be_changed() -> None:
    quota = Quota(per={"a": ("x",)})
    with pytest.raises(ValidationError, match="frozen"):
        quota.each = 2  # type: ignore[misc]


def test_weights_are_multiplied() -> None:
    per: dict[str, Any] = {"a": {"x": 3, "y": 2}, "b": {"u": 5, "v": 1}, "c": ["only"]}
    weights = cell_weights(per)
    assert list(weights.values()) == [15, 3, 10, 2]
    assert list(weights)[1] == ('"x"', '"v"', '"only"')
    assert list(Quota(per=per, each=2).wanted([], None).values()) == [30, 6, 20, 4]
    assert list(Quota(per=per).wanted([], 60).values()) == [30, 6, 20, 4]


def test_cells_of_their_own_have_their_own_numbers() -> None:
    quota = Quota(cells=({"label": "good", "rows": 3}, {"rows": 1, "label": "bad"}))
    assert quota.columns() == ("label",)
    assert quota.wanted([], None) == {('"good"',): 3, ('"bad"',): 1}
    assert quota.total([], None) == quota.total([], 4) == 4
    with pytest.raises(UsageError, match="wants 5 rows, the cells of its quota have 4"):
        quota.total([], 5)


@pytest.mark.parametrize(
    ("given", "key", "problem"),
    [
        ({}, "quota", "either per or cells"),
        ({"per": ["a"], "cells": [{"a": 1, "rows": 1}]}, "quota", "either per or cells"),
        ({"cells": [{"a": 1, "rows": 1}], "each": 2}, "quota.each", "each goes with per"),
        ({"cells": [{"a": 1, "rows": 0}]}, "quota.cells.0.rows", "found rows 0"),
        ({"cells": [{"a": 1, "rows": True}]}, "quota.cells.0.rows", "found rows True"),
        ({"cells": [{"a": 1, "rows": 1.5}]}, "quota.cells.0.rows", "found rows 1.5"),
        ({"cells": [{"a": 1, "rows": 1}, {"b": 1, "rows": 1}]}, "quota.cells.1", "found b, rows"),
        ({"cells": [{"rows": 1}]}, "quota.cells.0", "found rows"),
        ({"cells": [{"a": 1, "rows": 1}] * 2}, "quota.cells", "there twice"),
        ({"per": {"a": []}}, "quota.per.a", "no values"),
        ({"per": {"a": {"x": 0, "y": 2}}}, "quota.per.a", "weight is below 1"),
        ({"per": {"a": ["x", "y", "x"]}}, "quota.per.a", "named twice"),
    ],
)
def test_a_quota_that_makes_no_sense_is_refused(
    given: dict[str, Any], key: str, problem: str
) -> None:
    with pytest.raises(UsageError, match=problem) as raised:
        Quota(**given)
    assert raised.value.key == key


def test_the_smallest_numbers_are_let_through() -> None:
    assert Quota(cells=({"a": 1, "rows": 1},)).total([], None) == 1
    check_values("a", {"x": 1}, "quota.per")
    assert Quota(per={"a": ("x", "y")}).wanted([], 2) == {('"x"',): 1, ('"y"',): 1}
    with pytest.raises(UsageError, match="1 rows are too few for 2 cells"):
        Quota(per={"a": ("x", "y")}).wanted([], 1)
    with pytest.raises(UsageError, match="nothing says how many"):
        Quota(per={"a": ("x", "y")}).wanted([], None)


def test_cells_are_counted_before_they_are_made() -> None:
    most = Quota(per={"a": tuple(range(MOST_CELLS))}, each=1)
    assert most.total([], None) == MOST_CELLS == 10_000
    with pytest.raises(UsageError, match="10,001 cells"):
        Quota(per={"a": tuple(range(MOST_CELLS + 1))}, each=1).wanted([], None)


def test_the_values_of_a_list_of_columns_are_those_that_all_sources_draw() -> None:
    sources = [
        SOURCES.build({"kind": "attributes", "columns": {"a": values, "b": [1]}})
        for values in (["x", "y"], ["y", "z"])
    ]
    assert list(Quota(per=("a",), each=2).wanted(sources, None).items()) == [
        (('"x"',), 2), (('"y"',), 2), (('"z"',), 2),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="does not tell all values of c") as raised:
        Quota(per=("c",), each=2).wanted(sources, None)
    assert raised.value.key == "quota.per"


def test_columns_that_a_stage_adds_do_not_steer() -> None:
    stage = STAGES.build({"kind": "dedup", "field": "text", "action": "flag", "adds": "b"})
    assert Quota(per=("a", "b", "c"), each=1).steering([stage]) == [0, 2]
    assert Quota(per=("a", "b"), each=1).steering([]) == [0, 1]


def test_what_is_left_over_goes_to_the_largest_remainders_then_to_the_first() -> None:
    assert apportioned(5, {("a",): 1, ("b",): 1}) == {("a",): 3, ("b",): 2}
    assert apportioned(7, {("a",): 1, ("b",): 2, ("c",): 2}) == {("a",): 1, ("b",): 3, ("c",): 3}
    assert apportioned(4, {("a",): 2, ("b",): 1}) == {("a",): 3, ("b",): 1}


def test_a_cell_is_shown_as_a_reader_writes_it() -> None:
    assert shown(('"good"', "3", "true", '""')) == "good / 3 / true / "
