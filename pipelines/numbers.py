"""The numbers that a text names, in digits or in English words, in one spelling.

    numbers("about 1,200 people paid twenty-five dollars")  ->  {"1200", "25"}
    numbers("3.50 or 3,5; 2.5 million; -4 and 007")          ->  {"3.5", "2500000", "-4", "7"}
    numbers("one of the two")                                ->  {"2"}

Alone, "one" is more often a pronoun than a number and is left out, as are ordinals in words.
"""

import re
from collections.abc import Iterator
from decimal import Decimal

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SCALES = {
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
}
_VALUES = {word: value for value, word in enumerate(_UNITS.split())} | {
    word: 10 * value for value, word in enumerate(_TENS.split(), start=2)
}
_TOKEN = re.compile(
    r"(?P<digits>(?:(?<![\w)\-−.,])[-−])?\d+(?:[.,\u00a0\u202f’']\d+)*)|(?P<word>[A-Za-z]+)"  # noqa: RUF001
)
_GROUPED = re.compile(r"\d{1,3}(?:[,\u00a0\u202f’']\d{3})+(?:\.\d+)?")  # noqa: RUF001
_GROUPED_BY_DOTS = re.compile(r"\d{1,3}(?:\.\d{3}){2,}(?:,\d+)?|\d{1,3}(?:\.\d{3})+,\d+")
_DECIMAL = re.compile(r"\d+(?:[.,]\d+)?")
_LONGEST = 20  # words in one number; "hundred hundred hundred ..." would grow without end
_GAP = re.compile(r"[\s\-]{1,3}")


def numbers(text: str) -> frozenset[str]:
    """All different numbers in `text`, as plain decimals without needless zeros."""
    return frozenset(_spelled(value) for value in _values(text))


def _values(text: str) -> Iterator[Decimal]:
    run: list[str] = []
    end = 0
    for token in _TOKEN.finditer(text):
        word = (token["word"] or "").lower()
        counts = word in _VALUES or word in _SCALES or word == "hundred" or word == "and"
        adjacent = _GAP.fullmatch(text, end, token.start()) is not None
        if run and not (counts and adjacent and len(run) < _LONGEST):
            yield from _run_values(run)
            run = []
        if token["digits"]:
            *others, last = _digit_values(token["digits"])
            yield from others
            run = [str(last)]  # a scale may follow: 2.5 million
        elif counts and (run or word != "and"):
            run.append(word)
        end = token.end()
    yield from _run_values(run)


def _digit_values(digits: str) -> list[Decimal]:
    """One number, or several where the marks between digits make a date or a list of them."""
    sign = "-" if digits[0] in "-−" else ""  # noqa: RUF001
    bare = digits.lstrip("-−")  # noqa: RUF001
    if _GROUPED.fullmatch(bare):
        bare = re.sub(r"[^\d.]", "", bare)
    elif _GROUPED_BY_DOTS.fullmatch(bare):
        bare = bare.replace(".", "").replace(",", ".")
    elif _DECIMAL.fullmatch(bare):
        bare = bare.replace(",", ".")
    else:
        return [Decimal(part) for part in re.split(r"\D", bare)]
    return [Decimal(sign + bare)]


def _run_values(words: list[str]) -> Iterator[Decimal]:
    """The numbers that a run of number words names: "two hundred and five" one, "two three" two."""
    total = current = Decimal(0)
    room = Decimal(0)  # what is still added to the number lies below this
    parts: list[str] = []
    for word in words:
        if word == "and":
            room = room if parts and current % 100 == 0 else Decimal(0)
        elif word == "hundred":
            current, room = (current or Decimal(1)) * 100, Decimal(100)
            parts.append(word)
        elif word in _SCALES:
            total, current = total + (current or 1) * _SCALES[word], Decimal(0)
            room = Decimal(_SCALES[word])
            parts.append(word)
        else:
            value = Decimal(_VALUES.get(word, word))
            if parts and value >= room:
                yield from [] if parts == ["one"] else [total + current]
                total = current = Decimal(0)
                parts = []
            current = current + value if current else value
            room = Decimal(10 if word in _VALUES and value >= 20 else 0)
            parts.append(word)
    if parts and parts != ["one"]:
        yield total + current if total else current


def _spelled(value: Decimal) -> str:
    plain = f"{value:f}"
    return (plain.rstrip("0").rstrip(".") or "0") if "." in plain else plain
