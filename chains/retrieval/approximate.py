"""Finding near vectors without comparing all: FAISS says which passages may be near.

    index = InvertedLists(vectors, folder, key)
    index.candidates(queries, 40)            # int64 [queries, 40], -1 where there are fewer

Vectors are put into the list of the nearest of some centres, and a query looks into the lists of
the centres nearest to it (IVF; Jégou, Douze and Schmid 2011). What it finds is compared once more
by the exact cosine: scores are those of the exact search, and only which passages are found is
uncertain.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from chains.retrieval.store import load, save
from prompts.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PROBED = 32  # lists that a query looks into
_PER_LIST = 100  # vectors of a list, about
_TRAINED_ON = 64  # vectors for each centre
_ADDED = 65_536  # vectors converted at once
_SEED = 7


class InvertedLists:
    """An index of vectors, kept under `key` of `folder`.

    Args:
        vectors: float16 [n, dimensions], at least one.
        folder: Where indexes are kept; None for nowhere.
        key: Names the vectors.

    Raises:
        UsageError: FAISS is not installed.
    """

    def __init__(self, vectors: "NDArray[np.float16]", folder: Path | None, key: str) -> None:
        faiss = _faiss()
        stored = load(folder, f"{key}-faiss")
        if stored is not None and "index" in stored.arrays:
            self._index = faiss.deserialize_index(stored.arrays["index"].copy())
        else:
            self._index = _built(faiss, vectors)
            save(folder, f"{key}-faiss", {"index": faiss.serialize_index(self._index)}, {})
        self._index.nprobe = _PROBED

    def candidates(self, queries: "NDArray[np.float32]", count: int) -> "NDArray[np.int64]":
        """Places of vectors that may be nearest, int64 [queries, count]; -1 where there is none."""
        places: NDArray[np.int64] = self._index.search(queries, count)[1]
        return places


def _built(faiss: Any, vectors: "NDArray[np.float16]") -> Any:
    """One thread, a fixed seed and a fixed sample, so that the same vectors give the same lists."""
    import numpy as np

    count, dimensions = vectors.shape
    lists = max(1, count // _PER_LIST)
    sample = np.random.default_rng(_SEED).permutation(count)[: lists * _TRAINED_ON]
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        centres = faiss.IndexFlatIP(dimensions)
        index = faiss.IndexIVFFlat(centres, dimensions, lists, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed = _SEED
        index.cp.min_points_per_centroid = 1
        index.train(np.asarray(vectors[np.sort(sample)], dtype=np.float32))
        for start in range(0, count, _ADDED):
            index.add(np.asarray(vectors[start : start + _ADDED], dtype=np.float32))
    finally:
        faiss.omp_set_num_threads(threads)
    return index


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as exc:
        fix = "pip install 'textmill[faiss]', or leave approximate_from out"
        raise UsageError("an approximate index needs the package faiss-cpu", fix=fix) from exc
    return faiss
