"""The cells of a run's quota: what they have, and which seed rows they still need.

    cells = Cells(job)
    block = cells.take(items, 64)         # seeds of cells that are short, as many as may be needed
    accepted, surplus = cells.let_in(rows)

Seeds are directed by those columns of the quota that the sources give and no stage adds: a drawn
row of a cell that is full is passed over as if it had not been drawn, and a read one is rejected
before any model sees it. A block takes as many seeds for a cell as it lacks rows, times the seeds
that a row of it has cost so far. All this looks at committed blocks alone, so it is the same
however often a run was interrupted.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.quota import Cell, shown
from pipelines.rows import JSON, Outcome, Rejection, Row, canonical
from pipelines.supply import Item, source_names

if TYPE_CHECKING:
    from pipelines.job import Job

MOST_PASSED = 20_000
"""Drawn rows passed over one after the other, after which the sources count as having no more."""
_MOST_SHOWN = 20  # cells
_PATIENCE = 2_000  # the same for a block that holds some rows already


class Cells:
    """Counts by cell; implements `pipelines.stages.State`, so that a resumed run has them again.

    Args:
        job: A job with a quota.

    Attributes:
        wanted: Rows by cell.
        passed: Drawn rows that were passed over.
    """

    def __init__(self, job: "Job") -> None:
        assert job.quota is not None
        self.wanted = job.quota.wanted(job.sources, job.rows)
        self.passed = 0
        self._columns = job.quota.columns()
        self._steering = job.quota.steering(job.stages)
        self._seeds_per_row = job.budget.seeds_per_row
        names = source_names(job.sources)
        self._drawn = {n for n, s in zip(names, job.sources, strict=True) if s.drawn()}
        self._rows = _Tally()
        self._seeds = _Tally()
        self._fresh_passed = 0

    def take(self, items: Iterator[Item], most: int) -> list[Item]:
        """The next block: `most` seed rows or fewer, and what stood between them.

        Empty where the sources have no more for the cells that are short.
        """
        room = self._room()
        full = self._full()
        block: list[Item] = []
        found = passed = 0
        while found < most and any(room.values()):
            if passed == (_PATIENCE if found else MOST_PASSED) or not (item := next(items, None)):
                break
            direction = self._direction(item.row)
            if isinstance(item.outcome, Row):
                if item.source in self._drawn and not room.get(direction):
                    passed += 1
                    self._fresh_passed += 1
                    continue
                passed = 0
                item = replace(item, outcome=self._admitted(item, direction, full))
            if isinstance(item.outcome, Row):
                found += 1
                self._seeds.add(direction)
                if room.get(direction):
                    room[direction] -= 1
            block.append(item)
        self.passed += self._fresh_passed
        return block

    def spent(self) -> bool:
        """Whether every cell that is short has had all the seeds that the budget gives it."""
        return not any(self._room().values())

    def let_in(self, rows: Sequence[Row]) -> tuple[list[Row], list[Rejection]]:
        """The rows that cells have room for, first ones first, and those that none has."""
        outcomes = [self._judged(row) for row in rows]
        accepted = [outcome for outcome in outcomes if isinstance(outcome, Row)]
        return accepted, [outcome for outcome in outcomes if isinstance(outcome, Rejection)]

    def additions(self) -> list[JSON]:
        """What came in since the last call."""
        rows, seeds = self._rows.additions(), self._seeds.additions()
        passed, self._fresh_passed = self._fresh_passed, 0
        return [{"rows": rows, "seeds": seeds, "passed": passed}]

    def restore(self, additions: Iterable[JSON]) -> None:
        """Take in what `additions` gave."""
        for block in additions:
            self._rows.restore(block["rows"])
            self._seeds.restore(block["seeds"])
            self.passed += block["passed"]

    def _room(self) -> dict[Cell, int]:
        """For each direction how many seeds the next block may take; 0 where no cell is short."""
        short: Counter[Cell] = Counter()
        total: Counter[Cell] = Counter()
        got: Counter[Cell] = Counter()
        for cell, wanted in self.wanted.items():
            direction = self._towards(cell)
            short[direction] += wanted - self._rows.of(cell)
            total[direction] += wanted
            got[direction] += self._rows.of(cell)
        room: dict[Cell, int] = {}
        for direction, lacking in short.items():
            taken = self._seeds.of(direction)
            needed = -(-lacking * (taken + 1) // (got[direction] + 1))  # rounded up
            left = int(self._seeds_per_row * total[direction]) - taken
            room[direction] = max(0, min(needed, left)) if lacking else 0
        return room

    def _full(self) -> set[Cell]:
        """Directions in which no cell is short."""
        short = {cell for cell, wanted in self.wanted.items() if self._rows.of(cell) < wanted}
        return set(map(self._towards, self.wanted)) - set(map(self._towards, short))

    def _admitted(self, item: Item, direction: Cell, full: set[Cell]) -> Outcome:
        """A seed row, or its rejection where its cell is full or is none."""
        if direction in full:
            return Rejection(item.row, "over_quota", {"cell": shown(direction)}, stage=item.source)
        known = all(self._columns[i] in item.row.data for i in self._steering)
        if known and direction not in set(map(self._towards, self.wanted)):
            return Rejection(item.row, "no_cell", {"cell": shown(direction)}, stage=item.source)
        return item.row

    def _judged(self, row: Row) -> Outcome:
        """A row that came through all stages, or its rejection."""
        missing = sorted(name for name in self._columns if name not in row.data)
        if missing:
            found: dict[str, JSON] = {"column": missing[0], "columns": sorted(row.data)}
            return Rejection(row, "missing_column", found, stage="quota")
        cell = tuple(canonical(row.data[name]) for name in self._columns)
        if cell not in self.wanted:
            return Rejection(row, "no_cell", {"cell": shown(cell)}, stage="quota")
        if self._rows.of(cell) >= self.wanted[cell]:
            detail = {"cell": shown(cell), "rows": self.wanted[cell]}
            return Rejection(row, "over_quota", detail, stage="quota")
        self._rows.add(cell)
        return row

    def _direction(self, row: Row) -> Cell:
        return tuple(canonical(row.data.get(self._columns[i])) for i in self._steering)

    def _towards(self, cell: Cell) -> Cell:
        return tuple(cell[i] for i in self._steering)


class _Tally:
    """Counts by cell, and those that are not committed yet."""

    def __init__(self) -> None:
        self._counts: Counter[Cell] = Counter()
        self._fresh: Counter[Cell] = Counter()

    def of(self, cell: Cell) -> int:
        return self._counts[cell]

    def add(self, cell: Cell) -> None:
        self._counts[cell] += 1
        self._fresh[cell] += 1

    def additions(self) -> list[JSON]:
        fresh, self._fresh = self._fresh, Counter()
        return [[list(cell), count] for cell, count in fresh.items()]

    def restore(self, additions: Iterable[Sequence[JSON]]) -> None:
        for cell, count in additions:
            self._counts[tuple(cell)] += count


def cell_report(
    job: "Job", rows: Iterable[Row], rejected: Iterable[Mapping[str, JSON]]
) -> dict[str, JSON]:
    """Rows wanted and there in each cell, and why rows of those that are short were rejected.

    A row that was rejected before all columns of the quota were there counts for every cell that
    it might have belonged to.

    Args:
        job: A job with a quota.
        rows: The accepted rows.
        rejected: Lines of `rejected.jsonl`.
    """
    assert job.quota is not None
    columns = job.quota.columns()
    wanted = job.quota.wanted(job.sources, job.rows)
    found = Counter(tuple(canonical(row.data.get(name)) for name in columns) for row in rows)
    short = {cell: Counter[str]() for cell, number in wanted.items() if found[cell] < number}
    for record in rejected if short else ():
        if record["reason"] != "over_quota":
            data = record["data"]
            place = f"{record['stage']}: {record['reason']}"
            known = [(i, canonical(data[n])) for i, n in enumerate(columns) if n in data]
            for cell, reasons in short.items():
                if known and all(cell[i] == value for i, value in known):
                    reasons[place] += 1
    cells = [
        {
            "cell": shown(cell),
            "wanted": number,
            "rows": found[cell],
            "rejected": dict(sorted(short.get(cell, {}).items(), key=lambda p: (-p[1], p[0]))),
        }
        for cell, number in wanted.items()
    ]
    return {"cells": cells, "short": sum(wanted[cell] - found[cell] for cell in short)}


def short_lines(cells: Iterable[Mapping[str, JSON]]) -> list[str]:
    """One line for each cell that is short, the emptiest first.

    ["short       good / tea: 12 of 20; length: too_short 31, judge: unlikely 4"]

    Args:
        cells: Those of `cell_report`.
    """
    short = [cell for cell in cells if cell["rows"] < cell["wanted"]]
    short.sort(key=lambda cell: cell["rows"] / cell["wanted"])
    return [_short_line(cell) for cell in short[:_MOST_SHOWN]]


def _short_line(cell: Mapping[str, JSON]) -> str:
    line = f"short       {cell['cell']}: {cell['rows']} of {cell['wanted']}"
    reasons = [f"{place} {count}" for place, count in list(cell["rejected"].items())[:3]]
    return f"{line}; {', '.join(reasons)}" if reasons else line
