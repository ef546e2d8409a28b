"""`balance`: lets an exact number of rows through for each label, group, or combination of them.

    - {kind: balance, per: {label: [positive, negative]}}              # half of the job's rows each
    - {kind: balance, per: {label: [yes, no], region: [north, south]}, each: 50}    # 4 cells x 50
    - {kind: balance, per: {label: {common: 3, rare: 1}}}              # three to one

Rows of a cell that is full are rejected, so that the run goes on until every cell has its number,
or its sources or budget end; the manifest then says which cells are short. Stages behind this one
should reject nothing, since a row that is gone is not made up for.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipelines.quota import Cell, Value, apportioned, cell_weights, check_values, shown
from pipelines.rows import JSON, Outcome, Rejection, Row, canonical
from pipelines.stages.base import STAGES, Context, JobView, Stage, State
from prompts.errors import UsageError


@STAGES.register
class Balance(Stage):
    """Exact numbers of rows for each combination of values.

    Attributes:
        per: Column -> the values that count, or value -> weight. Several columns give a cell for
            each combination, whose weights are multiplied.
        each: Rows of a cell (of weight 1); left out, the job's rows are divided among the cells by
            weight, what does not divide going to the largest remainders, the first cells first.
    """

    kind: Literal["balance"] = "balance"
    per: Annotated[dict[str, tuple[Value, ...] | dict[str, int]], Field(min_length=1)]
    each: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _values_differ(self) -> Self:
        for column, values in self.per.items():
            check_values(column, values, "per")
        return self

    def columns_needed(self) -> set[str]:
        """The columns that are balanced."""
        return set(self.per)

    def check(self, job: JobView) -> None:
        """Whether the numbers are known, and none is 0."""
        if self.each is None and job.rows is None:
            fix = "give the stage 'each', or the job 'rows'"
            raise UsageError("nothing says how many rows each cell gets", fix=fix, key="each")
        if any(wanted == 0 for wanted in self.wanted(job.rows).values()):
            cells = len(self.weights())
            problem = f"{job.rows} rows are too few for {cells} cells"
            raise UsageError(problem, fix="ask for more rows or fewer values", key="per")

    def open_state(self) -> State:
        """No rows in any cell yet."""
        return Counts()

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Let a row through where its cell has room; the first rows win."""
        wanted = self.wanted(context.rows)
        counts: Counts = context.state
        for row in rows:
            missing = sorted(column for column in self.per if column not in row.data)
            if missing:
                found = {"column": missing[0], "columns": sorted(row.data)}
                yield Rejection(row, "missing_column", found)
                continue
            cell = self._cell(row)
            shown = {column: row.data[column] for column in self.per}
            if cell not in wanted:
                yield Rejection(row, "no_cell", {"found": shown})
            elif counts.of(cell) >= wanted[cell]:
                yield Rejection(row, "cell_full", {"cell": shown, "rows": wanted[cell]})
            else:
                counts.add(cell)
                yield row

    def report(self, rows: Iterable[Row], wanted: int | None) -> dict[str, JSON]:
        """Rows wanted and there in each cell, and how many are short in all."""
        found: dict[Cell, int] = {}
        for row in rows:
            cell = self._cell(row)
            found[cell] = found.get(cell, 0) + 1
        cells: list[dict[str, JSON]] = [
            {
                "cell": shown(cell),
                "wanted": n,
                "rows": found.get(cell, 0),
            }
            for cell, n in self.wanted(wanted).items()
        ]
        return {"cells": cells, "short": sum(max(0, c["wanted"] - c["rows"]) for c in cells)}

    def weights(self) -> dict[Cell, int]:
        """The cells, in the order of the values, with their weights."""
        return cell_weights(self.per)

    def wanted(self, total: int | None) -> dict[Cell, int]:
        """How many rows each cell is to have.

        Args:
            total: The rows of the job; not looked at where `each` is given.
        """
        weights = self.weights()
        if self.each is not None:
            return {cell: self.each * weight for cell, weight in weights.items()}
        return apportioned(total or 0, weights)

    def _cell(self, row: Row) -> Cell:
        return tuple(canonical(row.data.get(column)) for column in self.per)


class Counts:
    """How many rows each cell has."""

    def __init__(self) -> None:
        self._counts: dict[Cell, int] = {}
        self._fresh: list[JSON] = []

    def of(self, cell: Cell) -> int:
        """Rows of one cell."""
        return self._counts.get(cell, 0)

    def add(self, cell: Cell) -> None:
        """One row more."""
        self._counts[cell] = self.of(cell) + 1
        self._fresh.append(list(cell))

    def additions(self) -> list[JSON]:
        """The cells of the rows since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def restore(self, additions: Iterable[JSON]) -> None:
        """Take in what `additions` gave."""
        for cell in additions:
            self.add(tuple(cell))
        self._fresh = []
