"""Plain YAML scalars: the ones every reader reads alike become values, the others an `Ambiguous`.

0.8 -> 0.8      true -> True      qa/question -> "qa/question"      ~ -> None
no      Ambiguous("'no' is false to YAML 1.1 and text to YAML 1.2", "or write false")
1.10    Ambiguous("'1.10' would be read as 1.1", "or write 1.1")

YAML 1.1 is what PyYAML and most of today's readers speak, 1.2 is the current standard.
"""

import math
import re
from decimal import Decimal

from prompts.errors import shorten

MAX_INT = 2**63 - 1  # what Arrow and every JSON reader with 64-bit integers hold
LONGEST_NUMBER = 60  # characters; int() itself gives up at thousands of digits

_CONSTANTS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_BOOLEANS_OF_11 = {
    "y": "true", "yes": "true", "on": "true", "n": "false", "no": "false", "off": "false",
}  # fmt: skip

_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9]*)?\.([0-9]*[1-9]|0)([eE][-+][0-9]+)?")
_NUMBER_OF_12 = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGER_OF_11 = re.compile(r"[-+]?[1-9][0-9_]*")
_FLOAT_OF_11 = re.compile(r"[-+]?([0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)([eE][-+][0-9]+)?")
_OCTAL_OF_11 = re.compile(r"[-+]?0[0-7_]+")
_BASE_60 = re.compile(r"[-+]?([1-9][0-9_]*(:[0-5]?[0-9])+|[0-9][0-9_]*(:[0-5]?[0-9])+\.[0-9_]*)")
_BASED = re.compile(r"[-+]?0(x[0-9a-fA-F_]+|o[0-7]+|b[01_]+)")
_NUMBERS = (_NUMBER_OF_12, _INTEGER_OF_11, _FLOAT_OF_11, _OCTAL_OF_11, _BASE_60, _BASED)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)?"
    r"([ \t]*(Z|[-+][0-9]{1,2}(:[0-9]{2})?))?"
)


class Ambiguous(ValueError):
    """A plain scalar that has to be quoted: the problem, and what else one could write."""

    def __init__(self, problem: str, other: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.other = other


def read_plain(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar.

    Raises:
        Ambiguous: YAML 1.1 and 1.2 differ on it, its text would be lost, or it is a number that
            JSON cannot hold (not finite, or an integer beyond 64 bits).
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    _refuse_words(text)
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _NOT_FINITE.fullmatch(text):
        raise Ambiguous(f"'{text}' is not a finite number")
    if _DATE.fullmatch(text):
        raise Ambiguous(f"'{shorten(text)}' is a date to YAML 1.1 and text to YAML 1.2")
    return _number(text)


def _refuse_words(text: str) -> None:
    # All that YAML 1.1 takes for a boolean: y, Y, yes, Yes, YES and so on, but not yEs.
    if text in {text.lower(), text.upper(), text.capitalize()}:
        value = _BOOLEANS_OF_11.get(text.lower())
        if value:
            problem = f"'{text}' is {value} to YAML 1.1 and text to YAML 1.2"
            raise Ambiguous(problem, f"write {value}")
    if text in {"=", "<<"}:
        raise Ambiguous(f"'{text}' is special to YAML 1.1 and text to YAML 1.2")


def _integer(text: str) -> int:
    digits = len(text.lstrip("+-"))
    if digits > LONGEST_NUMBER or abs(int(text)) > MAX_INT:
        raise Ambiguous(f"an integer of {digits} digits does not fit 64 bits")
    return int(text)


def _number(text: str) -> str | float:
    if not any(pattern.fullmatch(text) for pattern in _NUMBERS):
        return text
    if len(text) > LONGEST_NUMBER:
        raise Ambiguous(f"a number of {len(text)} characters")
    old, new = _value_to_11(text), _value_to_12(text)
    if old != new:
        problem = f"'{text}' is {_shown(old)} to YAML 1.1 and {_shown(new)} to YAML 1.2"
        raise Ambiguous(problem, "" if new is None and ":" in text else f"write {new or old}")
    value = 0 if old is None else old
    if not math.isfinite(value):
        raise Ambiguous(f"'{text}' is too large for a number")
    if not _DECIMAL.fullmatch(text) or Decimal(repr(value)) != Decimal(text):
        raise Ambiguous(f"'{text}' would be read as {value!r}", f"write {value!r}")
    return value


def _value_to_11(text: str) -> int | float | None:
    """What YAML 1.1 reads; None for text."""
    digits = text.replace("_", "")
    if _BASED.fullmatch(text):
        return None if "o" in text else int(digits, 0)
    if _OCTAL_OF_11.fullmatch(text):
        return int(digits, 8)
    if _BASE_60.fullmatch(text):
        return _base_60(digits)
    if _INTEGER_OF_11.fullmatch(text):
        return int(digits)
    return float(digits) if _FLOAT_OF_11.fullmatch(text) else None


def _value_to_12(text: str) -> int | float | None:
    """What the core schema of YAML 1.2 reads; None for text."""
    if _BASED.fullmatch(text):
        return None if "b" in text or "_" in text else int(text, 0)
    if not _NUMBER_OF_12.fullmatch(text):
        return None
    return float(text) if re.search("[.eE]", text) else int(text)


def _base_60(digits: str) -> int | float:
    sign = -1 if digits.startswith("-") else 1
    value: int | float = 0
    for part in digits.lstrip("+-").split(":"):
        value = value * 60 + (float(part) if "." in part else int(part))
    return sign * value


def _shown(value: int | float | None) -> str:
    return "text" if value is None else repr(value)
