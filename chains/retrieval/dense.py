"""Dense retrieval: passages whose embeddings lie close to that of the query.

    index = Dense().index(passages, OwnResources(embedder=open_embedder("embedded")))
    index.search(["What sound does a happy cat make?"], k=1)     # [[Hit(place=0, score=0.61)]]

Every passage is compared. The vectors are float16 numbers of length 1, products of which are added
without any rounding in float64 (22 bits each, sums below 2): a score is the same to the last bit
whatever is searched for beside it, on every machine.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from chains.retrieval.base import (
    RETRIEVERS,
    Hit,
    Index,
    Passage,
    RetrieverSettings,
    Without,
    by_rank,
    leaving_out,
)
from chains.retrieval.resources import NOTHING, Resources
from chains.retrieval.store import content_key, load, save

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BATCH = 1_024
"""Texts embedded at once; in a job what was embedded is safe in the ledger after each."""

_BLOCK = 8_192  # passages compared at once: 24 MiB of vectors of 384 numbers
_QUERIES = 256


@RETRIEVERS.register
class Dense(RetrieverSettings):
    """Cosine similarity of embeddings, by the job's embedder; every passage is compared.

    The score is the cosine, up to 1. Passages at a right angle or beyond are no hits.
    """

    kind: Literal["dense"] = "dense"

    def uses_embedder(self) -> bool:
        """It does."""
        return True

    def index(self, passages: Sequence[Passage], resources: Resources = NOTHING) -> Index:
        """The passages' vectors, from `resources.folder` where they are known.

        Raises:
            UsageError: There is no embedder.
        """
        return _DenseIndex(vectors_of([passage.text for passage in passages], resources), resources)


class _DenseIndex:
    def __init__(self, vectors: "NDArray[np.float16]", resources: Resources) -> None:
        self._vectors = vectors
        self._resources = resources

    def search(self, queries: Sequence[str], k: int, without: Without = ()) -> list[list[Hit]]:
        """For each query the passages with the highest cosines."""
        if not len(self._vectors) or k < 1:
            return [[] for _ in queries]
        return leaving_out(self._search, queries, k, without)

    def _search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        found: list[list[Hit]] = []
        for start in range(0, len(queries), _QUERIES):
            asked = self._resources.embed(queries[start : start + _QUERIES])
            found += nearest(self._vectors, asked, k)
        return found


def vectors_of(texts: Sequence[str], resources: Resources) -> "NDArray[np.float16]":
    """The texts' vectors [len(texts), dimensions], read from the folder if they were kept there."""
    import numpy as np

    key = content_key("vectors", resources.embedder, texts=texts)
    stored = load(resources.folder, key)
    if stored is not None and len(stored.arrays.get("vectors", ())) == len(texts):
        return stored.arrays["vectors"]
    parts = [
        resources.embed(texts[start : start + BATCH]).astype(np.float16)
        for start in range(0, len(texts), BATCH)
    ]
    vectors = np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float16)
    if len(texts):
        save(resources.folder, key, {"vectors": vectors}, {"texts": len(texts)})
    return vectors


def nearest(
    vectors: "NDArray[np.float16]", queries: "NDArray[np.float32]", k: int
) -> list[list[Hit]]:
    """For each query the `k` vectors of the highest positive cosines, equal ones by rising place.

    Args:
        vectors: Unit vectors [n, dimensions].
        queries: Unit vectors [queries, dimensions] of float16 numbers.
        k: 1 or more.
    """
    import numpy as np

    asked = queries.astype(np.float64)
    best: list[list[Hit]] = [[] for _ in asked]
    for start, block in _blocks(vectors):
        for number, scores in enumerate(asked @ block.T):
            # What is not better than the worst of k known ones cannot come in: its place is later.
            bar = best[number][-1].score if len(best[number]) == k else 0.0
            places = np.flatnonzero(scores > bar)
            if len(places):
                order = places[np.argsort(-scores[places], kind="stable")[:k]]
                new = [Hit(start + int(place), float(scores[place])) for place in order]
                best[number] = sorted([*best[number], *new], key=by_rank)[:k]
    return best


def _blocks(vectors: Any) -> "Iterator[tuple[int, NDArray[np.float64]]]":
    import numpy as np

    for start in range(0, len(vectors), _BLOCK):
        yield start, np.asarray(vectors[start : start + _BLOCK]).astype(np.float64)
