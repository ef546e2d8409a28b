"""Maximal marginal relevance: passages that fit the query and do not repeat one another.

retriever: {kind: mmr, of: {kind: hybrid, of: [bm25, dense]}, lambda: 0.7}

Of three passages two of which say the same, the better of the two comes first and the third second.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import ConfigDict, Field

from chains.retrieval.base import (
    RETRIEVERS,
    AnyRetriever,
    Hit,
    Index,
    Passage,
    RetrieverSettings,
    SecondLook,
)
from chains.retrieval.hybrid import Hybrid
from chains.retrieval.resources import NOTHING, Resources

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@RETRIEVERS.register
class Mmr(RetrieverSettings):
    """Maximal marginal relevance (Carbonell and Goldstein 1998) over what a retriever finds.

    Again and again the passage is taken whose
    lambda * relevance - (1 - lambda) * its highest cosine with those taken before
    is greatest; of equal ones the retriever's first. Relevance is the retriever's score, scaled so
    that the best of the passages looked at has 1 and the worst 0. Hits are in the order in which
    they were taken and keep the retriever's scores.

    Attributes:
        of: The retriever.
        lambda_: How much relevance counts above novelty; 1 changes nothing.
        depth: How many of its passages are looked at, or as many as are wanted if more.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    kind: Literal["mmr"] = "mmr"
    of: AnyRetriever = Hybrid()
    lambda_: Annotated[float, Field(ge=0, le=1, alias="lambda")] = 0.7
    depth: Annotated[int, Field(ge=1)] = 20

    def parts(self) -> Mapping[str, RetrieverSettings]:
        """The retriever."""
        return {"of": self.of}

    def uses_embedder(self) -> bool:
        """It does: passages are compared by their embeddings."""
        return True

    def index(self, passages: Sequence[Passage], resources: Resources = NOTHING) -> Index:
        """The retriever's index, with the texts to be compared."""

        def reorder(queries: Sequence[str], found: list[list[Hit]], k: int) -> list[list[Hit]]:
            places = sorted({hit.place for hits in found for hit in hits})
            vectors = resources.embed([passages[place].text for place in places])
            rows = {place: row for row, place in enumerate(places)}
            return [
                diversified(hits, vectors[[rows[hit.place] for hit in hits]], self.lambda_, k)
                for hits in found
            ]

        return SecondLook(self.of.index(passages, resources), self.depth, reorder)


def diversified(
    hits: Sequence[Hit], vectors: "NDArray[np.float32]", lambda_: float, k: int
) -> list[Hit]:
    """The first `k` of `hits` by maximal marginal relevance.

    Args:
        hits: Best first.
        vectors: Their unit vectors [len(hits), dimensions], of float16 numbers.
        lambda_: The weight of relevance, 0 to 1.
        k: How many are taken.
    """
    import numpy as np

    if not hits:
        return []
    wide = vectors.astype(np.float64)  # sums of products are exact: see `chains.retrieval.dense`
    cosines = wide @ wide.T
    scores = np.array([hit.score for hit in hits])
    spread = scores.max() - scores.min()
    relevance = (scores - scores.min()) / spread if spread else np.ones(len(hits))
    nearest = np.zeros(len(hits))
    left = np.ones(len(hits), dtype=bool)
    taken: list[Hit] = []
    while left.any() and len(taken) < k:
        worth = np.where(left, lambda_ * relevance - (1 - lambda_) * nearest, -np.inf)
        best = int(worth.argmax())
        left[best] = False
        nearest = cosines[best] if not taken else np.maximum(nearest, cosines[best])
        taken.append(hits[best])
    return taken
