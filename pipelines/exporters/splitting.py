"""How a dataset is divided into splits: by which method, and what must not be separated.

    splits: {train: 0.9, test: 0.1}
    splitting: {method: hash, keep_together: [document], near_duplicates: 0.8}

Families are never divided. `keep_together` also keeps rows with a value in common in one split, and
`near_duplicates` rows whose texts are alike.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.exporters.groups import Groups
from pipelines.exporters.lineage import lineage
from pipelines.exporters.splits import assign, assign_by_hash
from pipelines.rows import JSON, Row, canonical
from prompts.errors import UsageError, unknown
from prompts.registry import dotted

LINEAGE_FIELDS = frozenset({"source", "key", "document"})


class Splitting(BaseModel):
    """What belongs together, and how groups are given to splits.

    Attributes:
        method: `exact` meets the shares as nearly as whole groups allow and leaves no split empty;
            `hash` decides by a group's name alone, so that rows which are added move no others.
        keep_together: Columns, or `source`, `key`, `document` of the lineage: rows with the same
            value are in one split.
        near_duplicates: Rows with this Jaccard similarity or more are in one split, 0.2 to 1.
        compare: The columns compared for `near_duplicates`; left out, all text of the dataset.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["exact", "hash"] = "exact"
    keep_together: tuple[str, ...] = ()
    near_duplicates: Annotated[float, Field(ge=0.2, le=1)] | None = None
    compare: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _compare_needs_a_threshold(self) -> "Splitting":
        if self.compare and self.near_duplicates is None:
            raise ValueError("compare is for near_duplicates: give its threshold too")
        return self

    def check(self, columns: set[str]) -> None:
        """Check that the rows have the columns.

        Raises:
            UsageError: They lack one; the key is relative to this.
        """
        for key, known in (
            ("keep_together", columns | LINEAGE_FIELDS),
            ("compare", columns),
        ):
            for column in getattr(self, key):
                if column not in known:
                    raise unknown("column", column, list(known), key=key)

    def describe(self) -> str:
        """What was kept together besides families, as sentences; empty for nothing."""
        said = []
        if self.keep_together:
            names = " or ".join(self.keep_together)
            said.append(f"Rows with the same {names} are in the same split.")
        if self.near_duplicates is not None:
            said.append(
                f"Rows whose texts have a Jaccard similarity of {self.near_duplicates:g} or more "
                "(character 5-grams, verified) are in the same split."
            )
        if self.method == "hash":
            said.append(
                "The split of a row is a hash of what it is kept together with, so rows that are "
                "added later do not move it; shares are met on average."
            )
        return " ".join(said)


class Division:
    """Collects what is needed to divide a run, row by row, and then divides it.

    Args:
        splitting: The settings.
        label: The column to stratify by; empty for none.
    """

    def __init__(self, splitting: Splitting, label: str = "") -> None:
        self._splitting = splitting
        self._label = label
        self._sizes: Counter[tuple[str, str]] = Counter()
        self._groups = Groups()
        self._columns: set[str] = set()

    def survey(self, row: Row) -> None:
        """Take in one row."""
        self._columns.update(row.data)
        label = canonical(row.data.get(self._label)) if self._label else ""
        self._sizes[row.family, label] += 1
        for column in self._splitting.keep_together:
            value = _value(row, column)
            if value is not None:
                self._groups.tie(row.family, (column, value))

    def check_columns(self) -> None:
        """All rows have been surveyed: check that some have the columns that were asked for.

        Raises:
            UsageError: No row has one; the key is relative to the exporter.
        """
        if not self._sizes:
            return
        if self._label and self._label not in self._columns:
            raise unknown("column", self._label, list(self._columns), key="label")
        try:
            self._splitting.check(self._columns)
        except UsageError as exc:
            exc.key = dotted("splitting", exc.key)
            raise

    def divide(
        self,
        shares: Mapping[str, float],
        seed: int,
        rows: Callable[[], Iterator[Row]],
        record: Callable[[Row], Mapping[str, JSON]],
    ) -> dict[str, str]:
        """The split of every family.

        Args:
            shares: Split -> its part of the rows.
            seed: The job's seed.
            rows: Reads the rows from the start, for near-duplicates.
            record: The row as the dataset has it: what is compared unless columns are named.
        """
        if self._splitting.near_duplicates is not None:
            from pipelines.exporters.near import unite_near_duplicates

            text = self._text_of(record)
            unite_near_duplicates(rows, text, self._splitting.near_duplicates, self._groups)
        if self._splitting.method == "hash":
            families = [family for family, _ in self._sizes]
            return assign_by_hash(families, shares, seed, self._groups)
        return assign(self._sizes, shares, seed, self._groups)

    def _text_of(self, record: Callable[[Row], Mapping[str, JSON]]) -> Callable[[Row], str]:
        columns = self._splitting.compare
        if columns:
            return lambda row: "\n".join(_texts([row.data.get(column) for column in columns]))
        return lambda row: "\n".join(_texts(record(row)))


def _value(row: Row, column: str) -> JSON:
    """The row's value of a column, or of a lineage field where it has no such column."""
    if column in row.data or column not in LINEAGE_FIELDS:
        return row.data.get(column)
    return lineage(row, "", 0)[column]


def _texts(value: JSON) -> Iterator[str]:
    """All texts within a value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
