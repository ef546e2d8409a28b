r"""Arithmetic in text: expressions evaluated exactly, equations and numbers found.

evaluate("2 * (3 + 4) // 5")                         # Fraction(2)
evaluate("9 ** 9 ** 9")                              # raises BadArithmetic: too large a number
[e.text for e in equations("So 3 x 4 = 12 eggs.")]   # ["3 x 4 = 12"]
numbers("It cost $1,250.50, or 1/3.")                # [Fraction("1250.5"), Fraction(1, 3)]

Operators are + - * / // % ** with Python's precedence, also written × · ÷ −; numbers are whole or
decimal, with thousands separators. There are no names and no calls, and every limit is looked at
before the work is done, so that no text costs more than a few milliseconds.
"""
# ruff: noqa: RUF001, RUF002 - signs that look alike are what this module is about

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

MAX_CHARS = 1000
MAX_DEPTH = 40  # brackets, signs and powers inside each other
MAX_BITS = 1000  # of a numerator or denominator, so that a float holds every value

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"
_TOKEN = re.compile(rf"\s*(?:({_NUMBER})(?![\d.,]*\d)|(\*\*|//|[-+*/%()]))")
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "⋅": "*"})
_SUMS: Mapping[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": operator.add,
    "-": operator.sub,
}
_PRODUCTS: Mapping[str, Callable[[Fraction, Fraction], Fraction]] = {
    "*": operator.mul,
    "/": operator.truediv,
    "//": lambda a, b: Fraction(a // b),
    "%": operator.mod,
}


class BadArithmetic(ValueError):
    """A text is no arithmetic expression, or its value is too large, or there is none."""


def evaluate(text: str) -> Fraction:
    """The exact value of an arithmetic expression.

    Raises:
        BadArithmetic: It is none, divides by zero, has a power that is not rational, or a limit is
            exceeded; the message says which.
    """
    if len(text) > MAX_CHARS:
        raise BadArithmetic(f"{len(text)} characters, at most {MAX_CHARS}")
    return _Reader(list(_tokens(text.translate(_SIGNS)))).whole()


def _tokens(text: str) -> Iterator[str]:
    place = 0
    end = len(text.rstrip())
    while place < end:
        found = _TOKEN.match(text, place)
        if found is None:
            raise BadArithmetic(f"'{text[place:].strip()[:20]}' is no arithmetic")
        yield found[1].replace(",", "") if found[1] else found[2]
        place = found.end()


class _Reader:
    """Recursive descent over the tokens; values are computed as they are read."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._place = 0
        self._depth = 0

    def whole(self) -> Fraction:
        value = self._sum()
        if self._place < len(self._tokens):
            raise BadArithmetic(f"'{self._tokens[self._place]}' is not expected there")
        return value

    def _next(self, *wanted: str) -> str:
        """The next token where it is one of `wanted`; else empty."""
        if self._place < len(self._tokens) and self._tokens[self._place] in wanted:
            self._place += 1
            return self._tokens[self._place - 1]
        return ""

    def _sum(self) -> Fraction:
        return self._chain(_SUMS, self._product)

    def _product(self) -> Fraction:
        return self._chain(_PRODUCTS, self._signed)

    def _chain(
        self,
        operators: Mapping[str, Callable[[Fraction, Fraction], Fraction]],
        part: Callable[[], Fraction],
    ) -> Fraction:
        value = part()
        while sign := self._next(*operators):
            other = part()
            if sign in ("/", "//", "%") and not other:
                raise BadArithmetic("division by zero")
            value = _bounded(operators[sign](value, other))
        return value

    def _signed(self) -> Fraction:
        """A sign binds less than a power: -2 ** 2 is -4."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise BadArithmetic(f"more than {MAX_DEPTH} levels")
        sign = self._next("+", "-")
        if sign:
            value = self._signed()
            value = -value if sign == "-" else value
        else:
            value = self._atom()
            if self._next("**"):
                value = _power(value, self._signed())
        self._depth -= 1
        return value

    def _atom(self) -> Fraction:
        if self._next("("):
            value = self._sum()
            if not self._next(")"):
                raise BadArithmetic("a bracket is not closed")
            return value
        if self._place == len(self._tokens):
            raise BadArithmetic("a number is missing at the end")
        token = self._tokens[self._place]
        if not token[-1].isdigit():
            raise BadArithmetic(f"a number is missing before '{token}'")
        self._place += 1
        return _bounded(Fraction(token))


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1:
        raise BadArithmetic("a power with a fraction in the exponent")
    if not base and exponent < 0:
        raise BadArithmetic("division by zero")
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if base not in (-1, 0, 1) and abs(exponent) * max(1, size - 1) > MAX_BITS:
        raise BadArithmetic("too large a number")
    times = int(exponent) if base not in (-1, 0, 1) else int(exponent % 2 or 2 * bool(exponent))
    return _bounded(base**times)


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise BadArithmetic("too large a number")
    return value


def plain(value: Fraction) -> int | float:
    """The value as JSON has it: an int where it is whole and 64 bits hold it, else 6 decimals."""
    if value.denominator == 1 and abs(value) < 2**63:
        return int(value)
    return round(float(value), 6)


@dataclass(frozen=True, slots=True)
class Equation:
    """An equation of a text, with what stands on its sides.

    Attributes:
        text: As it is written.
        start: Its first character in the text.
        sides: The values of two or more sides; of one that has none, None.
    """

    text: str
    start: int
    sides: tuple[Fraction | None, ...]

    def holds(self, tolerance: Fraction = Fraction(0)) -> bool:
        """Whether all sides are equal, but for `tolerance`."""
        first = self.sides[0]
        if first is None:
            return False
        return all(side is not None and abs(side - first) <= tolerance for side in self.sides[1:])


_UNIT = r"(?:[ ]?[$€£]|[ ]?(?:cm|km|kg|mm|ml|m|g|l|h)\b)"
_SIDE_PIECE = rf"(?:[$€£]?(?:{_NUMBER})(?![\d.,]*\d){_UNIT}?|[-+*/%()×·⋅÷−]|(?<=[\d )])x(?=[\d (]))"
_SIDE = rf"{_SIDE_PIECE}(?:[ ]?{_SIDE_PIECE})*"
_EQUATION = re.compile(rf"(?<![\w.=]){_SIDE}(?:[ ]?=[ ]?{_SIDE})+(?![\w=])")
_MONEY = re.compile(rf"[$€£]|(?<=\d){_UNIT}")


def equations(text: str) -> list[Equation]:
    """The equations between numbers in a text, in order; units such as $ and kg are passed over.

    One without an operator on any side, such as `5 = 5`, is left out.
    """
    found = []
    for match in _EQUATION.finditer(text):
        written = match.group().strip()
        sides = tuple(_value(side) for side in written.split("="))
        if re.search(r"\d\s*\)*\s*[-+*/%x×·⋅÷−]", written):
            found.append(Equation(written, match.start(), sides))
    return found


def _value(side: str) -> Fraction | None:
    bare = _MONEY.sub("", side).replace("x", "*")
    try:
        return evaluate(bare)
    except BadArithmetic:
        return None


_LONE = re.compile(
    rf"(?<![\w.])(?P<sign>[-−](?=[$€£]?[\d.]))?[$€£]?(?P<number>{_NUMBER})(?![\d.,]*\d)"
    rf"(?:\s?/\s?(?P<under>\d+)(?![\d.,]*\d))?"
)


def numbers(text: str) -> list[Fraction]:
    """The numbers in a text, in order: whole, decimal, or a fraction such as 3/4."""
    found = []
    for match in _LONE.finditer(text):
        value = Fraction(match["number"].replace(",", ""))
        if match["under"] and int(match["under"]):
            value /= int(match["under"])
        sign = -1 if match["sign"] else 1
        if max(value.numerator.bit_length(), value.denominator.bit_length()) <= MAX_BITS:
            found.append(sign * value)
    return found
