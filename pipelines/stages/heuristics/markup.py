r"""Debris of markup: tags, entities, half of an emphasis, tables without rows; or any Markdown.

"Tea is **hot."             {"rule": "emphasis", "found": "**hot."}
"Tea &amp; rain<br>"        {"rule": "entity", "found": "&amp;"}
"See [the page](#"          {"rule": "link", "found": "[the page](#"}
"# Tea\n\nIt is **hot**."   None; with `plain: true` {"rule": "heading", "found": "# Tea"}
"""

import re

from pipelines.rows import Fault
from pipelines.stages.heuristics.base import Check, Text, shown

_DEBRIS = (
    ("entity", re.compile(r"&(?:amp|nbsp|lt|gt|quot|apos|#\d{2,5}|#x[0-9a-f]{2,4});", re.I)),
    (
        "tag",
        re.compile(
            r"</?(?:br|p|div|span|b|i|em|strong|h[1-6]|ul|ol|li|a|img|table|tr|td|font|html|body)"
            r"(?:\s[^<>\n]{0,200})?/?>",
            re.I,
        ),
    ),
    ("link", re.compile(r"!?\[[^\[\]\n]{1,200}\]\((?:\s*\)|[^()\n]{0,200}\Z)")),
    ("mark", re.compile(r"(?m)^[ \t]*(?:#{1,6}|\*{1,3}|_{2,3}|>+)[ \t]*\Z")),
)
_PLAIN = (
    ("heading", re.compile(r"(?m)^[ \t]{0,3}#{1,6} \S.*$")),
    ("emphasis", re.compile(r"\*\*[^*\n]+\*\*|__[^_\n]+__")),
    ("fence", re.compile(r"(?m)^[ \t]*(?:```|~~~).*$")),
    ("table", re.compile(r"(?m)^[ \t]*\|.+\|[ \t]*$")),
    ("link", re.compile(r"\[[^\[\]\n]+\]\([^()\s]+\)")),
    ("item", re.compile(r"(?m)^[ \t]*[-*+] \S.*$")),
    ("code", re.compile(r"`[^`\n]+`")),
)
_BOLD = re.compile(r"\*\*(?!\*)")


class Markup(Check):
    """Markup that is broken or out of place.

    Attributes:
        plain: Also refuse Markdown that is well-formed.
    """

    plain: bool = False

    def find(self, text: Text) -> Fault | None:
        """`markup`, with the rule and what it found; code is left out, but for `plain`."""
        for rule, pattern in _DEBRIS:
            if found := pattern.search(text.prose):
                return Fault("markup", {"rule": rule, "found": shown(found.group())})
        if half := _half_emphasis(text.prose):
            return Fault("markup", {"rule": "emphasis", "found": shown(half)})
        for rule, pattern in _PLAIN if self.plain else ():
            if found := pattern.search(text.content):
                return Fault("markup", {"rule": rule, "found": shown(found.group())})
        return None


def _half_emphasis(prose: str) -> str:
    """What follows the last mark of bold type in a paragraph with an odd number of them."""
    start = 0
    for paragraph in prose.split("\n\n"):
        marks = [*_BOLD.finditer(prose, start, start + len(paragraph))]
        at_word = [m for m in marks if not _between_spaces_or_digits(prose, m)]
        if len(at_word) % 2:
            return prose[at_word[-1].start() :]
        start += len(paragraph) + 2
    return ""


def _between_spaces_or_digits(prose: str, mark: re.Match[str]) -> bool:
    """Whether it is a power, 2**3 or x ** y, and no emphasis."""
    before, after = prose[mark.start() - 1 : mark.start()], prose[mark.end() : mark.end() + 1]
    power = before.isalnum() and after.isalnum()
    return power or (before.isspace() and after.isspace())
