"""Utilities of minimum Bayes risk decoding: how well one text would do if another were right.

    chrf(["A cat sleeps.", "The cat sleeps."])       # [[1.0, 0.72], [0.74, 1.0]], in rows

Each takes n texts to a float64 matrix [n, n] of numbers from 0 to 1 (cosines: -1 to 1): row i,
column j is the utility of text i with text j as the reference.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from chains.embedding import Embedder

ORDER = 6
BETA = 2.0
_WORD = re.compile(r"\w+|[^\w\s]")


def chrf(texts: Sequence[str]) -> "NDArray[np.float64]":
    """Character n-gram F-score (Popovic 2015): n from 1 to 6, beta 2, white space left out.

    Precision and recall are means over the orders that both texts are long enough for.
    """
    grams = [_character_grams(text) for text in texts]
    return _pairwise(len(texts), lambda i, j: _chrf(grams[i], grams[j]))


def token_f1(texts: Sequence[str]) -> "NDArray[np.float64]":
    """F1 of the words and punctuation marks that two texts share, their case and order ignored."""
    bags = [Counter(_WORD.findall(text.casefold())) for text in texts]

    def f1(i: int, j: int) -> float:
        total = bags[i].total() + bags[j].total()
        return 2 * (bags[i] & bags[j]).total() / total if total else 1.0

    return _pairwise(len(texts), f1)


def embedding(texts: Sequence[str], embedder: str) -> "NDArray[np.float64]":
    """Cosine of the texts' vectors.

    Raises:
        ModelError: There is no embedder of that name.
    """
    vectors = _embedder(embedder).encode(texts).astype(np.float64)
    return _pairwise(len(texts), lambda i, j: float(vectors[i] @ vectors[j]))


@cache
def _embedder(name: str) -> "Embedder":
    from chains.embedding import open_embedder

    return open_embedder(name)


def _pairwise(count: int, utility: Callable[[int, int], float]) -> "NDArray[np.float64]":
    found: NDArray[Any] = np.empty((count, count))
    for i in range(count):
        for j in range(count):
            found[i, j] = utility(i, j)
    return found


def _character_grams(text: str) -> list[Counter[str]]:
    """The n-grams of each order from 1 to `ORDER`."""
    solid = "".join(text.split())
    return [
        Counter(solid[at : at + n] for at in range(len(solid) - n + 1)) for n in range(1, ORDER + 1)
    ]


def _chrf(hypothesis: Sequence[Counter[str]], reference: Sequence[Counter[str]]) -> float:
    pairs = [(h, r) for h, r in zip(hypothesis, reference, strict=True) if h and r]
    if not pairs:
        return float(not hypothesis[0] and not reference[0])
    shared = [(h & r).total() for h, r in pairs]
    precision = sum(s / h.total() for s, (h, _) in zip(shared, pairs, strict=True)) / len(pairs)
    recall = sum(s / r.total() for s, (_, r) in zip(shared, pairs, strict=True)) / len(pairs)
    if not precision + recall:
        return 0.0
    return (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)
