"""How long a text is, in words, tokens or sentences, and whether that lies inside a window.

length = Length(unit="words", min=5, max=25)
length.fault("Too short.")  ->  Fault("too_short", {"length": 2, "min": 5, ...})
"""

import re
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.rows import Fault
from pipelines.sentences import sentences

Unit = Literal["words", "tokens", "sentences"]
CountTokens = Callable[[str], int]

# Scripts without spaces between words: each character counts as a word, as in word processors.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_PIECE = re.compile(rf"[{_UNSPACED}]|[^\s—…{_UNSPACED}]+")
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")


class Length(BaseModel):
    """A window for the length of a text, both ends included.

    Attributes:
        unit: Words, tokens of a model's own tokenizer, or sentences.
        min: The least length allowed.
        max: The greatest length allowed; none if left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: Unit = "words"
    min: Annotated[int, Field(ge=0)] = 0
    max: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _window_is_possible(self) -> "Length":
        if self.min == 0 and self.max is None:
            raise ValueError(
                "a length without min and max lets everything through: give one of them"
            )
        if self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}: no text fits")
        return self

    def fault(self, text: str, count_tokens: CountTokens | None = None) -> Fault | None:
        """Why `text` does not fit: `too_short` or `too_long`, with its length and the window.

        Args:
            text: The text to measure.
            count_tokens: Needed for the unit tokens only: the length of a text in tokens.
        """
        length = measure(text, self.unit, count_tokens)
        too_long = self.max is not None and length > self.max
        if length >= self.min and not too_long:
            return None
        detail = {"unit": self.unit, "length": length, "min": self.min, "max": self.max}
        return Fault("too_long" if too_long else "too_short", detail)


def measure(text: str, unit: Unit, count_tokens: CountTokens | None = None) -> int:
    """The length of `text` in `unit`.

    A word is a piece between white space (or dashes set as —) with a letter or a digit in it; a
    Chinese character or a Japanese kana is one word. Sentences are counted by
    `pipelines.sentences`; an unfinished one at the end counts.

    Raises:
        ValueError: The unit is tokens and there is no `count_tokens`.
    """
    if unit == "words":
        return sum(1 for piece in _PIECE.findall(text) if _LETTER_OR_DIGIT.search(piece))
    if unit == "sentences":
        return len(sentences(text))
    if count_tokens is None:
        raise ValueError("to count tokens, give count_tokens")
    return count_tokens(text)
