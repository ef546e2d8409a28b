"""Sketches: 16 bits of the hash of each shingle, which bound the similarity of two texts.

known = Sketches()
known.add(Sketch(bits, counts))              # the texts get the numbers 0, 1, 2 ...
known.bounds_of(batch, places, numbers)      # float64: what the similarities can be at most
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.stages.dedup.index import Array, grown, ranges

_TOGETHER = 16  # texts with a bit map of 64 KiB each: 1 MiB, which stays in the cache
_ELEMENTS = 1 << 18  # shingles looked up at once
_MORE = 8  # shingles looked at beyond those that may be missing, or one in so many
_SLACK = 1e-9


class Sketch(NamedTuple):
    """The sketches of some texts.

    Attributes:
        bits: uint16, text by text: 16 bits of the hash of each different shingle.
        counts: int64 [texts]: how many each has.
    """

    bits: Array
    counts: Array

    def some(self, places: Sequence[int] | Array) -> "Sketch":
        """Those of some of the texts, in the order given."""
        chosen = np.asarray(places, dtype=np.int64)
        starts = np.cumsum(self.counts) - self.counts
        return Sketch(self.bits[ranges(starts[chosen], self.counts[chosen])], self.counts[chosen])

    def split(self, places: Sequence[int]) -> list[Array]:
        """Those of some of the texts, one array each."""
        some = self.some(places)
        return np.split(some.bits, np.cumsum(some.counts)[:-1])


def joined(parts: Sequence[Array]) -> Sketch:
    """Sketches of single texts as one."""
    bits = np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint16)
    return Sketch(bits, np.array([len(part) for part in parts], dtype=np.int64))


class Sketches:
    """The sketches of all texts in one array."""

    def __init__(self) -> None:
        self._bits = np.zeros(1 << 10, dtype=np.uint16)
        self._starts = np.zeros(1 << 6, dtype=np.int64)
        self._texts = 0

    def add(self, sketch: Sketch | Array) -> None:
        """Store the sketches of the next texts; a mere array is one text's."""
        if not isinstance(sketch, Sketch):
            sketch = joined([sketch])
        start = int(self._starts[self._texts])
        ends = start + np.cumsum(sketch.counts)
        self._bits = grown(self._bits, start + len(sketch.bits))
        self._starts = grown(self._starts, self._texts + len(ends) + 1)
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

        A pair needs t / (1 + t) of both lengths in common, so that of as many of the one's shingles
        as may be missing and some more, these more at least have to be in the other: most pairs
        are told by that, and the rest by all their shingles.
        """
        starts, lengths = self._spans(numbers)
        own = batch.counts[places]
        needed = np.ceil((lengths + own) * threshold / (1 + threshold) - _SLACK).astype(np.int64)
        likely = np.flatnonzero(np.minimum(lengths, own) >= needed)
        spare = (lengths - needed)[likely]
        looked = np.minimum(lengths[likely], spare + np.maximum(_MORE, lengths[likely] // _MORE))
        found = self._common(batch, places[likely], starts[likely], looked)
        likely = likely[found >= looked - spare]
        bounds = self.bounds_of(batch, places[likely], numbers[likely])
        reached = np.zeros(len(numbers), dtype=bool)
        reached[likely[bounds >= threshold - _SLACK]] = True
        return reached

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
