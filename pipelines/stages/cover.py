"""`cover`: takes passages from all over some documents, by what they are about.

    - {kind: cover, path: handbook, split: {tokens: 60, overlap: 0}, clusters: 12}

    {"context": "The shop opens at nine."}  ->  {"context": ..., "cluster": 3}

The documents' passages are parted into clusters of like meaning (spherical k-means on their
embeddings). A row goes to the cluster it is nearest to and passes while that has room. The report
of the run says how many clusters have rows.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.stages.base import STAGES, Context, State
from pipelines.stages.columns import read_text
from pipelines.stages.searching import CorpusStage

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

_ROUNDS = 25


@STAGES.register
class Cover(CorpusStage):
    """As many rows of each cluster of a folder's passages.

    Attributes:
        field: The column with the row's passage.
        clusters: How many, at most as many as there are passages.
        each: Rows that a cluster takes; left out, the job's rows divided by the clusters, rounded
            up.
        adds: The column for the cluster's number, from 0.
    """

    kind: Literal["cover"] = "cover"
    field: Annotated[str, Field(min_length=1)] = "context"
    clusters: Annotated[int, Field(ge=1)] = 8
    each: Annotated[int, Field(ge=1)] | None = None
    adds: Annotated[str, Field(min_length=1)] = "cluster"

    def columns_needed(self) -> set[str]:
        """The passage."""
        return {self.field}

    def columns_added(self) -> set[str]:
        """The cluster."""
        return {self.adds}

    def open_state(self) -> State:
        """How many rows each cluster has."""
        return Filled()

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Let rows through until their cluster is full."""
        centroids = context.shared("centroids", lambda: self._centroids(context))
        limit = self._limit(context.rows, len(centroids))
        block = [(row, read_text(row, self.field)) for row in rows]
        texts = [text for _, text in block if isinstance(text, str)]
        numbers = iter(nearest(context.embed(texts), centroids).tolist() if texts else [])
        for row, text in block:
            if isinstance(text, Fault):
                yield Rejection(row, text.reason, text.detail)
                continue
            cluster = next(numbers)
            if limit is not None and context.state.count(cluster) >= limit:
                yield Rejection(row, "cluster_full", {"cluster": cluster, "rows": limit})
                continue
            context.state.add(cluster)
            event = {"stage": self.name, "cluster": cluster, "of": len(centroids)}
            yield row.with_data({self.adds: cluster}, event)

    def report(self, rows: Iterable[Row], wanted: int | None) -> dict[str, JSON]:
        """How many clusters and documents have rows."""
        clusters: set[int] = set()
        documents: set[str] = set()
        of = self.clusters
        for row in rows:
            event = next((e for e in row.history if e.get("stage") == self.name), None)
            if event is not None:
                clusters.add(event["cluster"])
                of = event["of"]
            if isinstance(row.data.get("document"), str):
                documents.add(row.data["document"])
        return {"clusters": of, "covered": len(clusters), "documents": len(documents)}

    def _limit(self, wanted: int | None, clusters: int) -> int | None:
        if self.each is not None or wanted is None:
            return self.each
        return -(-wanted // clusters)

    def _centroids(self, context: Context) -> "Array":
        texts = sorted({passage.text for passage in self.passages(context)})
        return k_means(context.embed(texts), self.clusters)


class Filled:
    """Counts the rows of each cluster."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._fresh: list[JSON] = []

    def count(self, cluster: int) -> int:
        """Rows that the cluster has."""
        return self._counts.get(cluster, 0)

    def add(self, cluster: int) -> None:
        """Count one more."""
        self._counts[cluster] = self.count(cluster) + 1
        self._fresh.append(cluster)

    def additions(self) -> list[JSON]:
        """The clusters of the rows since the last call."""
        fresh, self._fresh = self._fresh, []
        return fresh

    def restore(self, additions: Iterable[JSON]) -> None:
        """Take in what `additions` gave."""
        for cluster in additions:
            self.add(cluster)
        self._fresh = []


def k_means(vectors: "Array", clusters: int) -> "Array":
    """Centroids of unit vectors, float64 [clusters or fewer, dimensions], each of length 1.

    Spherical k-means (Dhillon & Modha 2001) from centroids that are far apart: the first is the
    vector nearest to the mean, each further one that which is farthest from those before. Nothing
    is drawn, so that the same vectors give the same clusters.
    """
    import numpy as np

    own = vectors.astype(np.float64)
    if not len(own):
        return own
    chosen = [int(np.argmax(own @ own.mean(axis=0)))]
    closest = own @ own[chosen[0]]
    while len(chosen) < clusters and closest.min() < 1 - 1e-6:
        chosen.append(int(np.argmin(closest)))
        closest = np.maximum(closest, own @ own[chosen[-1]])
    centroids = own[chosen]
    for _ in range(_ROUNDS):
        members = nearest(own, centroids)
        sums = np.zeros_like(centroids)
        np.add.at(sums, members, own)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        moved = np.where(lengths > 0, sums / np.where(lengths > 0, lengths, 1), centroids)
        if np.array_equal(moved, centroids):
            break
        centroids = moved
    return centroids


def nearest(vectors: "Array", centroids: "Array") -> "Array":
    """The place of each vector's nearest centroid, the first of equals: int64 [vectors]."""
    import numpy as np

    cosines = vectors.astype(np.float64) @ centroids.T
    found: Array = np.argmax(np.round(cosines, 9), axis=1)
    return found
