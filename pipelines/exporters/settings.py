"""Settings that several exporters share: columns, formats, classes.

columns: [question, answer]             {"question": "question", "answer": "answer"}
columns: {prompt: question}             as it stands
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from pipelines.exporters.formats import FORMATS, ROWS, format_names
from prompts.errors import unknown


def _list_keeps_names(value: Any) -> Any:
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        if len(set(value)) < len(value):
            raise ValueError("name each column once")
        return {name: name for name in value}
    return value


Columns = Annotated[dict[str, str], BeforeValidator(_list_keeps_names)]
"""Column (of a format: part) of the file -> column of the rows; a list keeps the names."""

Count = Annotated[int, Field(ge=0)]


def check_format(name: str) -> str:
    """`name`, which is a format.

    Raises:
        ValueError: It is not; the nearest name is suggested.
    """
    if name not in format_names():
        raise ValueError(unknown("format", name, format_names()).fix)
    return name


def check_typed_format(name: str) -> str:
    """`name`, which is a format whose records all have the same columns.

    Raises:
        ValueError: It is not.
    """
    if check_format(name) != ROWS and FORMATS[name].lines_only:
        raise ValueError("export it as jsonl, or write 'messages'")
    return name


def check_labels(format_name: str, labels: tuple[str, ...]) -> None:
    """Check declared classes against the format.

    Raises:
        ValueError: It has no classes, or one is named twice.
    """
    if labels and not has_classes(format_name):
        raise ValueError("labels is for format 'classification' or 'setfit'")
    if len(set(labels)) < len(labels):
        raise ValueError("name each of the labels once")


def has_classes(format_name: str) -> bool:
    """Whether a format has a column of classes."""
    return format_name != ROWS and FORMATS[format_name].kind("label") == "label"
