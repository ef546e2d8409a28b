"""What differs between two texts, word by word.

marked("Name the big red town.", "Name the red city.")
# "Name the [-big-] red [-town.-]{+city.+}"
"""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

Sign = Literal["same", "out", "in"]

ALIKE = 0.3  # share of words in common below which two texts are shown whole
LONGEST = 4_000  # words up to which two texts are compared

_PARTS = re.compile(r"\S+|\s+")


class Piece(NamedTuple):
    """Part of two texts: in both, only in the first (`out`), or only in the second (`in`)."""

    sign: Sign
    text: str


def pieces(before: str, after: str) -> list[Piece]:
    """The two texts as one row of pieces; those of `same` and `in` make up the second.

    Texts that have little in common, or are very long, are one piece each.
    """
    old, new = _PARTS.findall(before), _PARTS.findall(after)
    if before == after:
        return [Piece("same", after)]
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    if max(len(old), len(new)) > LONGEST or not _alike(old, new):
        whole: list[Piece] = [Piece("out", before), Piece("in", after)]
        return [piece for piece in whole if piece.text]
    return list(_pieces(matcher, old, new))


def marked(before: str, after: str) -> str:
    """The second text with the differences in brackets: `[-gone-]`, `{+new+}`."""
    marks = {"same": "{}", "out": "[-{}-]", "in": "{{+{}+}}"}
    return "".join(marks[piece.sign].format(piece.text) for piece in pieces(before, after))


def _alike(old: list[str], new: list[str]) -> bool:
    first, second = set(old), set(new)
    words = {part for part in first | second if not part.isspace()}
    return len(words & first & second) >= ALIKE * len(words)


def _pieces(matcher: "SequenceMatcher[str]", old: list[str], new: list[str]) -> Iterator[Piece]:
    """Changes with nothing but white space between them are one change."""
    gone, come = "", ""
    for tag, a, b, c, d in matcher.get_opcodes():
        before, after = "".join(old[a:b]), "".join(new[c:d])
        if tag != "equal" or ((gone or come) and after.isspace() and d < len(new)):
            gone, come = gone + before, come + after
            continue
        yield from _change(gone, come)
        gone, come = "", ""
        yield Piece("same", after)
    yield from _change(gone, come)


def _change(gone: str, come: str) -> Iterator[Piece]:
    """What was replaced by what, without the white space at the end of both."""
    tail = ""
    if gone and come:
        shorter = min(gone[len(gone.rstrip()) :], come[len(come.rstrip()) :], key=len)
        tail = shorter if gone.endswith(shorter) and come.endswith(shorter) else ""
    length = len(tail)
    signs: tuple[tuple[Sign, str], ...] = (("out", gone), ("in", come))
    for sign, text in signs:
        if text[: len(text) - length]:
            yield Piece(sign, text[: len(text) - length])
    if tail:
        yield Piece("same", tail)
