from typing import Any

import pytest

from pipelines.exporters.columns import TEXT, Observed, Type
from prompts.errors import UsageError

INTEGER = Type("int64")
NUMBER = Type("float64")


def observed(*values: Any) -> Type:
    column = Observed()
    for index, value in enumerate(values):
        column.add(value, "score", f"r{index}")
    return column.type("score")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["a", None], TEXT),
        ([True, False], Type("bool")),
        ([1, None, -(2**63), 2**63 - 1], INTEGER),
        ([1, 0.5, 2], NUMBER),
        ([0.5, 2**53], NUMBER),
        ([None, None], TEXT),
        ([[], None], Type("list", item=TEXT)),
        ([[], [1], [None, 2.5]], Type("list", item=NUMBER)),
        ([[[1]], [[]]], Type("list", item=Type("list", item=INTEGER))),
        ([{"a": 1}, {"b": "x", "a": None}], Type("struct", fields=(("a", INTEGER), ("b", TEXT)))),
        ([{}, {"a": 1}], Type("struct", fields=(("a", INTEGER),))),
        ([[{"a": 1}]], Type("list", item=Type("struct", fields=(("a", INTEGER),)))),
    ],
)
def test_type_is_the_narrowest_that_holds_all_values(values: list[Any], expected: Type) -> None:
    assert observed(*values) == expected


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (["a", 1], "column 'score' holds whole numbers in row r1 and text before it"),
        ([True, 1], "column 'score' holds whole numbers in row r1 and truth values before it"),
        (
            [1, None, True],
            "column 'score' holds truth values in row r2 and whole numbers before it",
        ),
        (["a", ["a"]], "column 'score' holds lists in row r1 and text before it"),
        ([["a", 1]], "column 'score[]' holds whole numbers in row r0 and text before it"),
        (
            [{"a": 1}, {"a": "x"}],
            "column 'score.a' holds text in row r1 and whole numbers before it",
        ),
        ([{"a": [0.5]}, {"a": [{}]}], "column 'score.a[]' holds objects in row r1"),
        ([2**69], "column 'score' holds a whole number of 70 bits in row r0"),
        ([1, -(2**63) - 1], "column 'score' holds a whole number of 64 bits in row r1"),
        ([2**53 + 1, 0.5], "column 'score' holds fractions in row r1 and whole numbers before it"),
        ([0.5, 2**53 + 1], "column 'score' holds whole numbers in row r1 and fractions before it"),
        ([{}], "column 'score' holds nothing but empty objects"),
        ([0.5, float("nan")], "column 'score' holds nan in row r1, which is no number of JSON"),
        ([[float("inf")]], "column 'score[]' holds inf in row r0, which is no number of JSON"),
        (["a\ud800"], "column 'score' holds text with a lone surrogate at character 1 in row r0"),
        ([{"\udc00": 1}], "column 'score' holds text with a lone surrogate at character 0 in row"),
        ([[{}]], "column 'score[]' holds nothing but empty objects"),
    ],
)
def test_values_without_a_common_type_are_an_error(values: list[Any], problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        observed(*values)
    assert caught.value.problem.startswith(problem)
    assert caught.value.fix


def test_nesting_has_a_limit() -> None:
    value: Any = "x"
    for _ in range(33):
        value = [value]
    with pytest.raises(UsageError, match="nests deeper than 32 levels in row r0"):
        observed(value)
    assert observed(value[0]).kind == "list"


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        (TEXT, "text"),
        (Type("list", item=NUMBER), "list of number"),
        (
            Type("struct", fields=(("a", INTEGER), ("b", Type("bool")))),
            "object (a: integer, b: boolean)",
        ),
        (Type("label", names=("no", "yes")), "class label (0 = no, 1 = yes)"),
    ],
)
def test_types_have_words_for_the_card(type_: Type, words: str) -> None:
    assert type_.describe() == words
