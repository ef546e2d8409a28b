r"""What of a text a translation leaves as it is: lines, list marks, placeholders, markup, numbers.

lines("- Open {name}'s file.\n\n2. Save it.")
->  [Line("- ", "Open {name}'s file.", ""), Line("", "", ""), Line("2. ", "Save it.", "")]
pieces("Open {name} now.")  ->  ["Open ", "{name}", " now."]; every second one stays
lost("Open {name} now.", "Jetzt Name oeffnen.")  ->  ("{name}",)
"""

import re
from collections import Counter
from typing import NamedTuple

from pipelines.numbers import numbers

_LINE = re.compile(r"(\s*(?:(?:[-*+•>]|#{1,6}|\(?\d{1,3}[.)]|\(?[a-z][.)])\s+)*)(.*?)(\s*)", re.S)
_PROTECTED = re.compile(
    r"(`[^`]+`|\{\{.*?\}\}|\{[\w.]*\}|\$\{\w+\}|%\(\w+\)[sd]|%[sd]|</?\w[^<>]*>|&\w+;"
    r"|https?://\S*[\w/]|[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\[[A-Z][A-Z_]+\]|\*\*|__)"
)
_LETTER = re.compile(r"[^\W\d_]")
_LETTERS = re.compile(r"[^\W\d_]+")


class Line(NamedTuple):
    """One line: the mark before, what is said, and the white space behind."""

    mark: str
    said: str
    tail: str


def lines(text: str) -> list[Line]:
    """The lines of a text; joined by line breaks they are the text again."""
    return [Line(*found.groups()) for part in text.split("\n") if (found := _LINE.fullmatch(part))]


def pieces(said: str) -> list[str]:
    """A line cut at what is to stay; every second piece is such."""
    return _PROTECTED.split(said)


def has_words(text: str) -> bool:
    """Whether there is anything to translate."""
    return bool(_LETTER.search(_PROTECTED.sub("", text)))


def lost(original: str, translation: str) -> tuple[str, ...]:
    """Placeholders, markup, addresses and code that one of the two has more often, sorted."""
    before, after = (Counter(_PROTECTED.findall(text)) for text in (original, translation))
    return tuple(sorted((before - after) + (after - before)))


def digits(text: str) -> frozenset[str]:
    """The numbers that are written in digits, which are the same in any language."""
    return numbers(_LETTERS.sub(";", text))
