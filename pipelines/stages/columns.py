"""Reading a column that must hold text.

read_text(row, "question")  ->  "When does it open?"
read_text(row, "number")    ->  Fault("not_text", {"column": "number", "found": "int"})
"""

from pipelines.rows import Fault, Row


def read_text(row: Row, column: str) -> str | Fault:
    """The text in `column`, or why there is none: `missing_column` or `not_text`."""
    if column not in row.data:
        return Fault("missing_column", {"column": column, "columns": sorted(row.data)})
    value = row.data[column]
    if not isinstance(value, str):
        return Fault("not_text", {"column": column, "found": type(value).__name__})
    return value
