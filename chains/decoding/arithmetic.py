"""Arithmetic sampling: n replies spread evenly over the model's distribution.

n 3, U 0.2:   codes 0.45, 0.70, 0.95          c_i = (i / (n + 1) + U) mod 1
first token:  "A" [0, 0.5)  "B" [0.5, 0.8)  "C" [0.8, 1)      ->  "A", "B", "C"
then each code is rescaled: 0.45 -> (0.45 - 0) / 0.5 = 0.9, and read again
"""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from chains.decoding.base import STRATEGIES, Decoding

if TYPE_CHECKING:
    from chains.decoding.search import Search, Vocabulary


@STRATEGIES.register
class Arithmetic(Decoding):
    """Arithmetic sampling (Vilnis et al. 2023).

    Every reply alone is a sample of the (tempered, truncated) distribution; together the n replies
    cover it more evenly than independent ones. A code is a number in [0, 1) that the model decodes
    as arithmetic coding would; the codes are evenly spaced from one uniform number of the call's
    seed. Tokens lie on the unit interval in the order of their ids, as in the paper: an order by
    probability would be as right, and would only place similar replies elsewhere. The n replies
    come in the order of their codes' numbers i, 1 to n.

    Attributes:
        temperature: Divides the logits; below 1 sharpens. top_k: Keep the k most probable tokens;
        0 keeps all. top_p: Nucleus sampling, the smallest head with at least this mass.
    """

    joint: ClassVar[bool] = True

    strategy: Literal["arithmetic"] = "arithmetic"
    n: Annotated[int, Field(ge=1, le=1024)] = 1
    temperature: Annotated[float, Field(gt=0, le=10)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0

    def slots(self) -> int:
        """One row a reply, once no two of them begin alike."""
        return self.n

    def search(self, vocabulary: "Vocabulary") -> "Search":
        """Arithmetic sampling."""
        from chains.decoding.arithmetic_search import ArithmeticSearch

        return ArithmeticSearch(self, vocabulary)
