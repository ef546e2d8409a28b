"""Word differences as HTML: `<del>` for what is gone, `<ins>` for what is new.

marked_up("Name the big red town.", "Name the red city.")
# Name the <del>big </del>red <del>town.</del><ins>city.</ins>

A reader who sees no colour has the stroke and the line below; one who listens has the words
"gone" and "new", which the style puts around the marks.
"""

from pipelines.lab.worddiff import Piece, pieces
from pipelines.reports.markup import Markup, clean, joined, tag

_MARKS = {"out": "del", "in": "ins"}


def marked_up(before: str, after: str) -> Markup:
    """`after` with what differs from `before` marked; unmarked where they share too little."""
    found = pieces(clean(before), clean(after))
    if unlike(found):
        return joined(clean(after))
    return joined([_marked(piece) for piece in found])


def legend(baseline: str) -> Markup:
    """What the marks mean, and what they are set against."""
    gone, new = tag("del", "gone"), tag("ins", "new")
    said = ["Against '", baseline, "': ", gone, " words that a text lacks, ", new]
    rest = " ones that it has. Texts with few words in common are not marked."
    return tag("p", said, rest, class_="note")


def unlike(found: list[Piece]) -> bool:
    """Whether nothing is left but one text for the other."""
    return len(found) == 2 and {piece.sign for piece in found} == {"in", "out"}


def _marked(piece: Piece) -> Markup:
    name = _MARKS.get(piece.sign)
    return tag(name, piece.text) if name else joined(piece.text)
