"""Sampling from the model's distribution, tempered and truncated.

Order of the steps, which is that of `generate` in transformers: penalties and bans on the logits,
division by the temperature, then top_h, top_k, top_p, min_p, typical_p and eta, each on what the
one before has left.
"""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from chains.decoding.base import STRATEGIES, Decoding

if TYPE_CHECKING:
    import torch

    from chains.decoding.noise import Noise


@STRATEGIES.register
class Sample(Decoding):
    """Multinomial sampling with counter-based noise, so that a row's draw is its own.

    Attributes:
        temperature: Divides the logits; below 1 sharpens.
        top_k: Keep the k most probable tokens; 0 keeps all.
        top_p: Nucleus sampling (Holtzman et al. 2020): the smallest head with at least this mass.
        min_p: Keep p >= min_p * max p (Nguyen et al. 2024).
        typical_p: Locally typical sampling (Meister et al. 2023): by abs(-log p - H) to this mass.
        eta: Eta sampling (Hewitt et al. 2022): keep p >= min(eta, sqrt(eta) * exp(-H)), H the
            entropy; 0 keeps all.
        top_h: Top-H decoding (Potraghloo et al. 2025) as in transformers: the longest head of the
            100 most probable tokens whose terms -p log p add up to at most this part of their sum;
            1 keeps all.
    """

    engine: ClassVar[int] = 2

    strategy: Literal["sample"] = "sample"
    temperature: Annotated[float, Field(gt=0, le=10)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.0
    typical_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    eta: Annotated[float, Field(ge=0, lt=1)] = 0.0
    top_h: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _rules_agree(self) -> "Sample":
        by_entropy = {"typical_p": self.typical_p < 1, "eta": self.eta > 0, "top_h": self.top_h < 1}
        used = [name for name, is_set in by_entropy.items() if is_set]
        if len(used) > 1:
            names = " and ".join(used)
            problem = f"{names} each cut by the entropy of the whole distribution"
            raise ValueError(f"{problem}, which the other has changed; keep one of them")
        if self.n > 1 and self.top_k == 1:
            raise ValueError(f"top_k 1 leaves one token, so that all {self.n} replies are the same")
        return self

    def choose(self, scores: "torch.Tensor", noise: "Noise") -> "torch.Tensor":
        """One draw a row."""
        from chains.decoding.sampling import draw
        from chains.decoding.truncation import Truncation

        rules = Truncation(**{name: getattr(self, name) for name in Truncation.__annotations__})
        return draw(scores, noise, rules)
