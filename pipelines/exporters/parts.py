"""What a part of a format may be, and how the value of a column becomes it.

    taken("text", "When?")                                      "When?"
    taken("contexts", [{"text": "At noon.", "score": 0.4}])     ["At noon."]
    taken("turns", [{"role": "robot", "content": "Hi"}])        raises Misfit

A value is never cut or guessed at: what does not fit is an error that says what would.
"""

import math
from collections.abc import Callable, Mapping
from typing import Literal

from pipelines.rows import JSON, Row, canonical
from prompts.errors import UsageError

PartKind = Literal[
    "text", "texts", "contexts", "exchange", "turns", "chat", "tools", "flag", "flags", "score",
    "label",
]  # fmt: skip

WORDS: Mapping[PartKind, str] = {
    "text": "text",
    "texts": "a list of texts",
    "contexts": "text, a list of texts or a list of passages",
    "exchange": "text, or a list of {role, content}",
    "turns": "a list of {role, content}",
    "chat": "a list of messages",
    "tools": "a list of objects",
    "flag": "true or false",
    "flags": "a list of true or false",
    "score": "a finite number",
    "label": "text, a whole number or a truth value",
}
"""What each kind of part is, in words."""

_ROLES = ("system", "developer", "user", "assistant", "tool")
_CHAT_KEYS = {"role", "content", "name", "tool_calls", "tool_call_id", "weight"}


class Misfit(ValueError):
    """A value is not what a part is; the message says what else it is, or is empty."""


def taken(kind: PartKind, value: JSON) -> JSON:
    """`value` as the part has it.

    Raises:
        Misfit: It is something else.
    """
    return _TAKE[kind](value)


def part_of(row: Row, column: str, kind: PartKind, use: str, *, key: str = "columns") -> JSON:
    """The value of a row's column as a part.

    Args:
        row: The row.
        column: The column; a row without it has null there.
        kind: What the part is.
        use: What it is used as, for the error: `'prompt' of format 'text'`.
        key: The key of the job that names the column.

    Raises:
        UsageError: It is something else; names column and row.
    """
    value = row.data.get(column)
    try:
        return taken(kind, value)
    except Misfit as exc:
        found = str(exc) or shown(value)
        problem = f"column '{column}' holds {found} in row {row.id}; {use} is {WORDS[kind]}"
        fix = "filter such rows out with a stage, or name another column"
        raise UsageError(problem, fix=fix, key=key) from exc


def writable(text: str) -> str:
    """`text`, which UTF-8 can hold.

    Raises:
        Misfit: It has half of a surrogate pair.
    """
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as exc:
            where = f"at character {exc.start}"
            raise Misfit(f"text with a lone surrogate {where}") from exc
    return text


def shown(value: JSON) -> str:
    """The beginning of a value, for an error."""
    text = canonical(value).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 40 else f"{text[:37]}..."


def as_turns(value: JSON, role: str) -> list[JSON]:
    """An exchange as turns: a text is one turn of `role`."""
    return [{"role": role, "content": value}] if isinstance(value, str) else list(value)


def _text(value: JSON) -> str:
    if not isinstance(value, str):
        raise Misfit
    return writable(value)


def _texts(value: JSON) -> list[str]:
    return [_text(item) for item in _list(value)]


def _contexts(value: JSON) -> list[str]:
    if isinstance(value, str):
        return [_text(value)]
    return [_text(item["text"] if _is_passage(item) else item) for item in _list(value)]


def _is_passage(value: JSON) -> bool:
    return isinstance(value, Mapping) and "text" in value


def _exchange(value: JSON) -> JSON:
    return _text(value) if isinstance(value, str) else _turns(value)


def _turns(value: JSON) -> list[JSON]:
    turns = [_turn(turn, {"role", "content"}) for turn in _list(value)]
    if not turns or any(not isinstance(turn["content"], str) for turn in turns):
        raise Misfit
    return turns


def _chat(value: JSON) -> list[JSON]:
    turns = [_turn(turn, _CHAT_KEYS) for turn in _list(value)]
    if not turns:
        raise Misfit
    for turn in turns:
        if not isinstance(turn.get("content"), str) and not turn.get("tool_calls"):
            raise Misfit("a message with neither content nor tool_calls")
    return turns


def _turn(value: JSON, known: set[str]) -> dict[str, JSON]:
    if not isinstance(value, Mapping) or "role" not in value:
        raise Misfit
    if value["role"] not in _ROLES:
        raise Misfit(f"the role {shown(value['role'])} (known: {', '.join(_ROLES)})")
    if value.keys() - known:
        raise Misfit(f"a turn with the key '{min(value.keys() - known)}'")
    if known == {"role", "content"} and "content" not in value:
        raise Misfit
    if isinstance(value.get("content"), str):
        writable(value["content"])
    return {"role": value["role"], **value}


def _objects(value: JSON) -> list[JSON]:
    items = _list(value)
    if not all(isinstance(item, Mapping) for item in items):
        raise Misfit
    return items


def _flag(value: JSON) -> bool:
    if not isinstance(value, bool):
        raise Misfit
    return value


def _flags(value: JSON) -> list[bool]:
    return [_flag(item) for item in _list(value)]


def _score(value: JSON) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Misfit
    return float(value)


def _list(value: JSON) -> list[JSON]:
    if not isinstance(value, list | tuple):
        raise Misfit
    return list(value)


def _any(value: JSON) -> JSON:
    return value


_TAKE: Mapping[PartKind, Callable[[JSON], JSON]] = {
    "text": _text,
    "texts": _texts,
    "contexts": _contexts,
    "exchange": _exchange,
    "turns": _turns,
    "chat": _chat,
    "tools": _objects,
    "flag": _flag,
    "flags": _flags,
    "score": _score,
    "label": _any,
}
