"""Method `simhash`: 64 bits a text, of which texts that are alike differ in few.

simhash(["the old town", "the new town"])     # uint64 [2]

SimHash (Charikar 2002): every shingle's hash votes on every bit. Among `distance + 1` blocks of
bits two texts agree in at least one, which is what they are looked up by (Manku et al. 2007); where
blocks would be shorter than 8 bits, all texts are compared instead.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np

from pipelines.rows import JSON
from pipelines.stages.dedup.buckets import Buckets, pairs
from pipelines.stages.dedup.index import Array, by_place, grown, together
from pipelines.stages.dedup.shingling import Unit, mix, shingle_hashes

BITS = 64
_SHORTEST = 8  # bits of a block
_ELEMENTS = 1 << 20  # pairs compared, or votes counted, at once


class Batch(NamedTuple):
    """The fingerprints of some texts, uint64 [texts]."""

    prints: Array


class SimHash:
    """Texts by their fingerprints.

    Args:
        distance: The most bits in which texts that are alike differ.
        ngram: Pieces in a shingle.
        unit: What the pieces are.
    """

    def __init__(self, *, distance: int, ngram: int, unit: Unit) -> None:
        self._distance = distance
        self._ngram = ngram
        self._unit: Unit = unit
        self._blocks = _blocks(distance) if BITS // (distance + 1) >= _SHORTEST else []
        self._prints = np.zeros(64, dtype=np.uint64)
        self._texts = 0
        self._buckets = Buckets()

    def room(self) -> int | None:
        """Any number."""
        return None

    def read(self, texts: Sequence[str]) -> Batch:
        """Fingerprints."""
        return Batch(simhash(texts, self._ngram, self._unit))

    def known(self, batch: Batch, *, earlier: bool = False) -> list[Array]:
        """Those within the distance."""
        count = len(batch.prints)
        parts = self._looked_up(batch.prints) if self._blocks else self._all(batch.prints)
        return by_place(*together(parts, earlier=earlier), count)

    def evidence(self, batch: Batch, place: int, number: int) -> dict[str, JSON] | None:
        """The share of equal bits, and the number of others."""
        distance = int(np.bitwise_count(batch.prints[place] ^ self._prints[number]))
        return {"similarity": round(1 - distance / BITS, 4), "distance": distance}

    def add(self, batch: Batch, places: Sequence[int]) -> None:
        """Enter the fingerprints."""
        prints = batch.prints[list(places)]
        numbers = np.arange(self._texts, self._texts + len(prints))
        self._prints = grown(self._prints, self._texts + len(prints))
        self._prints[self._texts : self._texts + len(prints)] = prints
        self._texts += len(prints)
        if self._blocks:
            self._buckets.add(self._keys(prints), numbers.repeat(len(self._blocks)))

    def fresh(self) -> Self:
        """An empty one of the same settings."""
        return type(self)(distance=self._distance, ngram=self._ngram, unit=self._unit)

    def _looked_up(self, prints: Array) -> list[tuple[Array, Array]]:
        owners = np.arange(len(prints)).repeat(len(self._blocks))
        found = []
        for spans in self._buckets.find(self._keys(prints)):
            places, numbers = pairs(spans, owners)
            found.append(self._near(prints, places, numbers))
        return found

    def _all(self, prints: Array) -> list[tuple[Array, Array]]:
        known = self._prints[: self._texts]
        step = max(1, _ELEMENTS // max(1, self._texts))
        found = []
        for start in range(0, len(prints), step):
            apart = np.bitwise_count(prints[start : start + step, None] ^ known)
            places, numbers = np.nonzero(apart <= self._distance)
            found.append((places + start, numbers))
        return found

    def _near(self, prints: Array, places: Array, numbers: Array) -> tuple[Array, Array]:
        apart = np.bitwise_count(prints[places] ^ self._prints[numbers])
        return places[apart <= self._distance], numbers[apart <= self._distance]

    def _keys(self, prints: Array) -> Array:
        """A key for every block of every fingerprint."""
        shifts, masks = (
            np.array(side, dtype=np.uint64) for side in zip(*self._blocks, strict=True)
        )
        values = (prints[:, None] >> shifts) & masks
        keys: Array = mix(values + (np.arange(len(shifts), dtype=np.uint64) << np.uint64(40)))
        return keys.ravel()


def simhash(texts: Sequence[str], ngram: int, unit: Unit) -> Array:
    """The fingerprint of each text, uint64 [texts]; a shingle votes as often as it occurs."""
    prints = np.zeros(len(texts), dtype=np.uint64)
    bits = np.arange(BITS, dtype=np.uint64)
    hashes, counts = shingle_hashes(texts, ngram, unit)
    ends = np.cumsum(counts)
    start = 0
    while start < len(texts):
        before = int(ends[start] - counts[start])
        end = max(start + 1, int(np.searchsorted(ends, before + _ELEMENTS // BITS, side="right")))
        mine = hashes[before : ends[end - 1]]
        ayes = ((mine[:, None] >> bits) & np.uint64(1)).astype(np.int32)
        votes = np.add.reduceat(ayes, ends[start:end] - counts[start:end] - before, axis=0)
        won = 2 * votes > counts[start:end, None]
        prints[start:end] = (won.astype(np.uint64) << bits).sum(axis=1, dtype=np.uint64)
        start = end
    return prints


def _blocks(distance: int) -> list[tuple[int, int]]:
    """The bits cut into `distance + 1` blocks, each as the shift to it and its mask."""
    edges = [BITS * block // (distance + 1) for block in range(distance + 2)]
    return [(a, (1 << (b - a)) - 1) for a, b in pairwise(edges)]
