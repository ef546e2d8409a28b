"""The cells of a quota alone: which seeds a block takes, and which rows are let in."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, cycle, repeat
from pathlib import Path
from typing import Any

import pytest
from jobs import loaded_job, prompt_text

from pipelines.cells import Cells, cell_report, short_lines
from pipelines.rows import Outcome, Rejection, Row
from pipelines.supply import Item

LABELS = ("joy", "fear", "pride")
DRAWN, READ = "source:attributes", "source:records"
ASK = {"kind": "generate", "model": "writer", "prompt": "ask", "adds": "text"}


def cells_of(folder: Path, **changes: Any) -> Cells:
    """Cells of a job with a source that draws and one that reads; three labels, two rows each."""
    (folder / "records.jsonl").write_text('{"label": "joy"}\n')
    parts = {
        "prompts": {"ask": prompt_text("Something with {{ label }}.", ["label"])},
        "sources": [
            {"kind": "attributes", "columns": {"label": list(LABELS)}},
            {"kind": "records", "path": str(folder / "records.jsonl")},
        ],
        "stages": [ASK],
        "quota": {"per": {"label": list(LABELS)}, "each": 2},
    }
    return Cells(loaded_job(folder, **{**parts, **changes}).job)


def row(label: str | None, number: int = 0, **columns: Any) -> Row:
    data = {"label": label, **columns} if label else columns
    return Row(f"{label}{number}", (number,), f"{label}{number}", data)


def stream(labels: Iterable[str], source: str = DRAWN) -> Iterator[Item]:
    rows = (row(label, number) for number, label in enumerate(labels))
    return (Item(source, source.removeprefix("source:"), row) for row in rows)


def items(*labels: str, source: str = DRAWN) -> list[Item]:
    return list(stream(labels, source))


def labels_of(block: Sequence[Item]) -> list[str]:
    return [item.row.data["label"] for item in block]


def faults(outcomes: Sequence[Outcome]) -> list[tuple[str, Any, str] | None]:
    return [
        (o.reason, dict(o.detail), o.stage) if isinstance(o, Rejection) else None for o in outcomes
    ]


def test_a_block_takes_what_cells_lack_and_passes_over_the_rest(tmp_path: Path) -> None:
    cells = cells_of(tmp_path)
    drawn = iter(items("joy", "joy", "joy", "bliss", "fear", "pride", "joy", "pride", "fear", "x"))
    block = cells.take(drawn, 64)
    assert labels_of(block) == ["joy", "joy", "fear", "pride", "pride", "fear"]
    assert cells.passed == 3  # the third and fourth joy, and bliss
    assert labels_of(list(drawn)) == ["x"]
    seeds = [[[f'"{label}"'], 2] for label in LABELS]
    assert cells.additions() == [{"rows": [], "seeds": seeds, "passed": 3}]
    assert cells.additions() == [{"rows": [], "seeds": [], "passed": 0}]


def test_a_block_is_no_larger_than_asked_for(tmp_path: Path) -> None:
    drawn = iter(items(*["joy", "fear", "pride"] * 3))
    assert labels_of(cells_of(tmp_path).take(drawn, 4)) == ["joy", "fear", "pride", "joy"]
    assert len(list(drawn)) == 5


def seeds_taken(cells: Cells) -> dict[str, int]:
    """How many seeds of each label the next block takes of any number."""
    found = Counter(labels_of(cells.take(stream(cycle(LABELS)), 1000)))
    return {label: found[label] for label in LABELS}


def test_a_cell_takes_as_many_seeds_as_its_rows_have_cost_so_far(tmp_path: Path) -> None:
    labels = {"label": {"joy": 4, "fear": 2, "pride": 1}}
    cells = cells_of(tmp_path, quota={"per": labels, "each": 5})
    assert seeds_taken(cells) == {"joy": 20, "fear": 10, "pride": 5}
    cells.let_in([row("joy", n) for n in range(15)] + [row("fear", n) for n in range(3)])
    # lacking * (taken + 1) / (got + 1), rounded up: 5 * 21 / 16, 7 * 11 / 4, 5 * 6 / 1
    assert seeds_taken(cells) == {"joy": 7, "fear": 20, "pride": 30}
    cells.let_in([row("joy", n) for n in range(5)] + [row("pride", n) for n in range(4)])
    # full; 7 * 31 / 4; 1 * 36 / 5
    assert seeds_taken(cells) == {"joy": 0, "fear": 55, "pride": 8}
    assert not cells.spent()


def test_a_cell_takes_no_more_seeds_than_the_budget_gives_it(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, budget={"seeds_per_row": 2.75})
    assert seeds_taken(cells) == {"joy": 2, "fear": 2, "pride": 2}
    assert seeds_taken(cells) == {"joy": 3, "fear": 3, "pride": 3}  # of 6, half a seed is none
    assert seeds_taken(cells) == {"joy": 0, "fear": 0, "pride": 0}
    assert cells.spent()


def test_full_cells_are_spent(tmp_path: Path) -> None:
    cells = cells_of(tmp_path)
    cells.let_in([row(label, n) for label in ("joy", "fear") for n in range(2)])
    cells.let_in([row("pride")])
    assert not cells.spent()
    cells.let_in([row("pride", 1)])
    assert cells.spent()
    assert cells.take(iter(items("joy")), 9) == []


def test_sources_that_draw_for_full_cells_only_have_no_more(tmp_path: Path) -> None:
    def drawn(*before: str) -> Iterator[Item]:
        return chain(items(*before), repeat(items("bliss")[0]))

    cells = cells_of(tmp_path)
    assert cells.take(drawn(), 64) == []
    assert cells.passed == 20_000
    cells.additions()
    assert labels_of(cells.take(drawn("bliss", "joy", "bliss", "joy"), 64)) == ["joy", "joy"]
    assert cells.passed == 20_000 + 2 + 2_000


def test_records_that_no_cell_needs_are_itemised(tmp_path: Path) -> None:
    cells = cells_of(tmp_path)
    cells.let_in([row("joy", 0), row("joy", 1)])
    unreadable = Item(READ, "records", Rejection(row("joy", 7), "not_json", stage=READ))
    nothing = Item(READ, "records", row(None, 8, n=1))
    block = [*items("fear", "joy", "bliss", source=READ), unreadable, nothing, *items("pride")]
    found = cells.take(iter(block), 64)
    assert [item.row for item in found] == [item.row for item in block]
    assert faults([item.outcome for item in found]) == [
        None,
        ("over_quota", {"cell": "joy"}, READ),
        ("no_cell", {"cell": "bliss"}, READ),
        ("not_json", {}, READ),
        None,
        None,
    ]
    seeds = [[['"fear"'], 1], [["null"], 1], [['"pride"'], 1]]
    assert cells.additions()[0]["seeds"] == seeds
    assert cells.passed == 0


def test_records_count_for_the_size_of_a_block_whether_a_cell_lacks_them_or_not(
    tmp_path: Path,
) -> None:
    found = cells_of(tmp_path).take(iter(items(*["joy"] * 9, source=READ)), 5)
    assert labels_of(found) == ["joy"] * 5
    assert faults([item.outcome for item in found]) == [None] * 5


def test_rows_are_let_in_as_long_as_their_cell_has_room(tmp_path: Path) -> None:
    cells = cells_of(tmp_path)
    rows = [row("joy", 0), row("bliss", 1), row("joy", 2), row(None, 3, b=1, a=2), row("joy", 4)]
    accepted, refused = cells.let_in(rows)
    assert accepted == [rows[0], rows[2]]
    assert [rejection.row for rejection in refused] == [rows[1], rows[3], rows[4]]
    assert faults(refused) == [
        ("no_cell", {"cell": "bliss"}, "quota"),
        ("missing_column", {"column": "label", "columns": ["a", "b"]}, "quota"),
        ("over_quota", {"cell": "joy", "rows": 2}, "quota"),
    ]
    assert cells.additions() == [{"rows": [[['"joy"'], 2]], "seeds": [], "passed": 0}]


def test_cells_go_on_from_what_was_committed(tmp_path: Path) -> None:
    first, second = cells_of(tmp_path), cells_of(tmp_path)
    for number in range(3):
        first.take(iter(items("bliss", "joy", "joy", "fear", "pride")), 64)
        first.let_in([row("joy", number), row("fear", number)])
        second.restore(first.additions())
        assert second.passed == first.passed == [1, 2, 6][number]
    assert second.additions() == [{"rows": [], "seeds": [], "passed": 0}]
    assert seeds_taken(second) == seeds_taken(first) == {"joy": 0, "fear": 0, "pride": 8}


TWO = {"per": {"label": ["joy", "fear"], "tone": ["warm", "cold"]}, "each": 2}
TONED = [ASK, {"kind": "template", "forms": [{"tone": "warm"}, {"tone": "cold"}]}]


def test_seeds_are_directed_by_the_columns_that_they_bring_with_them(tmp_path: Path) -> None:
    cells = cells_of(tmp_path, stages=TONED, quota=TWO)
    assert seeds_taken(cells) == {"joy": 4, "fear": 4, "pride": 0}
    warm = [row("joy", n, tone="warm") for n in range(3)]
    assert faults(cells.let_in(warm)[1]) == [
        ("over_quota", {"cell": "joy / warm", "rows": 2}, "quota")
    ]
    found = cells.take(iter(items("joy", "fear", "pride", source=READ)), 9)
    assert faults([item.outcome for item in found]) == [
        None,
        None,
        ("no_cell", {"cell": "pride"}, READ),
    ]


def test_a_report_tells_what_each_cell_lacks_and_why(tmp_path: Path) -> None:
    job = loaded_job(
        tmp_path,
        prompts={"ask": prompt_text("Something with {{ label }}.", ["label"])},
        sources=[{"kind": "attributes", "columns": {"label": ["joy", "fear"]}}],
        stages=TONED,
        quota=TWO,
    ).job
    rows = [
        row(*cell, tone=tone)
        for *cell, tone in [("joy", 0, "warm"), ("joy", 1, "warm"), ("fear", 2, "warm")]
    ]
    rejected = [
        {"stage": "text", "reason": "too_long", "data": {"label": "fear"}},
        {"stage": "text", "reason": "too_long", "data": {"label": "fear"}},
        {"stage": "judge", "reason": "unlikely", "data": {"label": "fear", "tone": "warm"}},
        {"stage": "eyes", "reason": "ugly", "data": {"label": "fear", "tone": "warm"}},
        {"stage": "quota", "reason": "over_quota", "data": {"label": "fear", "tone": "warm"}},
        {"stage": "text", "reason": "too_long", "data": {"label": "joy"}},
        {"stage": "source", "reason": "not_json", "data": {"line": "x"}},
    ]
    report = cell_report(job, rows, rejected)
    known = {"text: too_long": 2, "eyes: ugly": 1, "judge: unlikely": 1}
    assert report == {
        "cells": [
            {"cell": "joy / warm", "wanted": 2, "rows": 2, "rejected": {}},
            {"cell": "joy / cold", "wanted": 2, "rows": 0, "rejected": {"text: too_long": 1}},
            {"cell": "fear / warm", "wanted": 2, "rows": 1, "rejected": known},
            {"cell": "fear / cold", "wanted": 2, "rows": 0, "rejected": {"text: too_long": 2}},
        ],
        "short": 5,
    }
    assert list(report["cells"][2]["rejected"]) == list(known)  # the most frequent first
    assert short_lines(report["cells"]) == [
        "short       joy / cold: 0 of 2; text: too_long 1",
        "short       fear / cold: 0 of 2; text: too_long 2",
        "short       fear / warm: 1 of 2; text: too_long 2, eyes: ugly 1, judge: unlikely 1",
    ]


def test_only_the_emptiest_cells_and_their_first_reasons_are_shown() -> None:
    reasons = {"a: x": 9, "b: x": 8, "c: x": 7, "d: x": 6}
    cells = [
        {"cell": f"c{n}", "wanted": 100, "rows": n, "rejected": reasons if n == 3 else {}}
        for n in reversed(range(101))
    ]
    lines = short_lines(cells)
    assert len(lines) == 20
    assert lines[0] == "short       c0: 0 of 100"
    assert lines[3] == "short       c3: 3 of 100; a: x 9, b: x 8, c: x 7"
    small = {"cell": "s", "wanted": 2, "rows": 1, "rejected": {}}
    large = {"cell": "l", "wanted": 90, "rows": 30, "rejected": {}}
    assert [line.split()[1] for line in short_lines([small, large])] == ["l:", "s:"]


@pytest.mark.parametrize("source", [DRAWN, READ])
def test_what_cannot_be_read_is_handed_on(source: str, tmp_path: Path) -> None:
    broken = Item(source, "x", Rejection(row("bliss"), "not_json"))
    found = cells_of(tmp_path).take(iter([broken, *items("joy")]), 1)
    assert found == [broken, *items("joy")]
