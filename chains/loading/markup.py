r"""Trees of elements to text: one line a block, headings marked, what is not shown left out.

    tree_text(lxml.html.document_fromstring("<h2>Leave</h2><p>Ask <b>first</b>.</p><ul><li>Now"))
    # "## Leave\n\nAsk first.\n\n- Now"

The element names are those of HTML and those that trafilatura gives to what it keeps.
"""

import re
from typing import Any

_HIDDEN = frozenset({"script", "style", "template", "noscript", "svg", "iframe", "select"})
_LINES = frozenset({"li", "item", "tr", "row", "dt", "dd", "figcaption", "caption"})
_PARAGRAPHS = frozenset(
    """
    address article aside blockquote body center details dialog div dl fieldset figure footer form
    h1 h2 h3 h4 h5 h6 head header hr list main nav ol p pre quote section table ul
""".split()  # noqa: SIM905 - a table of names
)
_SPACE = re.compile(r"\s+")
_BREAKS = re.compile(r"[ \t]*\n[ \t]*(?:\n\s*)+")


def tree_text(root: Any) -> str:
    """The text of an lxml element, its comments, scripts and styles left out.

    Headings begin with as many `#` as their level, list items with `- `; the cells of a table's row
    stand on one line with ` | ` between them.
    """
    from lxml import etree

    writer = _Writer()
    for event, element in etree.iterwalk(root, events=("start", "end", "comment", "pi")):
        if event == "start":
            writer.open(element)
        elif event == "end":
            writer.close(element, tail=element is not root)
        elif element is not root:
            writer.add(element.tail)
    return writer.text()


class _Writer:
    """Collects pieces; white space is folded as a browser folds it."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._hidden = 0
        self._kept = 0  # depth of elements whose white space counts
        self._fresh = True  # white space to come would stand at the beginning of a line
        self._marked = False  # a mark waits for its text: no break may come between
        self._row_begun = False

    def open(self, element: Any) -> None:
        name = _name(element)
        if _is_hidden(name, element):
            self._hidden += 1
        self._begin(name, element)
        self._kept += name in {"pre", "code"} and "\n" in (element.text or "")
        self.add(element.text)

    def close(self, element: Any, *, tail: bool) -> None:
        name = _name(element)
        self._kept -= name in {"pre", "code"} and "\n" in (element.text or "")
        if _is_hidden(name, element):
            self._hidden -= 1
        if name in _PARAGRAPHS:
            self._break("\n\n")
        elif name in _LINES:
            self._break("\n")
        if tail:
            self.add(element.tail)

    def add(self, text: str | None) -> None:
        if not text or self._hidden:
            return
        if not self._kept:
            text = _SPACE.sub(" ", text)
            if self._fresh:
                text = text.lstrip(" ")
        if text:
            self._pieces.append(text)
            self._marked = self._marked and text.isspace()
            self._fresh = not self._kept and text.endswith(" ")

    def text(self) -> str:
        return _BREAKS.sub("\n\n", "".join(self._pieces)).strip()

    def _begin(self, name: str, element: Any) -> None:
        if name in _PARAGRAPHS:
            self._break("\n\n")
        elif name in _LINES:
            self._break("\n")
        if name in {"br", "lb"}:
            self._break("\n")
        elif name in {"li", "item"}:
            self._mark("- ")
        elif name in {"tr", "row"}:
            self._row_begun = False
        elif name in {"td", "th", "cell"}:
            while self._row_begun and self._pieces and self._pieces[-1].isspace():
                self._pieces.pop()
            self._mark(" | " if self._row_begun else "")
            self._row_begun = True
        elif level := _level(name, element):
            self._mark("#" * level + " ")

    def _mark(self, mark: str) -> None:
        if not self._hidden:
            self._pieces.append(mark)
            self._fresh = self._marked = True

    def _break(self, mark: str) -> None:
        if self._hidden or self._marked:
            return
        if self._pieces and not self._pieces[-1].strip("\n"):
            mark = max(mark, self._pieces.pop(), key=len)
        self._pieces.append(mark)
        self._fresh = True


def _name(element: Any) -> str:
    tag = element.tag
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""


def _is_hidden(name: str, element: Any) -> bool:
    """Whether a reader does not see it: HTML's `head` is no heading, unlike trafilatura's."""
    if name == "head":
        return element.get("rend") is None
    return name in _HIDDEN or element.get("hidden") is not None


def _level(name: str, element: Any) -> int:
    """The level of a heading, 0 for anything else."""
    found = element.get("rend", "") if name == "head" else name
    return int(found[1]) if re.fullmatch("h[1-6]", found) else 0
