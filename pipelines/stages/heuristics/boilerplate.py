"""What chat models say around a text: "Certainly! Here is a story:", "I hope this helps!".

    "Sure! Here is a poem: ..."    {"rule": "announcement", "found": "Sure! Here is a poem:"}

The stage `clean` takes these phrases off, by the same patterns; here they reject the text. English.
"""

from pipelines.cleaning import announcement, closing
from pipelines.rows import Fault
from pipelines.stages.heuristics.base import Check, Text, shown


class Boilerplate(Check):
    """An announcement at the beginning or an offer of help at the end."""

    def find(self, text: Text) -> Fault | None:
        """`boilerplate`, with the phrase."""
        for rule, phrase in (("announcement", announcement), ("closing", closing)):
            if found := phrase(text.content):
                return Fault("boilerplate", {"rule": rule, "found": shown(found)})
        return None
