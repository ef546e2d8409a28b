"""Reranking: a cross-encoder reads the query with each of the passages another retriever found.

retriever: {kind: rerank, of: bm25, model: judge, depth: 20}

The model is one of the job's: a sequence classifier that was trained on pairs of a query and a
passage, with one output (as MS MARCO cross-encoders have) or with a label for what answers.
"""

import logging
from collections.abc import Mapping, Sequence
from itertools import pairwise
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
    Without,
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
        inner = self.of.index(passages, resources)
        return _RerankIndex(self, inner, [passage.text for passage in passages], resources)


class _RerankIndex:
    def __init__(
        self, settings: Rerank, inner: Index, texts: Sequence[str], resources: Resources
    ) -> None:
        self._settings = settings
        self._inner = inner
        self._texts = texts
        self._resources = resources

    def search(self, queries: Sequence[str], k: int, without: Without = ()) -> list[list[Hit]]:
        """For each query the best of those that the retriever found."""
        if k < 1:
            return [[] for _ in queries]
        found = self._inner.search(queries, max(k, self._settings.depth), without)
        scores = self._judged(
            [
                (query, self._texts[hit.place])
                for query, hits in zip(queries, found, strict=True)
                for hit in hits
            ]
        )
        starts = [0]
        for hits in found:
            starts.append(starts[-1] + len(hits))
        return [
            _ranked(hits, scores[start:end])[:k]
            for hits, (start, end) in zip(found, pairwise(starts), strict=True)
        ]

    def _judged(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        model, label = self._settings.model, self._settings.label
        scores = self._resources.judge(model, label, pairs) if pairs else []
        unread = sum(score is None for score in scores)
        if unread:
            _log.warning(
                "%d of %d pairs could not be judged by '%s': shorter passages may fit its window",
                unread,
                len(scores),
                model,
            )
        return scores


def _ranked(hits: Sequence[Hit], scores: Sequence[float | None]) -> list[Hit]:
    judged = zip(hits, scores, strict=True)
    return sorted((Hit(h.place, s) for h, s in judged if s is not None), key=by_rank)
