"""Reading the text of a column.

read_text(row, "question")  ->  "When does it open?"
read_text(row, "number")    ->  Fault("not_text", {"column": "number", "found": "int"})
strings([{"text": "At nine.", "score": 3.1}])  ->  "At nine.", "3.1"
listed("context")                              ->  ("context",)
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from pipelines.rows import JSON, Fault, Row


def _names_columns(value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if not value or not all(value):
        raise ValueError("name the column that holds the source")
    return value


SourceColumns = Annotated[str | tuple[str, ...], AfterValidator(_names_columns)]
"""Annotation of a field that names the column with the source of a text, or several."""


def listed(columns: str | tuple[str, ...]) -> tuple[str, ...]:
    """One column or several, as several."""
    return (columns,) if isinstance(columns, str) else columns


def read_text(row: Row, column: str) -> str | Fault:
    """The text in `column`, or why there is none: `missing_column` or `not_text`."""
    if column not in row.data:
        return Fault("missing_column", {"column": column, "columns": sorted(row.data)})
    value = row.data[column]
    if not isinstance(value, str):
        return Fault("not_text", {"column": column, "found": type(value).__name__})
    return value


def strings(value: JSON) -> Iterator[str]:
    """All text in a JSON value: a passage, a list of passages, objects that hold them, numbers."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
