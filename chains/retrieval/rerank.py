"""Reranking: a cross-encoder reads the query with each of the passages another retriever found.

retriever: {kind: rerank, of: bm25, model: judge, depth: 20}

The model is one of the job's: a sequence classifier that was trained on pairs of a query and a
passage, with one output (as MS MARCO cross-encoders have) or with a label for what answers.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field

from chains.retrieval.base import (
    RETRIEVERS,
    AnyRetriever,
    Hit,
    Index,
    Judge,
    Passage,
    RetrieverSettings,
    SecondLook,
    by_rank,
)
from chains.retrieval.bm25 import Bm25
from chains.retrieval.resources import NOTHING, Resources

_log = logging.getLogger(__name__)


@RETRIEVERS.register
class Rerank(RetrieverSettings):
    """The first passages of a retriever in the order of a cross-encoder (Nogueira and Cho 2019).

    The score is the logistic function of the model's one output, or the probability of its label;
    0 to 1. A passage that the model cannot read together with the query, mostly because both are
    longer than its window, is no hit.

    Attributes:
        of: The retriever.
        model: The classifier's name among the job's models.
        label: The label whose probability is the score; left out, the model has one output.
        depth: How many passages the model reads for a query, or as many as are wanted if more.
    """

    kind: Literal["rerank"] = "rerank"
    of: AnyRetriever = Bm25()
    model: Annotated[str, Field(min_length=1)]
    label: str = ""
    depth: Annotated[int, Field(ge=1)] = 20

    def parts(self) -> Mapping[str, RetrieverSettings]:
        """The retriever."""
        return {"of": self.of}

    def judges(self) -> dict[str, Judge]:
        """The classifier, and those that the retriever asks."""
        return {**super().judges(), "model": Judge(self.model, self.label)}

    def index(self, passages: Sequence[Passage], resources: Resources = NOTHING) -> Index:
        """The retriever's index, with the texts to be read again."""

        def reorder(queries: Sequence[str], found: list[list[Hit]], k: int) -> list[list[Hit]]:
            asked = zip(queries, found, strict=True)
            pairs = [(query, passages[hit.place].text) for query, hits in asked for hit in hits]
            scores = iter(self._judged(pairs, resources))
            return [_ranked([(hit, next(scores)) for hit in hits])[:k] for hits in found]

        return SecondLook(self.of.index(passages, resources), self.depth, reorder)

    def _judged(self, pairs: Sequence[tuple[str, str]], resources: Resources) -> list[float | None]:
        scores = resources.judge(self.model, self.label, pairs) if pairs else []
        unread = sum(score is None for score in scores)
        if unread:
            _log.warning(
                "%d of %d pairs could not be judged by '%s': shorter passages may fit its window",
                unread,
                len(scores),
                self.model,
            )
        return scores


def _ranked(judged: Sequence[tuple[Hit, float | None]]) -> list[Hit]:
    return sorted((Hit(h.place, s) for h, s in judged if s is not None), key=by_rank)
