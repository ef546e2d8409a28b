"""How many shingles a text shares with each of many others, counted at once.

    overlaps = Overlaps([np.array([7, 8, 9]), np.array([7, 8, 9, 5]), np.array([1, 2])], 0.5)
    overlaps.like([np.array([7, 8, 9])])      # [0, 0], [0, 1]: 3 of 3, and 3 of 4 in common

An inverted index (ScanCount; Li et al. 2008) with two changes for texts of one template, which
share most of their shingles. A shingle that more than half of the texts have is kept as the list of
those that lack it, so that what all have in common costs nothing. Shingles that the same texts have
are counted once, with their number as weight. Work grows with what tells the texts apart, not with
their lengths.
"""

from collections.abc import Sequence

import numpy as np

from pipelines.stages.dedup.index import Array, ranges
from pipelines.stages.dedup.shingling import mix

_SLACK = 1e-9
_CELLS = 1 << 20  # pairs counted at once: 8 MiB


class Overlaps:
    """The shingles of some texts, by the texts that have them.

    A hash stands for a shingle. Two of one text may have the same hash, and a pair of texts may be
    found for nothing then; none is missed.

    Args:
        texts: Of each text the hashes of its different shingles, integers of one type.
        threshold: The least Jaccard similarity of texts that are alike.
    """

    def __init__(self, texts: Sequence[Array], threshold: float) -> None:
        self._threshold = threshold
        self._sizes = np.array([len(text) for text in texts], dtype=np.int64)
        hashes, holders = _held(texts)
        starts = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
        counts = np.diff(np.append(starts, len(hashes)))
        self._hashes = hashes[starts]
        starts, counts, self._sets = _merged(holders, starts, counts)
        self._common = 2 * counts > len(texts)
        lists = np.split(holders[ranges(starts, counts)], np.cumsum(counts)[:-1])
        for one in np.flatnonzero(self._common).tolist():
            lacking = np.ones(len(texts), dtype=bool)
            lacking[lists[one]] = False
            lists[one] = np.flatnonzero(lacking)
        self._lists = np.concatenate(lists)
        self._counts = np.array([len(each) for each in lists], dtype=np.int64)
        self._starts = np.cumsum(self._counts) - self._counts

    def like(self, texts: Sequence[Array]) -> tuple[Array, Array]:
        """Pairs of texts whose similarity can reach the threshold, in order.

        Args:
            texts: As above.

        Returns:
            Places in `texts`, int64 [pairs], and places of indexed texts.
        """
        several = max(1, _CELLS // len(self._sizes))
        parts = [
            (places + start, others)
            for start in range(0, len(texts), several)
            for places, others in [self._like(texts[start : start + several])]
        ]
        places, others = zip(*parts, strict=True)
        return np.concatenate(places), np.concatenate(others)

    def _like(self, texts: Sequence[Array]) -> tuple[Array, Array]:
        hashes, owners = _flat(texts)
        place = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        known = self._hashes[place] == hashes
        asked = owners[known] * len(self._starts) + self._sets[place[known]]
        asked, weights = np.unique(asked, return_counts=True)
        owners, sets = np.divmod(asked, len(self._starts))
        common = self._common[sets]
        shared = self._hits(owners, sets, np.where(common, -weights, weights), len(texts))
        shared += np.bincount(owners, weights=weights * common, minlength=len(texts))[:, None]
        # shared / (one + other - shared) >= threshold, without a division for each
        own = np.array([len(text) for text in texts])[:, None]
        least = self._threshold * (own + self._sizes) - _SLACK * own
        places, others = np.nonzero(shared * (1 + self._threshold) >= least)
        return places, others

    def _hits(self, owners: Array, sets: Array, weights: Array, rows: int) -> Array:
        """The weight of the sets in whose lists each text stands, float64 [rows, texts]."""
        counts = self._counts[sets]
        listed = self._lists[ranges(self._starts[sets], counts)]
        listed += np.repeat(owners * len(self._sizes), counts)
        cells = rows * len(self._sizes)
        hits = np.bincount(listed, weights=np.repeat(weights, counts), minlength=cells)
        return hits.astype(np.float64).reshape(rows, -1)


def _flat(texts: Sequence[Array]) -> tuple[Array, Array]:
    """All hashes, and the place of the text that each is of."""
    places = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    return np.concatenate(texts), places


def _held(texts: Sequence[Array]) -> tuple[Array, Array]:
    """Each hash, ascending, with the place of each text that has it, once."""
    hashes, holders = _flat(texts)
    order = np.argsort(hashes, kind="stable")  # the places of one hash stay in order
    hashes, holders = hashes[order], holders[order]
    new = np.ones(len(hashes), dtype=bool)
    new[1:] = (hashes[1:] != hashes[:-1]) | (holders[1:] != holders[:-1])
    return hashes[new], holders[new]


def _merged(holders: Array, starts: Array, counts: Array) -> tuple[Array, Array, Array]:
    """Where each different set of texts stands, how many texts it has, and the set of each hash.

    Sets are told apart by the sum of their texts' hashes, modulo 2**64.
    """
    sums = np.append(np.uint64(0), np.cumsum(mix(holders.astype(np.uint64))))
    _, chosen, sets = np.unique(
        sums[starts + counts] - sums[starts], return_index=True, return_inverse=True
    )
    return starts[chosen], counts[chosen], sets
