"""Greedy search: the most probable token at every step, ties to the lowest token id."""

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import model_validator

from chains.decoding.base import STRATEGIES, Decoding

if TYPE_CHECKING:
    import torch

    from chains.decoding.noise import Noise


@STRATEGIES.register
class Greedy(Decoding):
    """Argmax at every step. One prompt has one greedy reply, so `n` is 1."""

    deterministic: ClassVar[bool] = True

    strategy: Literal["greedy"] = "greedy"

    @model_validator(mode="after")
    def _one_reply(self) -> "Greedy":
        if self.n != 1:
            raise ValueError("greedy has one reply; use strategy sample or beam for n > 1")
        return self

    def choose(self, scores: "torch.Tensor", noise: "Noise") -> "torch.Tensor":
        """The best token."""
        from chains.decoding.ranking import best

        return best(scores)
