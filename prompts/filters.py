"""The filters and tests that a template may use: pure functions of plain data, bounded in size.

{{ tags | join(", ") }}     {{ reply | truncate(200) }}     {{ row | tojson }}
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Undefined

MAX_OUTPUT = 1_000_000  # characters of one rendered message, and of what any filter returns
MAX_INDENT = 40
MAX_DIGITS = 15


def _default(value: Any, instead: Any = "", boolean: bool = False) -> Any:
    if isinstance(value, Undefined) or (boolean and not value):
        return instead
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise TypeError(f"a filter for text was given {_name(value)}")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"a filter for lists was given {_name(value)}")
    return list(value)


def _name(value: Any) -> str:
    if isinstance(value, Undefined):
        return "nothing"
    names = {str: "a text", bool: "true or false", dict: "a mapping", list: "a list"}
    return names.get(type(value), "null" if value is None else "a number")


def _bounded(size: int) -> None:
    if size > MAX_OUTPUT:
        raise ValueError(f"a filter makes more than {MAX_OUTPUT:,} characters")


def _join(value: Any, separator: str = "") -> str:
    parts = [
        part if type(part) is str else json.dumps(part, ensure_ascii=False) for part in _list(value)
    ]
    _bounded(sum(map(len, parts)) + len(_text(separator)) * max(len(parts) - 1, 0))
    return separator.join(parts)


def _replace(value: Any, old: str, new: str) -> str:
    text = _text(value)
    _bounded(len(text) + text.count(_text(old)) * len(_text(new)))
    return text.replace(old, new)


def _indent(value: Any, width: int = 4) -> str:
    if not 0 <= width <= MAX_INDENT:
        raise ValueError(f"indent takes 0 to {MAX_INDENT}")
    lines = _text(value).split("\n")
    _bounded(len(lines) * width + len(value))
    return ("\n" + " " * width).join(lines)


def _truncate(value: Any, length: int) -> str:
    text = _text(value)
    if len(text) <= length:
        return text
    return text[:length].rsplit(" ", 1)[0] + " ..."


def _end(value: Any, index: int) -> Any:
    items = _list(value)
    if not items:
        raise ValueError("the first or last item of an empty list")
    return items[index]


def _size(value: Any) -> int:
    if isinstance(value, str | list | tuple | dict):
        return len(value)
    raise TypeError(f"the length of {_name(value)}")


def _unique(value: Any) -> list[Any]:
    kept: dict[str, Any] = {}
    for item in _list(value):
        kept.setdefault(json.dumps(item, sort_keys=True), item)
    return list(kept.values())


def _items(value: Any) -> list[tuple[str, Any]]:
    if type(value) is not dict:
        raise TypeError(f"the items of {_name(value)}")
    return list(value.items())


def _round(value: Any, digits: int = 0) -> float | int:
    if type(value) not in (int, float):
        raise TypeError(f"round was given {_name(value)}")
    if not 0 <= digits <= MAX_DIGITS:  # a large negative number of digits would never end
        raise ValueError(f"round takes 0 to {MAX_DIGITS} digits")
    rounded: float | int = round(value, digits) if digits else round(value)
    return rounded


FILTERS: Mapping[str, Callable[..., Any]] = {
    "capitalize": lambda value: _text(value).capitalize(),
    "default": _default,
    "first": lambda value: _end(value, 0),
    "indent": _indent,
    "items": _items,
    "join": _join,
    "last": lambda value: _end(value, -1),
    "length": _size,
    "lower": lambda value: _text(value).lower(),
    "replace": _replace,
    "reverse": lambda value: _list(value)[::-1],
    "round": _round,
    "sort": lambda value: sorted(_list(value)),
    "title": lambda value: _text(value).title(),
    "tojson": lambda value: json.dumps(value, ensure_ascii=False),
    "trim": lambda value: _text(value).strip(),
    "truncate": _truncate,
    "unique": _unique,
    "upper": lambda value: _text(value).upper(),
}
TESTS: Mapping[str, Callable[..., bool]] = {
    "defined": lambda value: not isinstance(value, Undefined),
    "mapping": lambda value: type(value) is dict,
    "none": lambda value: value is None,
    "number": lambda value: type(value) in (int, float),
    "sequence": lambda value: type(value) in (list, tuple),
    "string": lambda value: type(value) is str,
}
