"""JSON Lines: one object a line in `data.jsonl`, all with the same keys in the same order.

{kind: jsonl, columns: [question, answer]}   ->   {"question": "When?", "answer": "At noon."}
"""

import json
from pathlib import Path
from typing import Any, Literal

import jsonlines
from pydantic import field_validator

from pipelines.exporters.base import EXPORTERS, Exporter, Finished
from pipelines.rows import JSON
from prompts.errors import UsageError, unknown

FILE_NAME = "data.jsonl"


@EXPORTERS.register
class Jsonl(Exporter):
    """The rows' columns as JSON Lines, in UTF-8, without escapes beyond JSON's own.

    Attributes:
        columns: The columns, in order; left out, all that any row has. A row without one has null.
    """

    kind: Literal["jsonl"] = "jsonl"
    columns: tuple[str, ...] = ()

    @field_validator("columns")
    @classmethod
    def _columns_differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("name each column once")
        return value

    def check(self, columns: set[str]) -> None:
        """Every column that is asked for will exist."""
        for column in self.columns:
            if column not in columns:
                raise unknown("column", column, list(columns), key="columns")

    def write(self, run: Finished, folder: Path) -> dict[str, Any]:
        """Write `data.jsonl`.

        Returns:
            `{"rows": 30}`.

        Raises:
            UsageError: No row has a column that is asked for, or a number is not finite.
        """
        columns = self._columns_of(run)
        count = 0
        with (
            (folder / FILE_NAME).open("w", encoding="utf-8", newline="\n") as file,
            jsonlines.Writer(file, dumps=_dumps) as writer,
        ):
            for row in run.rows():
                record = {column: row.data.get(column) for column in columns}
                try:
                    writer.write(record)
                except ValueError as exc:
                    raise _unwritable(record, row.id) from exc
                count += 1
        return {"rows": count}

    def _columns_of(self, run: Finished) -> list[str]:
        found: dict[str, None] = {}
        for row in run.rows():
            found.update(dict.fromkeys(row.data))
        if found:
            self.check(set(found))
        return list(self.columns or found)


def _dumps(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _unwritable(record: dict[str, JSON], row: str) -> UsageError:
    """The error for a value that JSON in UTF-8 has no form for, such as NaN."""
    for column, value in record.items():
        try:
            _dumps(value).encode()
        except ValueError as exc:
            problem = f"column '{column}' of row {row} cannot be written as JSON: {exc}"
            fix = "filter such rows out with a stage, or leave the column out with 'columns'"
            return UsageError(problem, fix=fix, key="columns")
    raise AssertionError("the record as a whole was refused, but none of its values")
