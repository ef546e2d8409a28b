"""The map: texts as points of a plane, those that are alike near each other.

    points, kept = project(vectors)      # float64 [texts, 2] in 0 to 1, share of variance kept

The vectors are those that the ledger has for a column of the rows. Where it has none, they are of
the words: term frequencies times inverse document frequencies, hashed to 512 places.
"""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.evaluation.surface import tokens
from pipelines.ledger import Ledger, vector_key
from prompts.errors import TextmillError

Array = np.ndarray[Any, np.dtype[Any]]

_PLACES = 512
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
    low, high = np.percentile(points, [_OUTER, 100 - _OUTER], axis=0)
    spread = np.where(high > low, high - low, 1)
    whole = float(np.maximum(values, 0).sum())
    kept = float(values[order].sum()) / whole if whole > 0 else 0.0
    return np.clip((points - low) / spread, 0, 1).round(3), kept
