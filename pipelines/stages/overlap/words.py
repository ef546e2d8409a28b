"""What two texts have in common, word by word.

ours = words("She paid $1,200 for the red sofa.")   # she paid 1200 for the red sofa
theirs = words("He sold the red sofa.")             # he sold the red sofa
common(*encoded(ours, theirs), n=3)                 # Common(share=0.4286, longest=3, place=4)
"""

import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import regex

Ids = np.ndarray[Any, np.dtype[np.int32]]

SHOWN = 200  # characters of a text that a rejection quotes
NO_WORD = -1  # stands between two texts, and for a word that the other side has not

_UNSPACED = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = regex.compile(
    rf"\p{{N}}+(?:\.\p{{N}}+)+|[{_UNSPACED}]"
    rf"|[[\p{{L}}\p{{M}}\p{{N}}]--[{_UNSPACED}]]+(?:'[\p{{L}}\p{{M}}]+)*",
    regex.V1,
)
_GROUPING = regex.compile(r"(?<=\d),(?=\d{3}(?!\d))")


class Common(NamedTuple):
    """What of one text another has too.

    Attributes:
        share: The share, 0 to 1, of its words that lie in a common run of `n` words or more; a text
            of fewer than `n` words has to be there as a whole.
        longest: Words in the longest common run.
        place: Its first word.
    """

    share: float
    longest: int
    place: int


def words(text: str) -> list[str]:
    """The words of a text as they are compared: case folded, without punctuation.

    A Chinese character or a kana is a word; so is a number, 1,200 and 1200 being the same one. A
    name of code is cut at its underscores.
    """
    folded = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")  # noqa: RUF001
    return _WORD.findall(_GROUPING.sub("", folded))


def encoded(text: Sequence[str], source: Sequence[str]) -> tuple[Ids, Ids]:
    """Both as numbers, equal where the words are; `source` words that `text` lacks are NO_WORD."""
    numbers: dict[str, int] = {}
    ours = [numbers.setdefault(word, len(numbers)) for word in text]
    theirs = [numbers.get(word, NO_WORD) for word in source]
    return np.array(ours, dtype=np.int32), np.array(theirs, dtype=np.int32)


def common(text: Ids, source: Ids, n: int) -> Common:
    """What `source` has of `text`, in runs of at least `n` words.

    Time grows with the product of the two lengths, in steps of one vector operation a word.
    """
    if not len(text):
        return Common(0.0, 0, 0)
    ends = _runs(text, source)
    least = min(n, len(text))
    covered = np.zeros(len(text), dtype=bool)
    for end in np.flatnonzero(ends >= least):
        covered[end + 1 - ends[end] : end + 1] = True
    longest = int(ends.max())
    place = int(ends.argmax()) + 1 - longest
    return Common(round(float(covered.mean()), 4), longest, place)


def _runs(text: Ids, source: Ids) -> Ids:
    """For each word of `text`: words in the longest run ending there that `source` has too."""
    ends = np.zeros(len(text), dtype=np.int32)
    current = np.zeros(len(source) + 1, dtype=np.int32)
    for place, word in enumerate(text):
        current[1:] = np.where(source == word, current[:-1] + 1, 0)
        ends[place] = current.max()
    return ends


def quoted(text: Sequence[str], found: Common) -> str:
    """The longest common run, as far as a rejection quotes it."""
    return " ".join(text[found.place : found.place + found.longest])[:SHOWN]
