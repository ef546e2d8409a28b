"""Values of tables as JSON, and the columns of a table that a job takes.

plain(date(2026, 11, 20))      # "2026-11-20"
plain(Decimal("1.50"))         # "1.50"
plain(b"text")                 # "text"; other bytes are Unreadable("not_json", ...)
plain(float("nan"))            # None: how tables write a missing number

columns: {question: q}         # in a job: the column q, called question; [q, a]: these two
"""

import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import BeforeValidator, Field

from chains.loading.base import Unreadable
from pipelines.rows import JSON
from pipelines.soundness import MAX_DEPTH
from pipelines.sources.base import Seed


def _list_as_mapping(value: Any) -> Any:
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        if len(set(value)) < len(value):
            raise ValueError("a column is named twice")
        return {name: name for name in value}
    return value


ColumnChoice = Annotated[
    Annotated[dict[str, str], Field(min_length=1)] | None, BeforeValidator(_list_as_mapping)
]
"""Annotation of a field that takes `{new: old}`, a list of columns, or nothing for all of them."""


def plain(value: Any, depth: int = 0) -> JSON:
    """`value`, which lies `depth` deep in a column, as JSON.

    Dates and times become ISO 8601 text, durations text, decimals and UUIDs their digits, bytes the
    UTF-8 text they hold, NaN becomes null, tuples become lists.

    Raises:
        Unreadable: `not_json`: an infinite number, bytes that are not UTF-8, another type, or
            lists and mappings more than 50 deep.
    """
    if depth > MAX_DEPTH:
        raise Unreadable("not_json", f"a value nested more than {MAX_DEPTH} deep")
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return {str(name): plain(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, Decimal | UUID | timedelta):
        return str(value)
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError as exc:
            raise Unreadable("not_json", f"{len(value)} bytes that are not UTF-8 text") from exc
    raise Unreadable("not_json", f"a value of type {type(value).__name__}")


def _number(value: float) -> float | None:
    if math.isinf(value):
        raise Unreadable("not_json", "an infinite number")
    return None if math.isnan(value) else float(value)


def missing_columns(choice: Mapping[str, str] | None, key: str, known: Iterable[str]) -> list[str]:
    """The columns that a job asks for and that are not among `known`, in the job's order."""
    wanted = [*(choice or {}).values(), *([key] if key else [])]
    there = set(known)
    return [name for name in dict.fromkeys(wanted) if name not in there]


def record_seed(record: Mapping[str, Any], choice: Mapping[str, str] | None, key: str) -> Seed:
    """The seed of one record.

    Args:
        record: Its columns.
        choice: New name -> old name of those to take; None takes all.
        key: The column, by its old name, whose value names the record; may be empty.

    Raises:
        Unreadable: `missing_column`, `no_key` for an empty or structured key, `not_json`, or
            `empty` where there are no columns.
    """
    if not record:
        raise Unreadable("empty", "a record without columns")
    missing = missing_columns(choice, key, record)
    if missing:
        listing = ", ".join(map(str, record)) or "none"
        raise Unreadable("missing_column", f"no column '{missing[0]}'; there are: {listing}")
    data = {}
    for new, old in (choice or {name: name for name in record}).items():
        try:
            data[new] = plain(record[old])
        except Unreadable as bad:
            raise Unreadable(bad.reason, f"column '{old}': {bad.detail}") from bad
    name = plain(record[key]) if key else ""
    if isinstance(name, dict | list) or (key and name in {None, ""}):
        raise Unreadable("no_key", f"column '{key}' holds {name!r}, which names nothing")
    return Seed(data, str(name))
