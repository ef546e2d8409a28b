"""Whether values are JSON: one that is not rejects its row, and never ends or damages a run.

flaw({"a": b"x"})       ->   "a value of type bytes"
flaw({"a": [1, nan]})   ->   "nan"
flaw({"a": [1, "x"]})   ->   ""

A file of rows takes no bytes, dates, NaN or halves of characters, and no text that ten thousand
brackets enclose can be read again. Sources and stages of the project give nothing of the kind;
plugins may.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pipelines.rows import Outcome, Rejection, Row

MAX_DEPTH = 50
"""Lists and mappings inside each other, the row itself not counted."""

_MOST_BITS = 10_000  # Python writes and reads numbers of up to 4,300 digits


def flaw(value: Any, *, halves: bool = True, depth: int = 0) -> str:
    """Why a value is not JSON that can be written and read again; empty where it is.

    Args:
        value: Anything.
        halves: Whether a lone surrogate in a text is one.
        depth: How deep it lies.
    """
    if value is None:
        return ""
    if isinstance(value, int):
        bits = value.bit_length()
        return f"a whole number of {bits} bits" if bits > _MOST_BITS else ""
    if isinstance(value, str):
        return "half of a character" if halves and _has_half(value) else ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else str(value)
    if isinstance(value, Mapping | list | tuple):
        return _flaw_inside(value, halves=halves, depth=depth)
    return f"a value of type {type(value).__name__}"


def as_outcome(made: Any) -> Outcome:
    """What a stage made of a row.

    Raises:
        TypeError: It is neither a row nor a rejection.
    """
    if not isinstance(made, Row | Rejection):
        raise TypeError(f"the stage gave {type(made).__name__}, not a row or rejection")
    return made


def sound(outcomes: Sequence[Outcome], incoming: Sequence[Row]) -> list[Outcome]:
    """The outcomes of a stage, with rows and rejections that are no JSON rejected as `failed`.

    Only what the stage changed is looked at.
    """
    before = {row.id: row for row in incoming}
    return [_sound(outcome, before) for outcome in outcomes]


def _sound(outcome: Outcome, before: Mapping[str, Row]) -> Outcome:
    row = outcome.row if isinstance(outcome, Rejection) else outcome
    known = before.get(row.id)
    found = "" if row is known else _flaw_of_row(row, known)
    if not found and isinstance(outcome, Rejection):
        found = _named("its detail", flaw(outcome.detail))
    if not found:
        return outcome
    kept = _written_part(row) if known is None else known
    return Rejection(kept, "failed", {"error": "ValueError", "message": f"{found} is not JSON"})


def _flaw_of_row(row: Row, known: Row | None) -> str:
    """Of the columns and events that `known` does not have."""
    old: Mapping[str, Any] = {} if known is None else known.data
    names = (name for name, value in row.data.items() if name not in old or value is not old[name])
    events = row.history[0 if known is None else len(known.history) :]
    columns = (_named(f"column '{name}'", flaw({name: row.data[name]})) for name in names)
    return _first([*columns, *(_named("its history", flaw(event)) for event in events)])


def _written_part(row: Row) -> Row:
    """A row without what cannot be written of it."""
    data = {name: value for name, value in row.data.items() if not flaw({name: value})}
    return replace(row, data=data, history=tuple(e for e in row.history if not flaw(e)))


def _flaw_inside(value: Any, *, halves: bool, depth: int) -> str:
    if depth > MAX_DEPTH:
        return f"a value nested more than {MAX_DEPTH} deep"
    inside: Iterator[str] = (
        flaw(item, halves=halves, depth=depth + 1)
        for item in (value.values() if isinstance(value, Mapping) else value)
    )
    keys = (_flaw_of_key(key, halves=halves) for key in value) if isinstance(value, Mapping) else ()
    return _first(keys) or _first(inside)


def _flaw_of_key(key: Any, *, halves: bool) -> str:
    if isinstance(key, str):
        return flaw(key, halves=halves)
    return f"a key of type {type(key).__name__}"


def _first(found: Iterable[str]) -> str:
    return next(filter(None, found), "")


def _named(where: str, found: str) -> str:
    return found and f"{where}: {found}"


def _has_half(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text)
