"""How long a text may be, and how a model is brought to write one of that length.

window = Window(unit="words", min=5, max=25)
window.fault("Too short.")               # Fault("too_short", {"length": 2, "min": 5, ...})
Length(target=50, tolerance=0.1)         # 45 to 55 words, 50 if it can be
"""

import string
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chains.decoding import Decoding
from chains.text.measuring import CountTokens, Unit, measure
from pipelines.drawing.targets import AnyTarget, greatest
from pipelines.rows import JSON, Fault
from prompts.errors import UsageError

Layer = Literal["wording", "minimum", "pull", "maximum", "trim"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
PLACEHOLDERS = {"target", "min", "max", "unit"}


class Window(BaseModel):
    """Bounds for the length of a text, both ends included.

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
    def _window_is_possible(self) -> "Window":
        if self.open_ended():
            raise ValueError(
                "a length without min and max lets everything through: give one of them"
            )
        if self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min} is above max {self.max}: no text fits")
        return self

    def open_ended(self) -> bool:
        """Whether nothing bounds a length."""
        return self.min == 0 and self.max is None

    def holds(self, length: int) -> bool:
        """Whether that length is inside."""
        return length >= self.min and (self.max is None or length <= self.max)

    def fault(self, text: str, count_tokens: CountTokens | None = None) -> Fault | None:
        """Why `text` does not fit: `too_short` or `too_long`, with its length and the window.

        Args:
            text: The text to measure.
            count_tokens: Needed for the unit tokens only: the length of a text in tokens.
        """
        return self.fault_of(measure(text, self.unit, count_tokens))

    def fault_of(self, length: int) -> Fault | None:
        """Why a text of that length does not fit."""
        if self.holds(length):
            return None
        return Fault("too_short" if length < self.min else "too_long", self.detail(length))

    def detail(self, length: int) -> dict[str, JSON]:
        """The evidence of a fault."""
        return {"unit": self.unit, "length": length, "min": self.min, "max": self.max}


class Length(Window):
    """The length of a model's replies, and the layers that bring it about.

    Attributes:
        target: Instead of min and max: the length wanted, or what each reply's own is drawn from.
        tolerance: How far from the target a length may be: below 1 a share of it, from 1 on units.
        layers: What is done: `wording` tells the model; `minimum` lets no reply end before the
            least; `pull` ends it behind a sentence inside the window; `maximum` cuts it behind the
            most; `trim` takes it back to a sentence end inside the window.
        wording: The instruction, in place of the usual one: `{target}`, `{min}`, `{max}` and
            `{unit}` stand for what they say.
        candidates: Where the first reply misses the window, so many are made in all and the nearest
            to the target is taken.
    """

    target: AnyTarget | None = None
    tolerance: Annotated[float, Field(ge=0)] = 0.1
    layers: tuple[Layer, ...] = LAYERS
    wording: str = ""
    candidates: Annotated[int, Field(ge=1, le=100)] = 1

    def open_ended(self) -> bool:
        """Whether there is neither a bound nor a target."""
        return super().open_ended() and self.target is None

    @model_validator(mode="after")
    def _one_way_to_say_it(self) -> "Length":
        if self.target is not None and (self.min or self.max is not None):
            raise ValueError("give min and max, or a target and its tolerance, not both")
        if self.tolerance >= 1 and self.tolerance != int(self.tolerance):
            raise ValueError("from 1 on a tolerance is a whole number of units")
        return self

    @model_validator(mode="after")
    def _wording_can_be_filled_in(self) -> "Length":
        try:
            found = {name for _, name, _, _ in string.Formatter().parse(self.wording) if name}
            plain = self.wording.format(**dict.fromkeys(PLACEHOLDERS, "")) is not None
        except (ValueError, KeyError, IndexError, AttributeError):
            found, plain = set(), False
        if not plain or found - PLACEHOLDERS:
            raise ValueError("a wording has no other braces than {target}, {min}, {max}, {unit}")
        missing = {"target": self.target is None, "max": self.target is None and self.max is None}
        for name in sorted(found):
            if missing.get(name):
                raise ValueError(f"the wording says {{{name}}}, which this length does not have")
        if self.wording and "wording" not in self.layers:
            raise ValueError("the layer wording is switched off: leave the text out, or list it")
        return self

    def check(self, decoding: Decoding) -> None:
        """Check that a reply decoded so can have this length.

        Raises:
            UsageError: It cannot, or the two settings contradict each other.
        """
        target = self.target and greatest(self.target)
        needed = target or self.min  # at least one token for each word or sentence
        if decoding.max_tokens < needed:
            problem = f"{decoding.max_tokens} tokens do not hold {needed} {self.unit}"
            fix = f"raise it to {needed if self.unit == 'tokens' else _tokens(needed, self.unit)}"
            raise UsageError(problem, fix=fix, key="decoding.max_tokens")
        if decoding.min_tokens and "minimum" in self.layers:
            problem = "'min_tokens' and 'length' both say when a reply may end"
            raise UsageError(problem, fix="leave out min_tokens", key="decoding.min_tokens")
        if self.candidates > 1 and (decoding.deterministic or decoding.joint):
            problem = "this strategy gives one prompt the same replies every time"
            if decoding.joint and not decoding.deterministic:
                problem = "this strategy gives its replies together"
            fix = "leave candidates out, or take 'strategy: sample'"
            raise UsageError(problem, fix=fix, key="length.candidates")


def _tokens(count: int, unit: Unit) -> int:
    """Tokens that are enough for so many units of English text."""
    return count * (2 if unit == "words" else 40)
