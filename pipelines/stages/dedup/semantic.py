"""Method `semantic`: the cosine of two texts' embeddings.

"How can I be a good geologist?"
"What should I do to be a great geologist?"      ->   {"similarity": 0.9412}

Up to `exact_up_to` known texts, every one is compared. Beyond, these are parted into clusters by
spherical k-means, and a text is compared with those of the clusters that are nearest to it
(SemDeDup; Abbas et al. 2023).
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, Self

import numpy as np

from pipelines.rows import JSON
from pipelines.stages.dedup.clusters import Clusters, train
from pipelines.stages.dedup.index import Array, by_place, grown, together

Embedding = Callable[[Sequence[str]], Array]

_BLOCK = 8_192  # known texts compared at once: 12 MiB of vectors of 384 numbers
_SLACK = 1e-3  # more than float32 sums differ from the exact ones


class Batch(NamedTuple):
    """The embeddings of some texts, float16 [texts, dimensions]: what the ledger holds."""

    vectors: Array


class Semantic:
    """Texts by their embeddings.

    Args:
        threshold: The least cosine of texts that are alike.
        embed: Gives unit vectors, float32 [texts, dimensions].
        exact_up_to: Known texts from which on clusters are searched.
        clusters: Those to search from the beginning.
    """

    def __init__(
        self,
        threshold: float,
        embed: Embedding,
        exact_up_to: int,
        clusters: Clusters | None = None,
    ) -> None:
        self._threshold = threshold
        self._embed = embed
        self._exact_up_to = exact_up_to
        self._clusters = clusters
        self._members: list[list[int]] = [[] for _ in range(clusters.count if clusters else 0)]
        self._vectors = np.zeros((0, 0), dtype=np.float16)
        self._texts = 0

    def room(self) -> int | None:
        """As many as can be added before clusters are made."""
        return None if self._clusters else self._exact_up_to - self._texts

    def read(self, texts: Sequence[str]) -> Batch:
        """Embeddings."""
        return Batch(self._embed(list(texts)).astype(np.float16))

    def known(self, batch: Batch, *, earlier: bool = False) -> list[Array]:
        """Those whose cosine is at least about the threshold."""
        clusters = self._clusters
        parts = self._in_clusters(batch, clusters) if clusters else self._in_all(batch)
        return by_place(*together(parts, earlier=earlier), len(batch.vectors))

    def evidence(self, batch: Batch, place: int, number: int) -> dict[str, JSON] | None:
        """The cosine, summed exactly: it does not depend on what else is compared."""
        own = batch.vectors[place].astype(np.float64)
        similarity = math.fsum((own * self._vectors[number].astype(np.float64)).tolist())
        return {"similarity": round(similarity, 4)} if similarity >= self._threshold else None

    def add(self, batch: Batch, places: Sequence[int]) -> None:
        """Enter the vectors."""
        if not len(places):
            return
        new = batch.vectors[list(places)]
        if not self._texts:
            self._vectors = np.zeros((64, new.shape[1]), dtype=np.float16)
        self._vectors = grown(self._vectors, self._texts + len(new))
        self._vectors[self._texts : self._texts + len(new)] = new
        if self._clusters:
            self._enter(new, self._texts, self._clusters)
        self._texts += len(new)
        if self._clusters is None and self._texts >= self._exact_up_to:
            self._clusters = train(self._vectors[: self._exact_up_to])
            self._members = [[] for _ in range(self._clusters.count)]
            self._enter(self._vectors[: self._texts], 0, self._clusters)

    def fresh(self) -> Self:
        """An empty one that searches the same clusters."""
        limit = self._exact_up_to if self._clusters else 2**62
        return type(self)(self._threshold, self._embed, limit, self._clusters)

    def _enter(self, vectors: Array, start: int, clusters: Clusters) -> None:
        for number, cluster in enumerate(clusters.nearest(vectors)[:, 0].tolist(), start):
            self._members[cluster].append(number)

    def _in_all(self, batch: Batch) -> list[tuple[Array, Array]]:
        own = batch.vectors.astype(np.float32)
        found = []
        for start in range(0, self._texts, _BLOCK):
            end = min(start + _BLOCK, self._texts)
            theirs = self._vectors[start:end].astype(np.float32)
            places, numbers = np.nonzero(own @ theirs.T >= self._threshold - _SLACK)
            found.append((places, numbers + start))
        return found

    def _in_clusters(self, batch: Batch, clusters: Clusters) -> list[tuple[Array, Array]]:
        nearest = clusters.nearest(batch.vectors)
        found = []
        for cluster in np.unique(nearest).tolist():
            members = np.array(self._members[cluster], dtype=np.int64)
            asking = np.flatnonzero((nearest == cluster).any(axis=1))
            if len(members):
                own = batch.vectors[asking].astype(np.float32)
                theirs = self._vectors[members].astype(np.float32)
                places, numbers = np.nonzero(own @ theirs.T >= self._threshold - _SLACK)
                found.append((asking[places], members[numbers]))
        return found
