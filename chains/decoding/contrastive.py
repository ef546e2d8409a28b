"""Contrastive search: a probable token whose state is unlike all that was said before.

top_k 2:   "the"  p 0.6, most like an earlier token: cosine 0.9     0.4 * 0.6 - 0.6 * 0.9 = -0.30
           "a"    p 0.3, most like an earlier token: cosine 0.5     0.4 * 0.3 - 0.6 * 0.5 = -0.18
penalty_alpha 0.6: "a" is taken
"""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from chains.decoding.base import STRATEGIES, Decoding

if TYPE_CHECKING:
    from chains.decoding.search import Search, Vocabulary


@STRATEGIES.register
class Contrastive(Decoding):
    """Contrastive search (Su et al. 2022, equation 2); one prompt has one reply, so `n` is 1.

    Of the top_k most probable tokens the one with the highest (1 - penalty_alpha) p - penalty_alpha
    max cos(h, h_j): h is the last layer's state at the candidate, h_j those at the prompt's tokens
    and the reply's. Penalties and bans come before the softmax that p is of. Equal values go to the
    lowest token id. Every candidate is read by the model, so that a reply takes top_k rows.

    Attributes:
        top_k: Candidates of a step.
        penalty_alpha: Weight of the likeness, 0 (greedy) to 1.
    """

    deterministic: ClassVar[bool] = True
    needs_states: ClassVar[bool] = True

    strategy: Literal["contrastive"] = "contrastive"
    top_k: Annotated[int, Field(ge=2, le=64)] = 4
    penalty_alpha: Annotated[float, Field(ge=0, le=1)] = 0.6

    @model_validator(mode="after")
    def _one_reply(self) -> "Contrastive":
        if self.n != 1:
            raise ValueError("contrastive has one reply; use sample or diverse_beam for n > 1")
        return self

    def slots(self) -> int:
        """One row a candidate."""
        return self.top_k

    def search(self, vocabulary: "Vocabulary") -> "Search":
        """Contrastive search."""
        from chains.decoding.contrastive_search import ContrastiveSearch

        return ContrastiveSearch(self, vocabulary)
