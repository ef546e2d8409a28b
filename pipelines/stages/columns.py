"""Reading the text of a column.

read_text(row, "question")  ->  "When does it open?"
read_text(row, "number")    ->  Fault("not_text", {"column": "number", "found": "int"})
strings([{"text": "At nine.", "score": 3.1}])  ->  "At nine.", "3.1"
"""

from collections.abc import Iterator

from pipelines.rows import JSON, Fault, Row


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
