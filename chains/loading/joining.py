r"""Pieces of a document to one text that knows where each of them stands.

joined([("1", "First page."), ("2", "  "), ("3", "Third.")], "page")
# ("First page.\n\nThird.", (Part(0, 11, "page", "1"), Part(13, 19, "page", "3")))
"""

from collections.abc import Iterable

from chains.loading.base import Part

_BETWEEN = "\n\n"


def joined(pieces: Iterable[tuple[str, str]], kind: str) -> tuple[str, tuple[Part, ...]]:
    """The text of `pieces`, an empty line between them, and a part for each that holds text.

    Args:
        pieces: Labels and texts, in order.
        kind: What a piece is.
    """
    texts: list[str] = []
    parts: list[Part] = []
    at = 0
    for label, text in pieces:
        kept = whole_characters(text).strip()
        if kept:
            texts.append(kept)
            parts.append(Part(at, at + len(kept), kind, label))
            at += len(kept) + len(_BETWEEN)
    return _BETWEEN.join(texts), tuple(parts)


def whole_characters(text: str) -> str:
    """`text` with surrogate pairs made one character, U+FFFD for halves of them, and no NUL."""
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\x00", "")
