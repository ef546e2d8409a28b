"""Beam search: the best prefixes are kept; score = sum log p / length ** length_penalty.

step 1, num_beams 2:   "A" -0.5        "The" -1.1
step 2:                "A cat" -0.9    "The cat" -1.3     (of all continuations of both)
step 3:                "A cat." -1.0   finished: score -1.0 / 3 ** length_penalty
"""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from chains.decoding.base import STRATEGIES, Decoding

if TYPE_CHECKING:
    from chains.decoding.search import Search, Vocabulary


class Beams(Decoding):
    """What the strategies have in common that keep beams; the n replies are the n best, best first.

    Each reply's `score` is what it was ranked by: the sum of its step scores (log-probabilities
    after penalties) / length ** length_penalty.

    Attributes:
        num_beams: Width of the beam, at least n.
        length_penalty: Exponent of the length a hypothesis's score is divided by; above 0
            favours longer ones, 0 none.
        early_stopping: End as soon as num_beams hypotheses are finished, instead of when no
            running beam can still beat the worst of them.
    """

    joint: ClassVar[bool] = True

    num_beams: Annotated[int, Field(ge=2, le=64)] = 4
    length_penalty: float = 1.0
    early_stopping: bool = False

    @model_validator(mode="after")
    def _beams_hold_n(self) -> "Beams":
        if self.n > self.num_beams:
            raise ValueError(f"n {self.n} is above num_beams {self.num_beams}")
        return self

    def slots(self) -> int:
        """One row a beam."""
        return self.num_beams


@STRATEGIES.register
class Beam(Beams):
    """Beam search (Graves 2012; Wu et al. 2016 for the length penalty's purpose)."""

    deterministic: ClassVar[bool] = True
    engine: ClassVar[int] = 2

    strategy: Literal["beam"] = "beam"

    def search(self, vocabulary: "Vocabulary") -> "Search":
        """Beam search."""
        from chains.decoding.beam_search import BeamSearch

        return BeamSearch(self, vocabulary)
