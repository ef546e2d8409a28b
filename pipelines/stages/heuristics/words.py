"""Length in words, and the length of the words: text that is no text.

"aaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbb ..."
{"rule": "mean_word_length", "score": 23.0, "bound": 12.0, "found": "aaaaaaaaaaa..."}
"""

import re
from typing import Annotated

from pydantic import Field

from pipelines.rows import Fault
from pipelines.stages.heuristics.base import Check, Text, measured

_ENOUGH = 10  # words that a mean is taken of
# Scripts without spaces: their words are single characters here, and their length says nothing.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


class Words(Check):
    """How many words, and how long they are on average; Gopher's bounds, a little wider.

    Attributes:
        min: The least number of words.
        max: The most.
        min_mean: The least mean length of a word, in characters; from ten words on.
        max_mean: The most.
    """

    min: Annotated[int, Field(ge=0)] = 0
    max: Annotated[int, Field(ge=1)] | None = None
    min_mean: Annotated[float, Field(ge=0)] = 2.5
    max_mean: Annotated[float, Field(gt=0)] = 12.0

    def find(self, text: Text) -> Fault | None:
        """`words`, with what was counted."""
        count = len(text.words)
        if count < self.min:
            return Fault("words", measured("min", count, self.min, text.content))
        if self.max is not None and count > self.max:
            return Fault("words", measured("max", count, self.max, text.content))
        if count < _ENOUGH or _UNSPACED.search(text.content):
            return None
        mean = sum(map(len, text.words)) / count
        longest = max(text.words, key=len)
        if mean < self.min_mean:
            return Fault("words", measured("min_mean", mean, self.min_mean, text.content))
        if mean > self.max_mean:
            return Fault("words", measured("max_mean", mean, self.max_mean, longest))
        return None
