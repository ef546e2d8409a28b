"""How many shingles a text shares with each of many others, counted at once.

    overlaps = Overlaps(["red cat", "red cats", "blue dog"], ngram=5, threshold=0.5)
    overlaps.like(0)        # [1]: 3 shingles of 4 in common

An inverted index (ScanCount; Li et al. 2008) with two changes for texts of one template, which
share most of their shingles. A shingle that more than half of the texts have is kept as the list of
those that lack it, so that what all have in common costs nothing. Shingles that the same texts have
are counted once, with their number as weight. Work grows with what tells the texts apart, not with
their lengths.
"""

from collections.abc import Sequence

import numpy as np

from pipelines.stages.dedup.index import Array, ranges
from pipelines.stages.dedup.shingling import mix, shingle_hashes

_SLACK = 1e-9


class Overlaps:
    """The shingles of some texts, by the texts that have them.

    A hash stands for a shingle: 64 bits less those that number the texts. So two shingles may pass
    for one, rarely, and what `like` gives is to be checked.

    Args:
        texts: What is compared.
        ngram: Characters in a shingle.
        threshold: The least Jaccard similarity of texts that are alike.
    """

    def __init__(self, texts: Sequence[str], ngram: int, threshold: float) -> None:
        self._threshold = threshold
        columns, holders = _held(texts, ngram)
        self._sizes = np.bincount(holders, minlength=len(texts))
        starts, counts = _runs(columns)
        several = counts > 1
        starts, counts, self._weights = _merged(holders, starts[several], counts[several])
        self._common = 2 * counts > len(texts)
        self._index(holders, starts, counts)

    def like(self, place: int) -> Array:
        """Places of other texts whose similarity to that at `place` reaches the threshold."""
        own = self._shingles[self._first[place] : self._first[place + 1]]
        common = own[self._common[own]]
        shared = self._weights[common].sum() + self._hits(own[~self._common[own]])
        shared -= self._hits(common)
        # shared / (one + other - shared) >= threshold, without a division for each
        least = self._threshold * (self._sizes[place] + self._sizes)
        near = shared * (1 + self._threshold) >= least - _SLACK * self._sizes[place]
        near[place] = False
        return np.flatnonzero(near)

    def _hits(self, shingles: Array) -> Array:
        """The weight of these shingles in whose lists each text stands, float64 [texts]."""
        counts = self._counts[shingles]
        listed = self._lists[ranges(self._starts[shingles], counts)]
        weights = np.repeat(self._weights[shingles], counts)
        return np.bincount(listed, weights=weights, minlength=len(self._sizes))

    def _index(self, holders: Array, starts: Array, counts: Array) -> None:
        """Lists of texts for each shingle, and shingles for each text."""
        texts = len(self._sizes)
        listed = holders[ranges(starts, counts)]
        owner = np.repeat(np.arange(len(starts)), counts)
        self._shingles = owner[np.argsort(listed, kind="stable")]
        self._first = np.append(0, np.cumsum(np.bincount(listed, minlength=texts)))
        lists = np.split(listed, np.cumsum(counts)[:-1])
        for shingle in np.flatnonzero(self._common).tolist():
            lacking = np.ones(texts, dtype=bool)
            lacking[lists[shingle]] = False
            lists[shingle] = np.flatnonzero(lacking)
        self._lists = np.concatenate([*lists, np.zeros(0, dtype=np.int64)])
        self._counts = np.array([len(each) for each in lists[: len(starts)]], dtype=np.int64)
        self._starts = np.cumsum(self._counts) - self._counts


def _held(texts: Sequence[str], ngram: int) -> tuple[Array, Array]:
    """Each different shingle of each text: its hash, ascending, and the text's place."""
    hashes, counts = shingle_hashes(texts, ngram, "chars")
    width = np.uint64(len(texts).bit_length())
    places = np.repeat(np.arange(len(texts), dtype=np.uint64), counts)
    held = np.unique((hashes >> width << width) | places)
    return held >> width, (held & ((np.uint64(1) << width) - np.uint64(1))).astype(np.int64)


def _runs(values: Array) -> tuple[Array, Array]:
    """Where equal values that stand together begin, and how many they are."""
    starts = np.flatnonzero(np.diff(values, prepend=~values[:1]))
    return starts, np.diff(np.append(starts, len(values)))


def _merged(holders: Array, starts: Array, counts: Array) -> tuple[Array, Array, Array]:
    """One of the shingles that the same texts have, for all of them; and how many these are.

    Sets of texts are told apart by the sum of the texts' hashes, modulo 2**64.
    """
    if not len(starts):
        return starts, counts, np.zeros(0)
    sums = np.append(np.uint64(0), np.cumsum(mix(holders.astype(np.uint64))))
    _, chosen, weights = np.unique(
        sums[starts + counts] - sums[starts], return_index=True, return_counts=True
    )
    return starts[chosen], counts[chosen], weights.astype(np.float64)
