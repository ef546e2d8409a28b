r"""The sections of a Markdown text, and the headings that a place in it stands below.

    text = "Before.\n\n# Leave\n\n## Holidays\n\nTwenty days.\n\n## Sick days\n\nCall.\n"
    sections(text)                  # [(0, 9), (9, 44), (44, 65)]
    heading_paths(text, [2, 48])    # [[], ["Leave", "Sick days"]]

A section reaches from its heading to the next one, of whatever level; headings that stand directly
above another belong to its section. What looks like a heading in fenced code is none.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence

from chains.retrieval.splitting import Span, heading_spans

_HEADING = re.compile(r"(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*")


def sections(text: str) -> list[Span]:
    """The spans of all sections, that before the first heading included; they cover all of it."""
    headings = heading_spans(text)
    starts = [0]
    last = -1
    for start, end in headings:
        if last < 0 or text[last:start].strip():
            starts.append(start)
        last = end
    ends = [*starts[1:], len(text)]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if start < end]


def heading_paths(text: str, places: Sequence[int]) -> list[list[str]]:
    """For each place the headings that hold there, from the outermost to the innermost.

    At the first character of a heading that heading holds already.
    """
    headings = heading_spans(text)
    paths: list[list[str]] = [[]]
    levels: list[int] = []
    for start, end in headings:
        marks, title = _HEADING.fullmatch(text, start, end).groups()  # type: ignore[union-attr]
        kept = sum(level < len(marks) for level in levels)
        paths.append([*paths[-1][:kept], title])
        levels = [*levels[:kept], len(marks)]
    starts = [start for start, _ in headings]
    return [paths[bisect_right(starts, place)] for place in places]
