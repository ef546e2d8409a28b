"""Sketches: 16 bits of the hash of each shingle, which bound the similarity of two texts.

known = Sketches()
known.add(sketched(bits, counts))            # the texts get the numbers 0, 1, 2 ...
known.bounds_of(batch, places, numbers)      # float64: what the similarities can be at most
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.stages.dedup.index import Array, grown, ranges

_TOGETHER = 16  # texts with a bit map of 64 KiB each: 1 MiB, which stays in the cache
_ELEMENTS = 1 << 18  # shingles looked up at once
_MORE = 8  # shingles looked at beyond those that may be missing, or one in so many
_WORDS = 8  # of 64 bits in a text's map
_MAPPED = 512  # texts whose maps are made at once: 256 KiB of flags
LONG = 512  # shingles from which on a map says little
_PAIRS = 1 << 14  # whose maps are compared at once: 1 MiB a side
_SLACK = 1e-9


class Sketch(NamedTuple):
    """The sketches of some texts.

    Attributes:
        bits: uint16, text by text: 16 bits of the hash of each different shingle.
        counts: int64 [texts]: how many each has.
        maps: uint64 [texts, 8]: 512 bits, of which each shingle sets one.
    """

    bits: Array
    counts: Array
    maps: Array

    def some(self, places: Sequence[int] | Array) -> "Sketch":
        """Those of some of the texts, in the order given."""
        chosen = np.asarray(places, dtype=np.int64)
        if np.array_equal(chosen, np.arange(len(self.counts))):
            return self
        starts = np.cumsum(self.counts) - self.counts
        counts = self.counts[chosen]
        return Sketch(self.bits[ranges(starts[chosen], counts)], counts, self.maps[chosen])

    def split(self, places: Sequence[int] | Array) -> list[Array]:
        """Those of some of the texts, one array each."""
        some = self.some(places)
        return np.split(some.bits, np.cumsum(some.counts)[:-1])


def sketched(bits: Array, counts: Array) -> Sketch:
    """The sketches of texts whose shingles have these bits, text by text."""
    parts = [np.zeros((0, 8 * _WORDS), dtype=np.uint8)]
    ends = np.cumsum(counts)
    for start in range(0, len(ends), _MAPPED):
        some = counts[start : start + _MAPPED]
        places = bits[ends[start] - some[0] : ends[start + len(some) - 1]] % (64 * _WORDS)
        present = np.zeros((len(some), 64 * _WORDS), dtype=bool)
        present[np.repeat(np.arange(len(some)), some), places] = True
        parts.append(np.packbits(present, axis=1))
    return Sketch(bits, counts, np.concatenate(parts).view(np.uint64))


def joined(parts: Sequence[Array]) -> Sketch:
    """Sketches of single texts as one."""
    bits = np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint16)
    return sketched(bits, np.array([len(part) for part in parts], dtype=np.int64))


class Sketches:
    """The sketches of all texts in one array."""

    def __init__(self) -> None:
        self._bits = np.zeros(1 << 10, dtype=np.uint16)
        self._starts = np.zeros(1 << 6, dtype=np.int64)
        self._maps = np.zeros((1 << 6, _WORDS), dtype=np.uint64)
        self._texts = 0

    def add(self, sketch: Sketch | Array) -> None:
        """Store the sketches of the next texts; a mere array is one text's."""
        if not isinstance(sketch, Sketch):
            sketch = joined([sketch])
        start = int(self._starts[self._texts])
        ends = start + np.cumsum(sketch.counts)
        self._bits = grown(self._bits, start + len(sketch.bits))
        self._starts = grown(self._starts, self._texts + len(ends) + 1)
        self._maps = grown(self._maps, self._texts + len(ends))
        self._maps[self._texts : self._texts + len(ends)] = sketch.maps
        self._bits[start : start + len(sketch.bits)] = sketch.bits
        self._starts[self._texts + 1 : self._texts + 1 + len(ends)] = ends
        self._texts += len(ends)

    def of(self, number: int) -> Array:
        """One text's sketch."""
        return self._bits[self._starts[number] : self._starts[number + 1]]

    def bounds(self, sketch: Array, numbers: Array) -> Array:
        """What the similarity of one text to each of `numbers` can be at most, float64 [numbers].

        Every shingle they share agrees in 16 bits, so counting agreements never counts too few.
        """
        return self.bounds_of(joined([sketch]), np.zeros(len(numbers), dtype=np.int64), numbers)

    def bounds_of(self, batch: Sketch, places: Array, numbers: Array) -> Array:
        """The same for pairs of a place in `batch` and a known number; `places` ascend."""
        starts, lengths = self._spans(numbers)
        own = batch.counts[places]
        common = self._common(batch, places, starts, lengths)
        common = np.minimum(common, np.minimum(lengths, own))
        bounds: Array = common / (lengths + own - common)
        return bounds

    def reaching(self, batch: Sketch, places: Array, numbers: Array, threshold: float) -> Array:
        """Which pairs have a bound of `threshold` or more, bool; `places` ascend.

        A pair needs t / (1 + t) of both lengths in common. Most pairs are told by maps of 512 bits:
        where the one's map has a bit that the other's lacks, a shingle is missing. The maps of
        long texts are full: of these as many shingles are looked up as may be missing and some
        more, these more at least have to be in the other. What is left is told by all shingles.
        """
        starts, lengths = self._spans(numbers)
        own = batch.counts[places]
        needed = np.ceil((lengths + own) * threshold / (1 + threshold) - _SLACK).astype(np.int64)
        likely = np.flatnonzero(np.minimum(lengths, own) >= needed)
        missing = self._missing(batch, places[likely], numbers[likely])
        likely = likely[lengths[likely] - missing >= needed[likely]]
        long = lengths[likely] > LONG
        some, others = likely[long], likely[~long]
        spare = (lengths - needed)[some]
        looked = np.minimum(lengths[some], spare + np.maximum(_MORE, lengths[some] // _MORE))
        found = self._common(batch, places[some], starts[some], looked)
        likely = np.sort(np.concatenate([some[found >= looked - spare], others]))
        bounds = self.bounds_of(batch, places[likely], numbers[likely])
        reached = np.zeros(len(numbers), dtype=bool)
        reached[likely[bounds >= threshold - _SLACK]] = True
        return reached

    def _missing(self, batch: Sketch, places: Array, numbers: Array) -> Array:
        """How many shingles of the known texts their partners lack at least, int64 [pairs]."""
        missing = np.zeros(len(places), dtype=np.int64)
        for start in range(0, len(places), _PAIRS):
            some = slice(start, start + _PAIRS)
            lacking = self._maps[numbers[some]] & ~batch.maps[places[some]]
            missing[some] = np.bitwise_count(lacking).sum(axis=1, dtype=np.int64)
        return missing

    def _spans(self, numbers: Array) -> tuple[Array, Array]:
        """Where the sketches of some texts begin, and their lengths."""
        numbers = numbers.astype(np.int64)
        return self._starts[numbers], self._starts[numbers + 1] - self._starts[numbers]

    def _common(self, batch: Sketch, places: Array, starts: Array, counts: Array) -> Array:
        """How many of `counts` stored bits from `starts` on are in the text at `places`, int64."""
        common = np.zeros(len(places), dtype=np.int64)
        asked, places = np.unique(places, return_inverse=True)
        batch = batch.some(asked)  # the others need no bit map
        present = np.zeros((_TOGETHER, 1 << 16), dtype=bool)
        begins = np.cumsum(batch.counts) - batch.counts
        for a, b in _parts(places, counts):
            first = int(places[a])
            last = int(places[b - 1])
            bits = batch.bits[begins[first] : begins[last] + batch.counts[last]]
            owners = np.repeat(np.arange(last - first + 1), batch.counts[first : last + 1])
            present[owners, bits] = True
            theirs = self._bits[ranges(starts[a:b], counts[a:b])]
            found = present[np.repeat(places[a:b] - first, counts[a:b]), theirs]
            firsts = np.cumsum(counts[a:b]) - counts[a:b]
            common[a:b] = np.add.reduceat(found, firsts, dtype=np.int64)
            present[owners, bits] = False
        return common


def _parts(places: Array, lengths: Array) -> Iterator[tuple[int, int]]:
    """Stretches of the pairs that stay within the bit maps and the elements looked up at once."""
    ends = np.cumsum(lengths)
    start = 0
    while start < len(places):
        near = int(np.searchsorted(places, places[start] + _TOGETHER))
        before = int(ends[start - 1]) if start else 0
        small = int(np.searchsorted(ends, before + _ELEMENTS))
        end = max(start + 1, min(near, small))
        yield start, end
        start = end
