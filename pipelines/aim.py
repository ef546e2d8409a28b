"""What one reply is to be like: its own window and target, and what is done for them.

aim = Aim.at(Length(target=50), seed=812)
aim.said(messages)             # with "Reply in about 50 words." at the end
aim.guides()                   # for the decoding of a local model
aim.settled(text, cut=True)    # trimmed to the sentence end that is nearest to 50 words
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chains.calls import Message, Reply
from chains.decoding.guide import GuideSettings
from chains.decoding.length import LengthGuide
from chains.text.measuring import CountTokens, measure
from chains.text.sentences import sentence_ends
from pipelines.drawing.targets import drawn
from pipelines.length import Length, Window
from pipelines.rows import JSON, Fault

WORDS_PER_TOKEN = 0.75
"""Models know nothing of their tokens: a wording says words. A usual ratio for English text."""

SETTLED_BY = ("prompt", "guide", "maximum", "candidates", "trim", "retry")
"""The last layer that had to act for a reply, from the least to the most trouble."""


class Settled(NamedTuple):
    """A reply's text as it is taken.

    Attributes:
        text: The text.
        length: In the window's unit.
        trimmed: Whether it was taken back to a sentence end.
    """

    text: str
    length: int
    trimmed: bool


@dataclass(frozen=True, slots=True)
class Trial:
    """One reply that is asked for.

    Attributes:
        slot: Which of the wanted replies it may become.
        attempt: From 0.
        candidate: From 0, within the attempt.
        guided: Whether its decoding was steered.
        stops: Whether it may end with a stop string.
        max_tokens: Of its decoding.
        allow_cut: Whether it may be cut there.
    """

    slot: int
    attempt: int
    candidate: int = 0
    guided: bool = False
    stops: bool = False
    max_tokens: int = 0
    allow_cut: bool = False


class Judged(NamedTuple):
    """What a reply's length comes to.

    Attributes:
        text: The text, trimmed or whole.
        fault: Why it is refused, if it is.
        event: For the history: length, target, deviation, and the layer that settled it.
    """

    text: str
    fault: Fault | None
    event: dict[str, JSON]


@dataclass(frozen=True, slots=True)
class Aim:
    """The length of one reply.

    Attributes:
        length: The settings.
        window: The bounds.
        target: The length wanted; None where only bounds are given.
    """

    length: Length
    window: Window
    target: int | None

    @classmethod
    def at(cls, length: Length, seed: int) -> "Aim":
        """The aim of the reply with that seed."""
        if length.target is None:
            return cls(length, Window(unit=length.unit, min=length.min, max=length.max), None)
        target = drawn(length.target, seed)
        reach = length.tolerance if length.tolerance >= 1 else target * length.tolerance
        # A hair wider, so that 10 % of 50 are 5 whatever the binary fraction.
        least, most = math.ceil(target - reach - 1e-9), math.floor(target + reach + 1e-9)
        return cls(length, Window(unit=length.unit, min=max(1, least), max=most), target)

    def said(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """The chat with the instruction at the end of its last user message."""
        users = [place for place, message in enumerate(messages) if message.role == "user"]
        if "wording" not in self.length.layers or not users:
            return tuple(messages)
        last = messages[users[-1]]
        told = last._replace(content=f"{last.content.rstrip()}\n\n{self.wording()}")
        return (*messages[: users[-1]], told, *messages[users[-1] + 1 :])

    def wording(self) -> str:
        """The instruction."""
        least, most, target = self.window.min, self.window.max, self.target
        numbers = {"target": target, "min": least, "max": most}
        unit: str = self.window.unit
        if unit == "tokens":
            unit = "words"
            numbers = {k: v and max(1, round(v * WORDS_PER_TOKEN)) for k, v in numbers.items()}
        text = self.length.wording or _usual(self.window, target)
        last = [numbers[name] for name in ("target", "max", "min") if f"{{{name}}}" in text]
        named = unit[:-1] if last[:1] == [1] else unit
        return text.format(**numbers, unit=named)

    def guides(self) -> tuple[GuideSettings, ...]:
        """What steers the decoding of a model on this machine."""
        layers = set(self.length.layers)
        if not layers & {"minimum", "pull", "maximum"}:
            return ()
        guide = LengthGuide(
            unit=self.window.unit,
            min=self.window.min,
            max=self.window.max,
            target=self.target,
            minimum="minimum" in layers,
            pull="pull" in layers,
            maximum="maximum" in layers,
        )
        return (guide,)

    def settled(
        self, text: str, *, cut: bool, tokens: int = 0, count: CountTokens | None = None
    ) -> Settled:
        """The text, trimmed where it is cut or outside the window and a sentence ends inside.

        Args:
            text: Of the reply.
            cut: Whether it was cut, by `max_tokens` or the layer `maximum`.
            tokens: Generated for the text; 0 where that is not known and `count` has to tell.
            count: Needed for the unit tokens.
        """
        unit = self.window.unit
        length = tokens if unit == "tokens" and tokens else measure(text, unit, count)
        whole = Settled(text, length, trimmed=False)
        fits = self.window.holds(length)
        exact = unit == "tokens" and self.window.min == self.window.max
        good = fits and (exact or not cut or _finished(text))
        if good or "trim" not in self.length.layers:
            return whole
        parts = [Settled(text[:end], 0, trimmed=True) for end in sentence_ends(text)]
        measured = (part._replace(length=measure(part.text, unit, count)) for part in parts)
        return self._nearest(part for part in measured if self.window.holds(part.length)) or whole

    def _nearest(self, parts: Iterable[Settled]) -> Settled | None:
        goal = self.target if self.target is not None else math.inf
        return min(parts, key=lambda part: (abs(goal - part.length), -part.length), default=None)

    def judged(self, reply: Reply, text: str, trial: Trial, count: CountTokens) -> Judged:
        """Whether a reply has this length, after it was trimmed where that helps.

        Args:
            reply: Of the model.
            text: What was read from it.
            trial: How it came about.
            count: Tokens of a text, for the unit tokens.
        """
        cut = reply.finish == "length"
        # The end token of a reply that was not cut is none of the text's.
        tokens = 0 if trial.stops else max(0, reply.completion_tokens - (not cut))
        settled = self.settled(text, cut=cut, tokens=tokens, count=count)
        fault = self.window.fault_of(settled.length)
        if cut and not trial.allow_cut and not self._stands(settled):
            detail = self.window.detail(settled.length)
            most = self.window.max
            beyond = most is not None and settled.length >= most
            if beyond and reply.completion_tokens < trial.max_tokens:
                fault = Fault("too_long", detail)  # it was cut for going on
            else:
                fault = Fault("cut_at_max_tokens", {"max_tokens": trial.max_tokens, **detail})
        event: dict[str, JSON] = {"unit": self.window.unit, "length": settled.length}
        if self.target is not None:
            event["target"] = self.target
            event["deviation"] = round((settled.length - self.target) / self.target, 4)
        event["layer"] = _layer(trial, settled, cut=cut)
        return Judged(settled.text, fault, event)

    def _stands(self, settled: Settled) -> bool:
        """Whether a text that was cut may stand: a sentence ends it, or tokens were asked for."""
        complete = self.window.unit == "tokens" or _finished(settled.text)
        return complete and self.window.holds(settled.length)

    def distance(self, length: int) -> int:
        """Units between a length and the target, or the nearer end of the window."""
        if self.target is not None:
            return abs(length - self.target)
        most = self.window.max if self.window.max is not None else length
        return max(self.window.min - length, length - most, 0)


def _layer(trial: Trial, settled: Settled, *, cut: bool) -> str:
    """The last of the layers that had to act."""
    if trial.attempt:
        return "retry"
    if settled.trimmed:
        return "trim"
    if trial.candidate:
        return "candidates"
    if cut:
        return "maximum"
    return "guide" if trial.guided else "prompt"


def _finished(text: str) -> bool:
    return sentence_ends(text)[-1:] == [len(text.rstrip())]


def _usual(window: Window, target: int | None) -> str:
    if window.min == window.max:
        return "Reply in exactly {max} {unit}."
    if target is not None:
        return "Reply in about {target} {unit}."
    if window.max is None:
        return "Reply in at least {min} {unit}."
    if window.min == 0:
        return "Reply in at most {max} {unit}."
    return "Reply in {min} to {max} {unit}."
