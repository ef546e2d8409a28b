"""Dense retrieval: passages whose embeddings lie close to that of the query.

    index = Dense().index(passages, OwnResources(embedder=open_embedder("embedded")))
    index.search(["What sound does a happy cat make?"], k=1)     # [[Hit(place=0, score=0.61)]]

Every passage is compared, unless a job says from how many on an index may choose which ones are.
The vectors are float16 numbers of length 1, products of which are added
without any rounding in float64 (22 bits each, sums below 2): a score is the same to the last bit
whatever is searched for beside it, on every machine.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

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

    from chains.retrieval.approximate import InvertedLists

LOOKED_AT = 10
"""Candidates of an approximate index that are compared, for each hit wanted."""

BATCH = 1_024
"""Texts embedded at once; in a job what was embedded is safe in the ledger after each."""

_BLOCK = 8_192  # passages compared at once: 24 MiB of vectors of 384 numbers
_QUERIES = 256


@RETRIEVERS.register
class Dense(RetrieverSettings):
    """Cosine similarity of embeddings, by the job's embedder.

    The score is the cosine, up to 1. Passages at a right angle or beyond are no hits.

    Attributes:
        approximate_from: Passages from which on FAISS chooses which are compared, so that a few
            near ones may be missed; left out, every passage is compared however many there are.
    """

    kind: Literal["dense"] = "dense"
    approximate_from: Annotated[int, Field(ge=1)] | None = None

    def uses_embedder(self) -> bool:
        """It does."""
        return True

    def index(self, passages: Sequence[Passage], resources: Resources = NOTHING) -> Index:
        """The passages' vectors, from `resources.folder` where they are known.

        Raises:
            UsageError: There is no embedder, or FAISS is wanted and not there.
        """
        texts = [passage.text for passage in passages]
        vectors = vectors_of(texts, resources)
        lists = None
        if texts and self.approximate_from is not None and len(texts) >= self.approximate_from:
            from chains.retrieval.approximate import InvertedLists

            lists = InvertedLists(vectors, resources.folder, _key(texts, resources))
        return _DenseIndex(vectors, resources, lists)


class _DenseIndex:
    def __init__(
        self,
        vectors: "NDArray[np.float16]",
        resources: Resources,
        lists: "InvertedLists | None" = None,
    ) -> None:
        self._vectors = vectors
        self._resources = resources
        self._lists = lists

    def search(self, queries: Sequence[str], k: int, without: Without = ()) -> list[list[Hit]]:
        """For each query the passages with the highest cosines."""
        if not len(self._vectors) or k < 1:
            return [[] for _ in queries]
        return leaving_out(self._search, queries, k, without)

    def _search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        found: list[list[Hit]] = []
        for start in range(0, len(queries), _QUERIES):
            asked = self._resources.embed(queries[start : start + _QUERIES])
            found += self._nearest(asked, k)
        return found

    def _nearest(self, asked: "NDArray[np.float32]", k: int) -> list[list[Hit]]:
        if self._lists is None:
            return nearest(self._vectors, asked, k)
        found: list[list[Hit]] = []
        looked = min(len(self._vectors), k * LOOKED_AT)
        for query, places in zip(asked, self._lists.candidates(asked, looked), strict=True):
            known = sorted(int(place) for place in places if place >= 0)
            [hits] = nearest(self._vectors[known], query[None], k)
            found.append([Hit(known[hit.place], hit.score) for hit in hits])
        return found


def vectors_of(texts: Sequence[str], resources: Resources) -> "NDArray[np.float16]":
    """The texts' vectors [len(texts), dimensions], read from the folder if they were kept there."""
    import numpy as np

    key = _key(texts, resources)
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


def _key(texts: Sequence[str], resources: Resources) -> str:
    return content_key("vectors", resources.embedder, texts=texts)


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
