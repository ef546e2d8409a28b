"""Several retrievers together: their rankings are fused, whatever their scores mean.

retriever: {kind: hybrid, of: [bm25, dense], weights: [1, 2]}

A passage that bm25 has first and dense second scores 1 / (60 + 1) + 2 / (60 + 2) = 0.0487.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from chains.retrieval.base import (
    RETRIEVERS,
    AnyRetriever,
    Hit,
    Index,
    Passage,
    RetrieverSettings,
    Without,
    by_rank,
)
from chains.retrieval.bm25 import Bm25
from chains.retrieval.dense import Dense
from chains.retrieval.resources import NOTHING, Resources

Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@RETRIEVERS.register
class Hybrid(RetrieverSettings):
    """Reciprocal rank fusion (Cormack, Clarke and Büttcher 2009).

    The score of a passage is the sum, over the retrievers that find it, of weight / (k + rank),
    ranks counting from 1. Passages of equal score stand by their place among those indexed.

    Attributes:
        of: The retrievers, two or more.
        weights: One for each; left out, all are 1.
        k: How little the first ranks count above the next ones.
        depth: How many passages of each retriever are fused, or as many as are wanted if more.
    """

    kind: Literal["hybrid"] = "hybrid"
    of: Annotated[tuple[AnyRetriever, ...], Field(min_length=2)] = (Bm25(), Dense())
    weights: tuple[Weight, ...] = ()
    k: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60
    depth: Annotated[int, Field(ge=1)] = 100

    @model_validator(mode="after")
    def _a_weight_each(self) -> "Hybrid":
        if self.weights and len(self.weights) != len(self.of):
            given = f"{len(self.weights)} weights for {len(self.of)} retrievers"
            raise ValueError(f"{given}: write one for each, or leave 'weights' out")
        return self

    def parts(self) -> Mapping[str, RetrieverSettings]:
        """The retrievers."""
        return {f"of.{number}": part for number, part in enumerate(self.of)}

    def index(self, passages: Sequence[Passage], resources: Resources = NOTHING) -> Index:
        """An index of each retriever, over the same passages."""
        indexes = [part.index(passages, resources) for part in self.of]
        weights = self.weights or (1.0,) * len(indexes)
        return _HybridIndex(list(zip(weights, indexes, strict=True)), self.k, self.depth)


class _HybridIndex:
    def __init__(self, parts: Sequence[tuple[float, Index]], k: float, depth: int) -> None:
        self._parts = parts
        self._k = k
        self._depth = depth

    def search(self, queries: Sequence[str], k: int, without: Without = ()) -> list[list[Hit]]:
        """For each query the passages of the fused ranking."""
        if k < 1:
            return [[] for _ in queries]
        depth = max(k, self._depth)
        found = [(weight, index.search(queries, depth, without)) for weight, index in self._parts]
        return [
            fuse([(weight, hits[number]) for weight, hits in found], self._k)[:k]
            for number in range(len(queries))
        ]


def fuse(rankings: Sequence[tuple[float, Sequence[Hit]]], k: float) -> list[Hit]:
    """One ranking of several: each a weight and its hits, best first."""
    scores: dict[int, float] = {}
    for weight, hits in rankings:
        for rank, hit in enumerate(hits, start=1):
            scores[hit.place] = scores.get(hit.place, 0.0) + weight / (k + rank)
    return sorted((Hit(place, score) for place, score in scores.items()), key=by_rank)
