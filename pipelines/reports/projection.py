"""The map: texts as points of a plane, those that are alike near each other.

    points, kept = project(vectors)      # float64 [texts, 2] in 0 to 1, share of variance kept

    where = neighbourhoods(vectors)      # the same by UMAP, where it is installed

The vectors are those that the ledger has for a column of the rows. Where it has none, they are of
the words: term frequencies times inverse document frequencies, hashed to 512 places.
"""

import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.evaluation.surface import tokens
from pipelines.ledger import Ledger, vector_key
from prompts.errors import TextmillError, UsageError

Array = np.ndarray[Any, np.dtype[Any]]

_PLACES = 512
_NEIGHBOURS = 15
_OUTER = 0.5  # percent of the points at each side that are drawn on the border


def stored(texts: Sequence[str], fingerprint: str, ledger: Path) -> Array | None:
    """The vectors that the ledger has, float32 [texts, dimensions]; None where one is missing."""
    if not (fingerprint and ledger.is_file()):
        return None
    keys = [vector_key(fingerprint, text) for text in texts]
    try:
        with Ledger(ledger) as opened:
            found = opened.get_vectors(list(dict.fromkeys(keys)))
    except TextmillError:  # a map of words is better than no report
        return None
    if len(found) < len(set(keys)):
        return None
    return np.stack([found[key] for key in keys])


def of_words(texts: Sequence[str]) -> Array:
    """Vectors of length 1 (0 for a text without words) of the words, float64 [texts, 512]."""
    counts = np.zeros((len(texts), _PLACES))
    for place, text in enumerate(texts):
        for word in tokens(text):
            counts[place, zlib.crc32(word.encode("utf-8", "surrogatepass")) % _PLACES] += 1
    weights = np.log((1 + len(texts)) / (1 + (counts > 0).sum(0))) + 1
    weighted = np.log1p(counts) * weights
    lengths = np.linalg.norm(weighted, axis=1, keepdims=True)
    unit: Array = weighted / np.where(lengths > 0, lengths, 1)
    return unit


def neighbourhoods(vectors: Array) -> Array:
    """A plane in which neighbours stay neighbours, float64 [texts, 2] in 0 to 1.

    UMAP (McInnes et al. 2018) by cosine, 15 neighbours, begun at the principal components, on one
    thread and with a fixed seed, so that a machine gives the same map each time.

    Args:
        vectors: [texts, dimensions], three texts or more.

    Raises:
        UsageError: It is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its compiler, and of graphs that fall into parts
        try:
            from threadpoolctl import threadpool_limits
            from umap import UMAP
        except ImportError as exc:
            fix = "pip install -c constraints.txt -e '.[maps]', or leave --map out"
            raise UsageError("UMAP is not installed", fix=fix, key="--map") from exc
        with threadpool_limits(1):
            return _by_umap(UMAP, vectors)


def _by_umap(umap: Any, vectors: Array) -> Array:
    count = min(_NEIGHBOURS, len(vectors) - 1)
    start = 10 * project(vectors)[0]
    made = umap(n_neighbors=count, metric="cosine", random_state=0, n_jobs=1, init=start)
    return _scaled(np.asarray(made.fit_transform(vectors), dtype=np.float64))


def project(vectors: Array) -> tuple[Array, float]:
    """The first two principal components, and their share of the variance.

    The sign of a component is such that its largest weight is positive, so that the same vectors
    give the same map. Points are scaled to 0 to 1, a few outliers at each side to the border.

    Args:
        vectors: [texts, dimensions], two texts or more.
    """
    rows = vectors.astype(np.float64)
    rows = rows - rows.mean(0)
    values, weights = np.linalg.eigh(rows.T @ rows)
    order = np.argsort(values)[::-1][:2]
    chosen = weights[:, order]
    largest = np.take_along_axis(chosen, np.abs(chosen).argmax(0)[None], axis=0)
    points = rows @ (chosen * np.where(largest < 0, -1, 1))
    whole = float(np.maximum(values, 0).sum())
    kept = float(values[order].sum()) / whole if whole > 0 else 0.0
    return _scaled(points), kept


def _scaled(points: Array) -> Array:
    """Within 0 to 1, a few outliers at each side to the border."""
    low, high = np.percentile(points, [_OUTER, 100 - _OUTER], axis=0)
    spread = np.where(high > low, high - low, 1)
    scaled: Array = np.clip((points - low) / spread, 0, 1).round(3)
    return scaled
