"""Which texts have which key, for tens of millions of keys in a few arrays.

    buckets = Buckets()
    buckets.add(keys, numbers)       # uint64 [n], uint32 [n]: text 7 has the keys ...
    for spans in buckets.find(keys): # where in one of its arrays the texts with a key stand
        spans.numbers[spans.first[0] : spans.last[0]]

Sorted arrays that are merged when eight are of one size (a log-structured merge): 12 bytes a key,
against more than 100 in a dict. Most keys of new texts are new; a bit map (a Bloom filter with one
hash) says so of nearly all of them before any array is searched.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pipelines.stages.dedup.index import Array, ranges

FAN = 8  # levels of about one size that are merged into one
LARGEST = 1 << 22  # keys; longer levels are not merged again, which bounds the memory of a merge
SPARSE = 16  # bits of the map for a key at least: one in 16 new keys is searched for in vain


class Spans(NamedTuple):
    """The keys found in one level.

    Attributes:
        level: Tells it from all levels there were before.
        numbers: Of all texts of the level.
        query: Which of the keys that were asked for.
        first: Where in `numbers` its texts begin.
        last: Where they end.
    """

    level: int
    numbers: Array
    query: Array
    first: Array
    last: Array

    def at(self, chosen: Array | slice) -> "Spans":
        """Those at some places, or in another order."""
        found = (column[chosen] for column in (self.query, self.first, self.last))
        return Spans(self.level, self.numbers, *found)


class Buckets:
    """Keys and the numbers of the texts that have them."""

    def __init__(self) -> None:
        self._levels: list[tuple[int, Array, Array]] = []
        self._made = 0
        self._keys = 0
        self._map = np.zeros(1 << 9, dtype=np.uint8)

    def add(self, keys: Array, numbers: Array) -> None:
        """Enter keys, uint64 [n], of the texts `numbers`, uint32 [n]."""
        if not len(keys):
            return
        self._levels.append(self._level(keys, numbers.astype(np.uint32)))
        while (level := self._mergeable()) is not None:
            parts = self._levels[level : level + FAN]
            keys_of_all = np.concatenate([part[1] for part in parts])
            numbers_of_all = np.concatenate([part[2] for part in parts])
            self._levels[level : level + FAN] = [self._level(keys_of_all, numbers_of_all)]
        self._keys += len(keys)
        self._mark(keys)

    def find(self, keys: Array) -> Iterator[Spans]:
        """Where texts with these keys stand, level by level."""
        place, bit = self._bits(keys)
        likely = np.flatnonzero(self._map[place] & bit)
        likely = likely[np.argsort(keys[likely])]  # neighbours in the search find each other's path
        wanted = keys[likely]
        for level, known, numbers in self._levels:
            first = np.searchsorted(known, wanted)
            hits = np.flatnonzero(known[np.minimum(first, len(known) - 1)] == wanted)
            if len(hits):
                last = np.searchsorted(known, wanted[hits], side="right")
                yield Spans(level, numbers, likely[hits], first[hits], last)

    def _mergeable(self) -> int | None:
        """The first of the last levels, where these are of about one size and not too long."""
        start = len(self._levels) - FAN
        if start < 0:
            return None
        sizes = [len(keys) for _, keys, _ in self._levels[start:]]
        return start if sizes[0] < FAN * sizes[-1] and sum(sizes) <= LARGEST else None

    def _level(self, keys: Array, numbers: Array) -> tuple[int, Array, Array]:
        order = np.argsort(keys, kind="stable")  # which merges sorted runs in few passes
        self._made += 1
        return self._made, keys[order], numbers[order]

    def _mark(self, keys: Array) -> None:
        if self._keys * SPARSE > 8 * len(self._map):
            size = len(self._map)
            while self._keys * SPARSE > 4 * size:  # twice the room needed now
                size *= 2
            self._map = np.zeros(size, dtype=np.uint8)
            for _, known, _ in self._levels:
                self._set(known)
        else:
            self._set(keys)

    def _set(self, keys: Array) -> None:
        place, bit = self._bits(keys)
        np.bitwise_or.at(self._map, place, bit)

    def _bits(self, keys: Array) -> tuple[Array, Array]:
        place = (keys >> np.uint64(3)) & np.uint64(len(self._map) - 1)
        return place.astype(np.int64), np.uint8(1) << (keys & np.uint64(7)).astype(np.uint8)


def pairs(spans: Spans, owners: Array) -> tuple[Array, Array]:
    """Spans written out: for every text found, who owns the key, and the text's number."""
    counts = spans.last - spans.first
    numbers = spans.numbers[ranges(spans.first, counts)].astype(np.int64)
    return np.repeat(owners[spans.query], counts), numbers
