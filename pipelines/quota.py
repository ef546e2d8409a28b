"""`quota`: how many rows a run is to have in each cell, a cell being a combination of values.

    quota: {per: [label, aspect], each: 20}                    # what the sources can draw
    quota: {per: {label: [good, bad], stars: [1, 2, 3]}, each: 5}
    quota: {per: {label: {common: 3, rare: 1}}}                # the job's rows, three to one
    quota: {cells: [{label: good, topic: tea, rows: 30}, {label: bad, topic: tea, rows: 10}]}

The run goes on until every cell has exactly its rows, or sources or budget end; see
`pipelines.cells`.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.rows import canonical
from prompts.errors import UsageError

if TYPE_CHECKING:
    from pipelines.sources import Source
    from pipelines.stages import Stage

Value = bool | int | float | str
Cell = tuple[str, ...]
"""Values as canonical JSON, so that 1, "1" and true are three."""

MOST_CELLS = 10_000


class Quota(BaseModel):
    """Exact numbers of rows by cell.

    Attributes:
        per: The columns, whose values are those that the sources can draw together; or column ->
            values, or values with weights, which are multiplied with each other.
        each: Rows of a cell, times its weight; left out, the job's rows are divided by weight.
        cells: In their place the cells themselves: the columns' values, and `rows`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    per: tuple[str, ...] | dict[str, tuple[Value, ...] | dict[str, int]] = ()
    each: Annotated[int, Field(ge=1)] | None = None
    cells: tuple[dict[str, Value], ...] = ()

    @model_validator(mode="after")
    def _parts_fit(self) -> "Quota":
        if bool(self.per) == bool(self.cells):
            fix = "write {per: [label], each: 20}, or a list of cells with their rows"
            raise UsageError("give either per or cells", fix=fix, key="quota")
        if self.cells and self.each is not None:
            fix = "leave it out: the cells have rows of their own"
            raise UsageError("each goes with per", fix=fix, key="quota.each")
        for index, cell in enumerate(self.cells):
            _check_cell(cell, self.cells[0], f"quota.cells.{index}")
        if len({self._cell_of(cell) for cell in self.cells}) < len(self.cells):
            fix = "name every cell once"
            raise UsageError("a cell is there twice", fix=fix, key="quota.cells")
        for column, values in self.per.items() if isinstance(self.per, dict) else ():
            check_values(column, values, "quota.per")
        return self

    def columns(self) -> tuple[str, ...]:
        """The columns whose values make a cell."""
        if self.cells:
            return tuple(name for name in self.cells[0] if name != "rows")
        return tuple(self.per)

    def steering(self, stages: "Iterable[Stage]") -> list[int]:
        """Which columns, by place, the seeds bring with them: those that no stage adds."""
        added = set[str]().union(*(stage.columns_added() for stage in stages))
        return [place for place, name in enumerate(self.columns()) if name not in added]

    def wanted(self, sources: "Sequence[Source]", rows: int | None) -> dict[Cell, int]:
        """How many rows each cell is to have.

        Args:
            sources: The job's; they tell the values where `per` is a list.
            rows: The job's; divided among the cells where nothing else says their numbers.

        Raises:
            UsageError: The values or the numbers are not known, or a cell would have no rows.
        """
        if self.cells:
            return {self._cell_of(cell): int(cell["rows"]) for cell in self.cells}
        weights = cell_weights(self.per) if isinstance(self.per, dict) else self._drawn(sources)
        if len(weights) > MOST_CELLS:
            fix = f"at most {MOST_CELLS:,}; name fewer columns or values"
            raise UsageError(f"{len(weights):,} cells", fix=fix, key="quota.per")
        if self.each is not None:
            return {cell: self.each * weight for cell, weight in weights.items()}
        if rows is None:
            fix = "give the quota 'each', or the job 'rows'"
            raise UsageError("nothing says how many rows a cell gets", fix=fix, key="quota.each")
        if rows < len(weights):
            problem = f"{rows} rows are too few for {len(weights)} cells"
            raise UsageError(problem, fix="ask for more rows or fewer cells", key="quota.per")
        return apportioned(rows, weights)

    def total(self, sources: "Sequence[Source]", rows: int | None) -> int:
        """The rows of all cells together; what the job calls `rows`.

        Raises:
            UsageError: As `wanted`; or the job wants another number.
        """
        found = sum(self.wanted(sources, rows).values())
        if rows is not None and rows != found:
            problem = f"the job wants {rows} rows, the cells of its quota have {found}"
            raise UsageError(problem, fix="leave out rows, or each", key="rows")
        return found

    def _drawn(self, sources: "Sequence[Source]") -> dict[Cell, int]:
        """The cells that the sources can draw."""
        names = self.columns()
        found: dict[Cell, int] = {}
        for source in sources:
            combinations = source.combinations(names)
            if combinations is None:
                problem = f"source '{source.kind}' does not tell all values of {', '.join(names)}"
                fix = f"name them: per: {{{names[0]}: [...]}}"
                raise UsageError(problem, fix=fix, key="quota.per")
            found.update((tuple(map(canonical, values)), 1) for values in combinations)
        return found

    def _cell_of(self, cell: Mapping[str, Value]) -> Cell:
        return tuple(canonical(cell[name]) for name in self.columns())


def cell_weights(per: Mapping[str, Sequence[Value] | Mapping[str, int]]) -> dict[Cell, int]:
    """All combinations of the columns' values, in the order of the values, with their weights."""
    columns = [
        [(canonical(v), w) for v, w in values.items()]
        if isinstance(values, Mapping)
        else [(canonical(value), 1) for value in values]
        for values in per.values()
    ]
    return {
        tuple(value for value, _ in combination): prod(weight for _, weight in combination)
        for combination in product(*columns)
    }


def apportioned(total: int, weights: Mapping[Cell, int]) -> dict[Cell, int]:
    """`total` rows by weight; what is left over goes to the largest remainders, first cells first.

    apportioned(5, {("a",): 1, ("b",): 1})    # {("a",): 3, ("b",): 2}
    """
    whole = sum(weights.values())
    parts = {cell: divmod(total * weight, whole) for cell, weight in weights.items()}
    left = total - sum(share for share, _ in parts.values())
    first = set(sorted(parts, key=lambda cell: -parts[cell][1])[:left])  # stable
    return {cell: share + (cell in first) for cell, (share, _) in parts.items()}


def check_values(column: str, values: Iterable[Value], key: str) -> None:
    """Whether the values of a column are some, all different, with weights from 1 on.

    Raises:
        UsageError: They are not.
    """
    key = f"{key}.{column}"
    listed = list(values)
    if not listed:
        fix = "list the values that are to be balanced"
        raise UsageError("there are no values", fix=fix, key=key)
    if isinstance(values, Mapping) and min(values.values()) < 1:
        fix = "weights are whole numbers from 1 on; leave out a value that gets no rows"
        raise UsageError("a weight is below 1", fix=fix, key=key)
    if len({canonical(value) for value in listed}) < len(listed):
        fix = "name every value once; for more rows of one give weights: {a: 3, b: 1}"
        raise UsageError("a value is named twice", fix=fix, key=key)


def shown(cell: Cell) -> str:
    """A cell as a reader writes it: `good / tea`."""
    return " / ".join(key[1:-1] if key.startswith('"') else key for key in cell)


def _check_cell(cell: Mapping[str, Any], first: Mapping[str, Any], key: str) -> None:
    rows = cell.get("rows")
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
        fix = "give a cell 'rows', a whole number from 1 on"
        raise UsageError(f"found rows {rows!r}", fix=fix, key=f"{key}.rows")
    if set(cell) != set(first) or len(cell) < 2:
        fix = "give every cell a value of each column, besides rows"
        raise UsageError(f"found {', '.join(cell)}", fix=fix, key=key)
