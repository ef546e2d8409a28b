"""Which texts have which key, for tens of millions of keys in a few arrays.

    buckets = Buckets()
    buckets.add(keys, numbers)       # uint64 [n], uint32 [n]: text 7 has the keys ...
    for spans in buckets.find(keys): # where in one of its arrays the texts with a key stand
        spans.numbers(slice(spans.first[0], spans.last[0]))

Sorted arrays that are merged when eight are of one size (a log-structured merge). An entry is one
integer: 42 bits of the key above 22 bits of the text's number, so that 8 bytes hold both (a dict
needs more than 100) and a sort of plain integers orders them. Most keys of new texts are new; a bit
map (a Bloom filter with one hash) says so of nearly all of them before any array is searched.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from pipelines.stages.dedup.index import Array, ranges

FAN = 8  # levels of about one size that are merged into one
LARGEST = 1 << 22  # keys; longer levels are not merged again, which bounds the memory of a merge
SPARSE = 16  # bits of the map for a key at least: one in 16 new keys is searched for in vain
_NUMBER = np.uint64((1 << 22) - 1)
_KEY = ~_NUMBER


class Spans(NamedTuple):
    """The keys found in one level.

    Attributes:
        level: Tells it from all levels there were before.
        base: The number of the level's first text.
        entries: Of the level, ascending.
        query: Which of the keys that were asked for.
        first: Where in `entries` its texts begin.
        last: Where they end.
    """

    level: int
    base: int
    entries: Array
    query: Array
    first: Array
    last: Array

    def at(self, chosen: Array | slice) -> "Spans":
        """Those at some places, or in another order."""
        found = (column[chosen] for column in (self.query, self.first, self.last))
        return Spans(self.level, self.base, self.entries, *found)

    def numbers(self, places: Array | slice) -> Array:
        """The texts at some places of the level, int64; ascending within a span."""
        return (self.entries[places] & _NUMBER).astype(np.int64) + self.base

    def having(self, queries: Array, numbers: Array) -> Array:
        """Which pairs of a query and a text have the text in one of the query's spans, bool [n].

        The spans ascend by their query.
        """
        low = numbers - self.base
        there = np.zeros(len(numbers), dtype=bool)
        left = np.flatnonzero((low >= 0) & (low <= int(_NUMBER)))
        span, end = (np.searchsorted(self.query, queries, side) for side in ("left", "right"))
        while len(left := left[span[left] < end[left]]):  # a span of each a time
            keys = self.entries[self.first[span[left]]] & _KEY
            wanted = keys | low[left].astype(np.uint64)
            place = np.minimum(np.searchsorted(self.entries, wanted), len(self.entries) - 1)
            hit = self.entries[place] == wanted
            there[left[hit]] = True
            span[left] += 1
            left = left[~hit]
        return there


class Level(NamedTuple):
    """Entries that were sorted together; `base` and `last` are their least and greatest number."""

    made: int
    base: int
    last: int
    entries: Array


class Buckets:
    """Keys and the numbers of the texts that have them."""

    def __init__(self) -> None:
        self._levels: list[Level] = []
        self._made = 0
        self._keys = 0
        self._map = np.zeros(0, dtype=np.uint8)  # none yet: a single level is searched outright

    def add(self, keys: Array, numbers: Array) -> None:
        """Enter keys, uint64 [n], of which 42 bits count, of the texts `numbers`."""
        if not len(keys):
            return
        base, last = int(numbers.min()), int(numbers.max())
        if last - base > int(_NUMBER):
            low = numbers <= base + int(_NUMBER)
            self.add(keys[low], numbers[low])
            self.add(keys[~low], numbers[~low])
            return
        entries = keys & _KEY
        entries |= (numbers - base).astype(np.uint64)
        entries.sort()
        self._enter(base, last, entries)
        self._mark(entries)

    def find(self, keys: Array, *, several: bool = False) -> Iterator[Spans]:
        """Where texts with these keys stand, level by level.

        Args:
            keys: Hashes, uint64, of which 42 bits count.
            several: Only where a level has a key of several texts.
        """
        for start in range(0, len(keys), int(_NUMBER) + 1):
            some = keys[start : start + int(_NUMBER) + 1]
            # Sorted: neighbours in a search find each other's path.
            asked = np.sort((some & _KEY) | np.arange(len(some), dtype=np.uint64))
            if len(self._map):
                place, bit = self._bits(asked)
                asked = asked[(self._map[place] & bit) != 0]
            wanted, query = asked & _KEY, (asked & _NUMBER).astype(np.int64) + start
            for level in self._levels:
                first = np.searchsorted(level.entries, wanted)
                there = level.entries[np.minimum(first + several, len(level.entries) - 1)]
                hits = np.flatnonzero(there & _KEY == wanted)
                if len(hits):
                    last = np.searchsorted(level.entries, wanted[hits] | _NUMBER, side="right")
                    yield Spans(
                        level.made, level.base, level.entries, query[hits], first[hits], last
                    )

    def _enter(self, base: int, last: int, entries: Array) -> None:
        self._keys += len(entries)
        self._made += 1
        self._levels.append(Level(self._made, base, last, entries))
        while parts := self._mergeable():
            self._made += 1
            base = min(part.base for part in parts)
            merged = np.concatenate([part.entries + np.uint64(part.base - base) for part in parts])
            merged.sort(kind="stable")  # which merges sorted runs in few passes
            last = max(part.last for part in parts)
            self._levels[-FAN:] = [Level(self._made, base, last, merged)]

    def _mergeable(self) -> list[Level]:
        """The last levels, where these are of about one size and not too long."""
        parts = self._levels[-FAN:]
        sizes = [len(part.entries) for part in parts]
        width = max(part.last for part in parts) - min(part.base for part in parts)
        even = len(parts) == FAN and sizes[0] < FAN * sizes[-1] and sum(sizes) <= LARGEST
        return parts if even and width <= int(_NUMBER) else []

    def _mark(self, entries: Array) -> None:
        """Enter keys into the map, which is made with the second level."""
        if self._made == 1:
            return
        if self._keys * SPARSE > 8 * len(self._map):
            size = 1 << 9
            while self._keys * SPARSE > 4 * size:  # twice the room needed now
                size *= 2
            self._map = np.zeros(size, dtype=np.uint8)
            for level in self._levels:
                self._set(level.entries)
        else:
            self._set(entries)

    def _set(self, entries: Array) -> None:
        place, bit = self._bits(entries)
        firsts = np.flatnonzero(np.diff(place, prepend=-1))  # ascending, as the entries are
        self._map[place[firsts]] |= np.bitwise_or.reduceat(bit, firsts)

    def _bits(self, entries: Array) -> tuple[Array, Array]:
        """Byte of the map and bit in it, by the first bits of a key."""
        bit = entries >> np.uint64(64 - 3 - (len(self._map).bit_length() - 1))
        return (bit >> np.uint64(3)).astype(np.int64), np.uint8(1) << (bit & np.uint64(7)).astype(
            np.uint8
        )


def pairs(spans: Spans, owners: Array) -> tuple[Array, Array]:
    """Spans written out: for every text found, who owns the key, and the text's number."""
    counts = spans.last - spans.first
    return np.repeat(owners[spans.query], counts), spans.numbers(ranges(spans.first, counts))
