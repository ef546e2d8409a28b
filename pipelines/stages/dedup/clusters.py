"""Clusters of unit vectors, for a search that looks at the nearest ones alone.

clusters = train(vectors)             # spherical k-means; the same vectors give the same clusters
clusters.nearest(vectors)             # int64 [texts, PROBES], the nearest first
"""

import numpy as np

from pipelines.stages.dedup.index import Array

PROBES = 4  # clusters that a text is compared in
_SAMPLE = 64  # vectors a cluster that k-means looks at
_ROUNDS = 8
_BLOCK = 4_096


class Clusters:
    """Centroids.

    Args:
        centroids: float32 [clusters, dimensions], of length 1.
    """

    def __init__(self, centroids: Array) -> None:
        self._centroids = centroids
        self.count = len(centroids)

    def nearest(self, vectors: Array) -> Array:
        """The nearest clusters, int64 [texts, probes]; of equal ones the first."""
        found = [np.zeros((0, min(PROBES, self.count)), dtype=np.int64)]
        for start in range(0, len(vectors), _BLOCK):
            own = vectors[start : start + _BLOCK].astype(np.float64)
            cosines = own @ self._centroids.astype(np.float64).T
            found.append(np.argsort(-cosines, axis=1, kind="stable")[:, :PROBES])
        return np.concatenate(found)


def train(vectors: Array) -> Clusters:
    """As many clusters as the square root of the vectors, from evenly spaced ones.

    A cluster that loses all its vectors keeps its centroid.
    """
    count = max(1, round(len(vectors) ** 0.5))
    step = max(1, len(vectors) // (count * _SAMPLE))
    sample = vectors[::step].astype(np.float32)
    centroids = sample[np.arange(count) * len(sample) // count]
    for _ in range(_ROUNDS):
        nearest = Clusters(centroids).nearest(sample)[:, 0]
        sums = np.zeros(centroids.shape, dtype=np.float64)
        np.add.at(sums, nearest, sample)
        lengths = np.sqrt((sums**2).sum(axis=1, keepdims=True))
        means = sums / np.where(lengths > 0, lengths, 1)
        centroids = np.where(lengths > 0, means, centroids).astype(np.float32)
    return Clusters(centroids)
