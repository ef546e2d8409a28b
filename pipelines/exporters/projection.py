"""Takes rows to records of one shape in two passes: one learns types and classes, one writes.

projection = PartsProjection("prompt-completion", {})
for row in rows():
    projection.survey(row)     # a row without a prompt is an error here
projection.types()             # {"prompt": TEXT, "completion": TEXT}
projection.record(row)         # {"prompt": "When?", "completion": "At noon."}
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pipelines.exporters.columns import TEXT, Observed, Type
from pipelines.exporters.formats import FORMATS, resolve
from pipelines.exporters.parts import part_of, shown
from pipelines.exporters.shapes import Record
from pipelines.rows import JSON, Row, canonical
from prompts.errors import UsageError, unknown

_FILTER = "filter such rows out with a stage"


class Projection(Protocol):
    """A way from rows to records: `survey` every row, then ask for `types` and each `record`."""

    def survey(self, row: Row) -> None:
        """Learn from a row. Raises UsageError where it does not fit."""

    def types(self) -> dict[str, Type]:
        """The columns of the dataset, in order."""

    def record(self, row: Row) -> Record:
        """The row as the dataset holds it."""


class JoinedProjection(Projection, Protocol):
    """A projection whose survey can be made in parts, by copies of it that have seen one row."""

    def join(self, later: Any) -> None:
        """Learn what a copy has, of rows that come behind. Raises UsageError as `survey` does."""


class RowsProjection:
    """The columns of the rows themselves, with types inferred from all their values.

    Args:
        columns: Column of the dataset -> column of the rows; empty takes all under their own names.
        row_id: Name of a further column, in front, for the rows' ids; empty for none.
    """

    def __init__(self, columns: Mapping[str, str], row_id: str = "") -> None:
        self._columns = dict(columns)
        self._wanted = frozenset(columns.values())
        self._row_id = row_id
        self._observed: dict[str, Observed] = {}
        self._rows = 0

    def survey(self, row: Row) -> None:
        """Infer the types of its values."""
        self._rows += 1
        for name, value in row.data.items():
            if name not in self._observed:
                self._observed[name] = Observed()
            if not self._wanted or name in self._wanted:
                self._observed[name].add(value, name, row.id)

    def join(self, later: "RowsProjection") -> None:
        """Infer from the values that a copy of this one has seen."""
        for name, observed in later._observed.items():
            self._observed.setdefault(name, Observed()).join(observed, name)

    def types(self) -> dict[str, Type]:
        """The inferred types. Without any row, what the job asks for is taken as text.

        Raises:
            UsageError: No row has a column that the job asks for.
        """
        if self._rows:
            check_columns(self._columns, self._row_id, set(self._observed))
            self._columns = self._columns or {name: name for name in self._observed}
        types = {
            name: self._observed[column].type(column) if self._rows else TEXT
            for name, column in self._columns.items()
        }
        return {self._row_id: TEXT, **types} if self._row_id else types

    def record(self, row: Row) -> Record:
        """The columns; null where the row lacks one."""
        record = {name: row.data.get(column) for name, column in self._columns.items()}
        return {self._row_id: row.id, **record} if self._row_id else record


class LooseProjection:
    """The columns of the rows themselves, whatever they hold, for files without types.

    Args:
        columns: Column of the file -> column of the rows; empty takes all under their own names.
    """

    def __init__(self, columns: Mapping[str, str]) -> None:
        self._columns = dict(columns)
        self._found: dict[str, None] = {}

    def survey(self, row: Row) -> None:
        """Learn which columns there are."""
        self._found.update(dict.fromkeys(row.data))

    def types(self) -> dict[str, Type]:
        """The columns; what a value is, each says for itself.

        Raises:
            UsageError: No row has a column that the job asks for.
        """
        if self._found:
            check_columns(self._columns, "", set(self._found))
        self._columns = self._columns or {name: name for name in self._found}
        return dict.fromkeys(self._columns, TEXT)

    def record(self, row: Row) -> Record:
        """The columns; null where the row lacks one."""
        return {name: row.data.get(column) for name, column in self._columns.items()}


def check_columns(columns: Mapping[str, str], row_id: str, available: set[str]) -> None:
    """Check what the job asks of the rows' own columns.

    Raises:
        UsageError: Rows lack a column, or two columns would have one name.
    """
    for column in columns.values():
        if column not in available:
            raise unknown("column", column, list(available), key="columns")
    if row_id and row_id in (columns or available):
        problem = f"the rows have a column '{row_id}' already"
        raise UsageError(problem, fix="choose another name", key="row_id")


class PartsProjection:
    """A format of the table `FORMATS`.

    Args:
        name: The format.
        columns: Part -> column of the rows, as far as the job says.
        labels: The classes in order, where the format has classes; empty takes those that occur,
            sorted.
        named: Whether records hold a class by its name, for files that cannot name numbers. A
            format with a column for the names has both all the same.
    """

    def __init__(
        self,
        name: str,
        columns: Mapping[str, str],
        labels: Sequence[str] = (),
        *,
        named: bool = False,
    ) -> None:
        self._name = name
        self._format = FORMATS[name]
        self._given = columns
        self._sources: dict[str, str] = {}
        self._classes = _Classes(labels)
        self._labelled = self._format.kind("label") == "label"
        self._named = named and "label_text" not in self._format.columns

    def survey(self, row: Row) -> None:
        """Check that every part is there; the first row decides which columns they come from."""
        if not self._sources:
            # A part that may be left out may be so in the first row and turn up later.
            optional = {c for part, c in self._given.items() if part in self._format.optional}
            self._sources = resolve(self._name, self._given, row.data.keys() | optional)
        parts = self._parts(row)
        if "label" in parts and self._labelled:
            self._classes.add(parts["label"], self._sources["label"], row.id)
        fault = self._format.fault(parts) if self._format.fault else ""
        if fault:
            problem = f"row {row.id} has {fault}, which format '{self._name}' cannot hold"
            raise UsageError(problem, fix=_FILTER, key="columns")

    def join(self, later: "PartsProjection") -> None:
        """Learn the classes that a copy of this one has seen."""
        self._classes.join(later._classes)

    def types(self) -> dict[str, Type]:
        """The declared types, with the classes that were found.

        Raises:
            UsageError: All rows are of one class, and the job declares no others.
        """
        if not self._labelled:
            return dict(self._format.columns)
        names = tuple(self._classes.names(self._sources.get("label", "label")))
        return {**self._format.columns, "label": Type("label", names=names)}

    def record(self, row: Row) -> Record:
        """The row's parts, put together."""
        parts = self._parts(row)
        if self._labelled:
            name = label_name(parts["label"])
            parts["label"] = name if self._named else self._classes.index(name)
            if "label_text" in self._format.columns:
                parts["label_text"] = name
        return self._format.build(parts)

    def _parts(self, row: Row) -> Record:
        """The parts that the row has, each checked."""
        parts: Record = {}
        for part, column in self._sources.items():
            if row.data.get(column) is None and part in self._format.optional:
                continue
            use = f"'{part}' of format '{self._name}'"
            parts[part] = part_of(row, column, self._format.kind(part), use)
        return parts


class _Classes:
    """The values of a label column and their numbers."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._declared = list(labels)
        self._values: set[JSON] = set()
        self._kind: type = type(None)
        self._first = ""
        self._indices: dict[str, int] = {}

    def add(self, value: JSON, column: str, row: str) -> None:
        if not isinstance(value, str | int):
            problem = f"column '{column}' holds {shown(value)} in row {row}, which is no label"
            raise UsageError(problem, fix=_FILTER, key="label")
        if self._values and type(value) is not self._kind:
            problem = f"column '{column}' holds {shown(value)} in row {row} and other types before"
            raise UsageError(problem, fix="give all labels one type", key="label")
        if self._declared and label_name(value) not in self._declared:
            problem = f"column '{column}' holds {shown(value)} in row {row}"
            raise UsageError(problem, fix="add it to 'labels', or filter it out", key="labels")
        self._first = self._first or row
        self._kind = type(value)
        self._values.add(value)

    def join(self, later: "_Classes") -> None:
        """Both have seen the first row, and so take values of one type only."""
        self._values |= later._values

    def names(self, column: str) -> list[str]:
        if not self._declared and len(self._values) == 1:
            only = shown(next(iter(self._values)))
            problem = (
                f"column '{column}' holds one class, {only}, in row {self._first} and all others"
            )
            fix = (
                f"name all classes with 'labels', such as [{label_name(min(self._values))}, other]"
            )
            raise UsageError(problem, fix=fix, key="labels")
        return self._declared or [label_name(value) for value in sorted(self._values)]

    def index(self, name: str) -> int:
        if not self._indices:
            self._indices = {name: index for index, name in enumerate(self.names(""))}
        return self._indices[name]


def label_name(label: JSON) -> str:
    """The name of a class: the text itself, or a number or truth value as JSON writes it."""
    return label if isinstance(label, str) else canonical(label)
