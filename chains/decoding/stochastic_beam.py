"""Stochastic beam search: sequences drawn without replacement, each with its importance weight.

num_beams 3, n 3:     "Blue."  log p -1.2    "Red."  log p -1.9    "Sky blue."  log p -4.1
no two are equal; sum of exp(score) f(text) estimates the mean of f over all texts without bias
"""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from chains.decoding.base import STRATEGIES, Decoding

if TYPE_CHECKING:
    from chains.decoding.search import Search, Vocabulary


@STRATEGIES.register
class StochasticBeam(Decoding):
    """Sampling without replacement by Gumbel-top-k over sequences (Kool et al. 2019).

    The n replies are distinct sequences of tokens, the highest by perturbed log-probability first:
    the order in which draws without replacement would come. A reply's `score` is its log importance
    weight log p - log q. Here p is the probability that the sequence is drawn with (tempered,
    penalties and bans applied; `logprob` is the model's own), and q = 1 - exp(-exp(log p - kappa))
    that of being among the replies given kappa, the perturbed log-probability of the next one.

    Attributes:
        num_beams: Sequences followed at once, at least n; more than n change no reply.
        temperature: Divides the logits; below 1 sharpens.
    """

    joint: ClassVar[bool] = True

    strategy: Literal["stochastic_beam"] = "stochastic_beam"
    num_beams: Annotated[int, Field(ge=2, le=64)] = 4
    temperature: Annotated[float, Field(gt=0, le=10)] = 1.0

    @model_validator(mode="after")
    def _beams_hold_n(self) -> "StochasticBeam":
        if self.n > self.num_beams:
            raise ValueError(f"n {self.n} is above num_beams {self.num_beams}")
        return self

    def slots(self) -> int:
        """One row a beam."""
        return self.num_beams

    def search(self, vocabulary: "Vocabulary") -> "Search":
        """Stochastic beam search."""
        from chains.decoding.stochastic_beam_search import StochasticBeamSearch

        return StochasticBeamSearch(self, vocabulary)
