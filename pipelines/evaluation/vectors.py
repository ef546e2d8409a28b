"""Measures on embeddings: how spread a set of texts is, and how two sets lie to each other.

    vendi(vectors)                          # 1 for copies of one text, n for n unrelated ones
    density, coverage = density_and_coverage(real, synthetic, k=5)

Vectors are unit vectors, float32 [texts, dimensions]; all arithmetic is in float64.
"""

from typing import Any

import numpy as np

Vectors = np.ndarray[Any, np.dtype[Any]]

_BLOCK = 512  # rows of a matrix of distances that are held at once


def vendi(vectors: Vectors) -> float:
    """The Vendi score: exp of the entropy of the eigenvalues of K/n (Friedman and Dieng 2023).

    K is the matrix of cosines. It has the eigenvalues of the vectors' second moments, which is the
    smaller matrix where there are more texts than dimensions.
    """
    rows = vectors.astype(np.float64)
    gram = rows.T @ rows if len(rows) > rows.shape[1] else rows @ rows.T
    values = np.linalg.eigvalsh(gram / len(rows))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def dispersion(vectors: Vectors) -> float | None:
    """Mean cosine distance of two different texts, 0 to 2; None for fewer than two."""
    count = len(vectors)
    if count < 2:
        return None
    rows = vectors.astype(np.float64)
    whole = float((rows.sum(0) ** 2).sum() - (rows**2).sum())
    return 1 - whole / (count * (count - 1))


def density_and_coverage(real: Vectors, made: Vectors, k: int) -> tuple[float, float]:
    """How densely the made texts lie among the real ones, and how many real ones they reach.

    Naeem et al. 2020. The ball of a real text reaches to its k-th nearest real neighbour. Density
    is the mean number of balls that a made text lies in, over k (1 is what real texts have);
    coverage is the share of real texts whose ball holds a made one.

    Raises:
        ValueError: There are not more than k real texts.
    """
    if len(real) <= k:
        raise ValueError(f"{k} neighbours need more than {k} real texts")
    radii = np.concatenate(
        [np.partition(_distances(part, real), k, axis=1)[:, k] for part in _blocks(real)]
    )
    inside = 0
    covered = []
    for start, part in zip(range(0, len(real), _BLOCK), _blocks(real), strict=True):
        within = _distances(part, made) < radii[start : start + len(part), None]
        inside += int(within.sum())
        covered.append(within.any(1))
    return inside / (k * len(made)), float(np.concatenate(covered).mean())


def nearest(queries: Vectors, among: Vectors, *, itself: bool = False) -> Vectors:
    """Cosine distance of each query to the nearest of `among`, float64 [queries].

    Args:
        queries: Unit vectors.
        among: Unit vectors.
        itself: Both are the same set, and a text is not its own neighbour.
    """
    found = []
    for start, part in zip(range(0, len(queries), _BLOCK), _blocks(queries), strict=True):
        distances = _distances(part, among)
        if itself:
            distances[np.arange(len(part)), np.arange(start, start + len(part))] = np.inf
        found.append(distances.min(1))
    return np.concatenate(found)


def frontier_divergence(real: Vectors, made: Vectors, clusters: int, seed: int = 0) -> float:
    """How alike two sets are as histograms over clusters of both, 0 to 1 (1: the same).

    After MAUVE (Pillutla et al. 2021): k-means on both together, then the area under the curve of
    exp(-5 KL) to the mixtures of the two histograms. It is a short version of our own on sentence
    embeddings, with add-half smoothing, so that its values are not those of the published package.
    """
    from sklearn.cluster import KMeans

    both = np.concatenate([real, made]).astype(np.float64)
    groups = KMeans(clusters, n_init=3, random_state=seed).fit_predict(both)
    p, q = (
        (np.bincount(part, minlength=clusters) + 0.5) / (len(part) + clusters / 2)
        for part in (groups[: len(real)], groups[len(real) :])
    )
    points = [(0.0, 1.0)]
    for weight in np.linspace(1, 0, 27)[1:-1]:
        mixed = weight * p + (1 - weight) * q
        to_real, to_made = ((each * np.log(each / mixed)).sum() for each in (p, q))
        points.append((float(np.exp(-5 * to_made)), float(np.exp(-5 * to_real))))
    curve = np.array(sorted([*points, (1.0, 0.0)]))
    return float(np.trapezoid(curve[:, 1], curve[:, 0]))


def _blocks(vectors: Vectors) -> list[Vectors]:
    return [vectors[start : start + _BLOCK] for start in range(0, len(vectors), _BLOCK)]


def _distances(first: Vectors, second: Vectors) -> Vectors:
    """Cosine distances, never below 0: float64 [first, second]."""
    products = first.astype(np.float64) @ second.astype(np.float64).T
    found: Vectors = np.maximum(0.0, 1 - products)
    return found
