"""Exports that are one table in plain files: which columns it has, and how rows are written.

    {kind: jsonl, format: openai}             messages, one object a line
    {kind: csv, columns: {q: question}}       the rows' own columns, renamed

The rows are read twice, once to learn columns and classes and to check, once to write. Nothing of
them is held in memory.
"""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import field_validator, model_validator

from pipelines.exporters.base import Exporter, Finished
from pipelines.exporters.columns import Type
from pipelines.exporters.formats import ROWS, resolve
from pipelines.exporters.parts import shown
from pipelines.exporters.projection import (
    JoinedProjection,
    LooseProjection,
    PartsProjection,
    RowsProjection,
    check_columns,
)
from pipelines.exporters.settings import (
    Columns,
    Count,
    check_format,
    check_labels,
    check_typed_format,
)
from pipelines.exporters.shards import Limit, RecordFile, Shards
from pipelines.rows import JSON
from prompts.errors import UsageError


class TableExporter(Exporter):
    """A table in files.

    Attributes:
        format: `rows` for the rows' own columns, or one of the formats that trainers read.
        columns: Column (of a format: part) -> column of the rows; a list keeps the names. Left out,
            all columns, or those with the format's usual names.
        labels: For a format with classes: the classes; left out, those that occur.
        shard_rows: The most rows of a file; 0 for any number.
        shard_mb: Megabytes at which a file ends; 0 for any size.
    """

    stem: ClassVar[str] = "data"
    suffix: ClassVar[str]
    lines: ClassVar[bool] = False
    typed: ClassVar[bool] = False

    format: str = ROWS
    columns: Columns = {}
    labels: tuple[str, ...] = ()
    shard_rows: Count = 0
    shard_mb: Count = 0

    @field_validator("format")
    @classmethod
    def _format_fits(cls, value: str) -> str:
        return check_format(value) if cls.lines else check_typed_format(value)

    @model_validator(mode="after")
    def _labels_need_classes(self) -> "TableExporter":
        check_labels(self.format, self.labels)
        return self

    def check(self, columns: set[str]) -> None:
        """The format finds its columns."""
        if self.format == ROWS:
            check_columns(self.columns, "", columns)
        else:
            resolve(self.format, self.columns, columns)

    def write(self, run: Finished, folder: Path) -> dict[str, Any]:
        """Write the table.

        Returns:
            `{"rows": 30}`, and with more than one file its `files`.

        Raises:
            UsageError: The rows do not fit the format or the files; names column and row.
        """
        shards = self.write_table(run, folder)
        files = {"files": len(shards.names())} if shards.names()[1:] else {}
        return {"rows": shards.rows, **files}

    def write_table(self, run: Finished, folder: Path) -> Shards:
        """Write the table and give its files."""
        projection = self.projection()
        for row in run.rows():
            projection.survey(row)
        types = projection.types()
        limit = Limit(self.shard_rows, self.shard_mb)

        def open_file(path: Path) -> RecordFile:
            return self.open_file(path, types)

        with Shards(folder, self.stem, self.suffix, open_file, limit) as shards:
            for row in run.rows():
                record = projection.record(row)
                try:
                    shards.add(record)
                except ValueError as exc:
                    raise self._unwritable(record, row.id) from exc
        return shards

    @abstractmethod
    def open_file(self, path: Path, types: Mapping[str, Type]) -> RecordFile:
        """Begin a file of the table."""

    def encode(self, value: JSON) -> object:
        """A value as the file holds it. Raises ValueError where it has no form for it."""
        return value

    def projection(self) -> JoinedProjection | LooseProjection:
        """The way from rows to records."""
        if self.format != ROWS:
            named = not self.typed
            return PartsProjection(self.format, self.columns, self.labels, named=named)
        return RowsProjection(self.columns) if self.typed else LooseProjection(self.columns)

    def _unwritable(self, record: Mapping[str, JSON], row: str) -> UsageError:
        """The error for a value that the file has no form for, such as NaN."""
        for column, value in record.items():
            try:
                self.encode(value)
            except ValueError as exc:
                problem = f"column '{column}' of row {row} cannot be written as {self.kind}: {exc}"
                fix = "filter such rows out with a stage, or leave the column out with 'columns'"
                return UsageError(problem, fix=fix, key="columns")
        raise AssertionError(f"{shown(record)} as a whole was refused, but none of its values")
