"""Text that was decoded wrongly: characters that stand for those that were lost.

"Itâ€™s hot."    {"rule": "utf8_as_latin", "found": "â€™"}
"It\ufffds hot."      {"rule": "replacement", "found": "U+FFFD"}
"""

import re

from pipelines.rows import Fault
from pipelines.stages.heuristics.base import Check, Text

_REPLACED = "\ufffd"
# The bytes of UTF-8 read as Windows-1252 or Latin-1: a lead byte, then one of 80 to BF.
_TAIL = (
    "[\u0080-\u00bf\u20ac\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039"
    "\u0152\u017d\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153"
    "\u017e\u0178]"
)
_LATIN = re.compile(f"[\u00c3\u00c2\u00c4\u00c5]{_TAIL}|\u00e2{_TAIL}{{2}}|\u00f0{_TAIL}{{3}}")


class Mojibake(Check):
    """Replacement characters, and UTF-8 that was read as Latin-1 or Windows-1252."""

    def find(self, text: Text) -> Fault | None:
        """`mojibake`, with the characters."""
        if _REPLACED in text.content:
            return Fault("mojibake", {"rule": "replacement", "found": "U+FFFD"})
        if found := _LATIN.search(text.content):
            return Fault("mojibake", {"rule": "utf8_as_latin", "found": found.group()})
        return None
