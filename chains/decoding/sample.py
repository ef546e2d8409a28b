"""Sampling from the model's distribution, tempered and truncated.

Order of the steps: repetition, frequency and presence penalties on the logits, division by the
temperature, then top_k, top_p, min_p and typical_p, each on what the one before has left.
"""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from chains.decoding.base import STRATEGIES, Decoding

if TYPE_CHECKING:
    import torch

    from chains.decoding.noise import Noise
    from chains.decoding.search import History


@STRATEGIES.register
class Sample(Decoding):
    """Multinomial sampling (Gumbel-max with counter-based noise, so a row's draw is its own).

    Attributes:
        temperature: Divides the logits; below 1 sharpens. top_k: Keep the k most probable tokens;
        0 keeps all. top_p: Nucleus sampling (Holtzman et al. 2020): the smallest head with at
        least this mass. min_p: Keep p >= min_p * max p (Nguyen et al. 2024). typical_p: Locally
        typical sampling (Meister et al. 2023): by abs(-log p - H) to this mass.
        frequency_penalty: Subtracted from a logit once for each time the token was sampled
        (OpenAI). presence_penalty: Subtracted once if the token was sampled at all (OpenAI).
    """

    strategy: Literal["sample"] = "sample"
    temperature: Annotated[float, Field(gt=0, le=10)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.0
    typical_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] = 0.0
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] = 0.0

    def choose(self, scores: "torch.Tensor", noise: "Noise") -> "torch.Tensor":
        """One draw a row."""
        from chains.decoding.sampling import Truncation, draw

        rules = Truncation(self.temperature, self.top_k, self.top_p, self.min_p, self.typical_p)
        return draw(scores, noise, rules)

    def penalises(self) -> bool:
        """Whether any penalty is set."""
        return super().penalises() or bool(self.frequency_penalty or self.presence_penalty)

    def penalise(self, scores: "torch.Tensor", history: "History") -> "torch.Tensor":
        """The repetition penalty, then OpenAI's two: over sampled tokens, not over the prompt's."""
        scores = super().penalise(scores, history)
        drawn = history.drawn
        return scores - drawn * self.frequency_penalty - (drawn > 0) * self.presence_penalty
