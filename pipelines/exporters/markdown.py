r"""Markdown in which no data can do anything but show itself.

    plain("a|b *c*")        a\|b \*c\*
    code("x`y")             ``x`y``
    fence("```", "yaml")    ````yaml ... ````

Everything that comes from a job, a model or a row goes through one of these.
"""

import html
import re
from collections.abc import Iterable, Sequence

_ESCAPES = str.maketrans(
    {
        **{char: f"\\{char}" for char in "`*_{}[]()<>#!~$^|"},
        "&": "&amp;",
        # As an entity: a table would take it for the escape of the bar behind it.
        "\\": "&#92;",
    }
)
_BREAKS = re.compile(r"[\s\x00-\x1f\x7f\x85\u2028\u2029]+")


def plain(text: object) -> str:
    """Text for a line or a table cell: no markup, no HTML, no line break."""
    line = _BREAKS.sub(" ", str(text)).strip()
    return line.translate(_ESCAPES)


def code(text: str) -> str:
    """A code span, for lines but not for table cells; line breaks become spaces."""
    line = _BREAKS.sub(" ", text)
    ticks = "`" * (_longest_run(line) + 1)
    space = " " if not line.strip() or line[0] in "` " or line[-1] in "` " else ""
    return f"{ticks}{space}{line}{space}{ticks}"


def fence(text: str, language: str = "") -> str:
    """A code block, fenced by more backticks than its content has anywhere in a row."""
    ticks = "`" * max(3, _longest_run(text) + 1)
    end = "" if text.endswith("\n") else "\n"
    return f"{ticks}{language}\n{text}{end}{ticks}"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; a column whose cells are all numbers is aligned to the right."""
    cells = [list(row) for row in rows]
    marks = [
        "---:" if cells and all(isinstance(row[column], int) for row in cells) else "---"
        for column in range(len(header))
    ]
    texts = [[plain(cell) for cell in row] for row in (header, *cells)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (texts[0], marks, *texts[1:]))


def details(summary: str, body: str) -> str:
    """A block that is folded until one clicks on `summary`, which is plain text."""
    line = html.escape(_BREAKS.sub(" ", summary))
    return f"<details>\n<summary>{line}</summary>\n\n{body}\n\n</details>"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
