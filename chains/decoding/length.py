"""The length of a reply, steered while it is written.

    LengthGuide(unit="words", min=45, max=55, target=50)

    The lighthouse ... for the night.        40 words: a sentence of 5 to 15 words would fit
    ... He lit the lamp, climbed down        46 words: full stops are pulled at, harder every word
    ... and went home.                       49 words, a sentence end: the reply is over

Nothing is cut or forced where the model has no natural end: a pull multiplies the odds of a full
stop, it does not put one behind "the". A reply that misses its window so is cut at the maximum
(finish "length"), for the caller to trim or to ask for again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from chains.decoding.guide import Guide, GuideSettings
from chains.text.measuring import Unit, measure
from chains.text.sentences import ends_sentence, open_quote

if TYPE_CHECKING:
    import torch

    from chains.calls import Finish
    from chains.decoding.growing_text import GrowingText
    from chains.decoding.search import Generated, Vocabulary

SENTENCE = {"words": 12, "tokens": 16, "sentences": 1}
"""A window with less left than this has no room for another sentence."""

PULL = 7.0
"""Nats by which the last unit of a window raises the tokens that end a sentence."""

HOLD = 6.0
"""Nats by which they are lowered where the sentence after this one would not fit any more."""

NATURAL = math.log(0.005)
"""Log-probability of a sentence end from which one is made sure of at the very end of a window."""


class LengthGuide(GuideSettings):
    """Steers the length of a reply into a window.

    Tokens are counted as they are generated, without the end token. At the end of a sentence
    inside the window the reply ends with a probability that rises from `min` to `target`, and for
    certain from there on, or when the rest of the window has no room for another sentence.

    Attributes:
        unit: What is counted.
        min: The least; no end token before it if `minimum`, and a stop string is text.
        max: The most; null for none. Behind it the reply is cut if `maximum`.
        target: Where the reply should end; null to leave that to the model, as far as the end of
            the window is not near.
        minimum: Whether the least is held to.
        pull: Whether sentence ends are pulled into the window.
        maximum: Whether the most is held to.
    """

    kind: Literal["length"] = "length"
    unit: Unit = "words"
    min: Annotated[int, Field(ge=0)] = 0
    max: Annotated[int, Field(ge=1)] | None = None
    target: Annotated[int, Field(ge=1)] | None = None
    minimum: bool = True
    pull: bool = True
    maximum: bool = True

    def open(self, vocabulary: "Vocabulary", prompt: Sequence[int]) -> Guide:
        """A guide at the beginning of a reply."""
        from chains.decoding.growing_text import GrowingText

        return _Steering(self, vocabulary, GrowingText(vocabulary.decode))

    def certain(self, count: int) -> bool:
        """Whether a sentence that ends at `count` is the last one, inside the window."""
        if self.max is not None and self.max - count < SENTENCE[self.unit]:
            return True
        return self.target is not None and count >= self.target

    def stopping(self, count: int) -> float:
        """The least probability of the reply's end at a sentence end, 0 to 1 (not included)."""
        if self.target is None:
            return 0.0
        return (count - self.min + 1) / (self.target - self.min + 2)

    def bonus(self, count: int) -> float:
        """Nats that are added to the tokens which end a sentence at `count`."""
        if self.max is None or self.unit == "sentences":
            return 0.0
        room = SENTENCE[self.unit]
        if count < self.min:
            return -HOLD if self.max - count < room else 0.0
        start = max(self.min, self.max - room)
        return PULL * max(0, count - start + 1) / (self.max - start + 1)


@dataclass(frozen=True, slots=True)
class _Tally:
    """Counts words without reading again what white space has closed."""

    settled: int = 0
    at: int = 0

    def read(self, text: str) -> tuple["_Tally", int]:
        border = max(text.rfind(" "), text.rfind("\n"))
        tally = self
        if border > self.at:
            tally = _Tally(self.settled + measure(text[self.at : border], "words"), border)
        return tally, tally.settled + measure(text[tally.at :], "words")


@dataclass(frozen=True, slots=True)
class _Steering(Guide):
    """The state of one sequence.

    Attributes:
        settings: The window.
        vocabulary: The model's tokens.
        text: So far.
        before: The text without the last token.
        tokens: How many were generated.
        tally: Of the words.
        count: Units so far, an unfinished sentence included.
        spared: Tokens within which no stop string counts.
        ended: Whether a sentence ends here.
        quote: The mark that would close an open quotation; empty for none.
    """

    settings: LengthGuide
    vocabulary: "Vocabulary"
    text: "GrowingText"
    before: str = ""
    tokens: int = 0
    tally: _Tally = field(default_factory=_Tally)
    count: int = 0
    spared: int = 0
    ended: bool = False
    quote: str = ""

    def follow(self, token: int) -> "_Steering":
        """One token further; an end token is not counted."""
        if token in self.vocabulary.ends:
            return self
        text = self.text.add(token)
        tally, count = self._count(text.text)
        ended = ends_sentence(text.text)
        tokens = self.tokens + 1
        complete = count - (self.settings.unit == "sentences" and not ended)
        return replace(
            self,
            text=text,
            before=self.text.text,
            tokens=tokens,
            tally=tally,
            count=count,
            spared=tokens if complete < self.settings.min else self.spared,
            ended=ended,
            quote=open_quote(text.text) if ended else "",
        )

    def _count(self, text: str) -> tuple[_Tally, int]:
        if self.settings.unit == "tokens":
            return self.tally, self.tokens + 1
        if self.settings.unit == "sentences":
            return self.tally, measure(text, "sentences")
        return self.tally.read(text)

    def steer(self, scores: "torch.Tensor") -> None:
        """Ban the end before the minimum; pull at sentence ends, and at the end behind them."""
        from chains.decoding.sentence_marks import marks_of

        settings = self.settings
        marks = marks_of(self.vocabulary, scores.shape[-1], scores.device)
        if settings.minimum and self._short():
            scores[marks.ends] = -math.inf
        if not settings.pull:
            return
        if self.ended and not self._short():
            quote = marks.quotes.get(self.quote, marks.ends)
            self._end(scores, quote if len(quote) else marks.ends)
            return
        # A mark adds a token and no word.
        reached = self.count + (settings.unit == "tokens")
        if settings.unit == "words" and reached == settings.max:
            self._close(scores, marks.closing, marks.outside)
        bonus = settings.bonus(reached)
        if bonus:
            scores[marks.closing] += bonus

    def _short(self) -> bool:
        unfinished = self.settings.unit == "sentences" and not self.ended
        return self.count - unfinished < self.settings.min

    def _end(self, scores: "torch.Tensor", ends: "torch.Tensor") -> None:
        """Behind a sentence: raise the end token, or first the mark of an open quotation."""
        certain = self.settings.certain(self.count)
        likely = self.settings.stopping(self.count)
        if not len(ends) or bool((scores[ends] == -math.inf).all()):
            return
        if certain:
            kept = scores[ends].clone()
            scores.fill_(-math.inf)
            scores[ends] = kept
        elif likely > 0:
            best = ends[scores[ends].argmax()]
            least = scores.logsumexp(-1) + math.log(likely / (1 - likely))
            scores[best] = scores[best].maximum(least)

    def _close(
        self, scores: "torch.Tensor", closing: "torch.Tensor", outside: "torch.Tensor"
    ) -> None:
        """In the window's last word: no further word, if the sentence can as well end here."""
        share = scores[closing].logsumexp(-1) - scores.logsumexp(-1)
        if float(share) >= NATURAL:
            scores.masked_fill_(outside, -math.inf)

    def verdict(self) -> "Finish | None":
        """Over behind the last sentence of the window, and at the maximum."""
        settings = self.settings
        if settings.unit == "tokens":
            full = settings.max is not None and self.count >= settings.max
            return "length" if settings.maximum and full else None
        if settings.maximum and settings.max is not None and self.count > settings.max:
            return "length"
        last = settings.pull and self.ended and not self.quote and not self._short()
        return "stop" if last and settings.certain(self.count) else None

    def least(self) -> int:
        """Tokens up to the minimum."""
        return self.spared if self.settings.minimum else 0

    def finish(self, generated: "Generated") -> "Generated":
        """Without the word or the sentence that went beyond the maximum."""
        settings = self.settings
        beyond = settings.max is not None and self.count > settings.max
        if generated.finish == "length" and settings.maximum and beyond:
            return replace(generated, text=self.before)
        return generated
