"""Diverse beam search: groups of beams, each kept from saying what the earlier ones say.

num_beams 4, num_beam_groups 2, at one step:
group 1 goes on with "cat" and "dog"
group 2 ranks its candidates with diversity_penalty taken from "cat" and from "dog"
"""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from chains.decoding.base import STRATEGIES
from chains.decoding.beam import Beams

if TYPE_CHECKING:
    from chains.decoding.search import Search, Vocabulary


@STRATEGIES.register
class DiverseBeam(Beams):
    """Diverse beam search with Hamming diversity (Vijayakumar et al. 2016, algorithm 1).

    The groups advance in order within every step. From the step score of a token a group takes
    diversity_penalty for every beam of an earlier group that chose this token at this step; tokens
    that end a reply are free, as in transformers 4. What was taken stays in the sums that beams and
    replies are ranked by. Every group is a beam search of its own; of all hypotheses the n best are
    the replies, best first, those of equal tokens last.

    Attributes:
        num_beam_groups: Groups of equal size; divides num_beams.
        diversity_penalty: What a token costs for each earlier beam that has it, in nats; the paper
            finds 0.2 to 0.8 best.
    """

    deterministic: ClassVar[bool] = True

    strategy: Literal["diverse_beam"] = "diverse_beam"
    num_beam_groups: Annotated[int, Field(ge=2, le=64)] = 2
    diversity_penalty: Annotated[float, Field(ge=0, le=100)] = 0.5

    @model_validator(mode="after")
    def _groups_are_equal(self) -> "DiverseBeam":
        if self.num_beams % self.num_beam_groups:
            raise ValueError(
                f"num_beams {self.num_beams} is no multiple of "
                f"num_beam_groups {self.num_beam_groups}"
            )
        return self

    def search(self, vocabulary: "Vocabulary") -> "Search":
        """Diverse beam search."""
        from chains.decoding.diverse_beam_search import DiverseBeamSearch

        return DiverseBeamSearch(self, vocabulary)
