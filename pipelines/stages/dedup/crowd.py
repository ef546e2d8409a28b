"""Texts in crowded buckets: thousands that share a long beginning, few of them alike enough.

Comparing each with all others would be quadratic. Two texts of similarity s or more share one of
the first `n - ceil(s n) + 1` of their n shingles, in whatever order these are taken (prefix
filtering; Chaudhuri et al. 2006). With the rarest first, the beginning that all share comes last,
and hardly any pair is left. The result is the same as that of comparing all.
"""

import math
from collections.abc import Sequence

import numpy as np

from pipelines.stages.dedup.buckets import Spans
from pipelines.stages.dedup.index import NOBODY, Array, grown
from pipelines.stages.dedup.sketches import Sketches

_SLACK = 1e-9
_VALUES = 1 << 16


class Crowd:
    """The texts that were seen in crowded buckets, by their rarest shingles.

    Args:
        sketches: Of all texts; 16 bits of a hash stand for a shingle, so that a pair may be found
            for nothing, and none is missed.
        threshold: The least similarity of texts that are alike.
    """

    def __init__(self, sketches: Sketches, threshold: float) -> None:
        self._sketches = sketches
        self._threshold = threshold
        self._entered: set[tuple[int, int]] = set()
        self._inside = np.zeros(1, dtype=bool)
        self._members: list[int] = []
        self._ordered = 0
        self._rank = np.zeros(_VALUES, dtype=np.int64)
        self._postings: dict[int, list[int]] = {}

    def alike(self, sketch: Array, found: Sequence[Spans]) -> Array:
        """Of the texts in some buckets, those that may be like the one with that sketch."""
        buckets = [
            (spans.level, first, spans.numbers(slice(first, last)))
            for spans in found
            for first, last in zip(spans.first.tolist(), spans.last.tolist(), strict=True)
        ]
        for level, first, numbers in buckets:
            if (level, first) not in self._entered:
                self._entered.add((level, first))
                self._enter(numbers)
        likely = {n for bits in self._prefix(sketch) for n in self._postings.get(bits, ())}
        if not likely:
            return NOBODY
        candidates = np.array(sorted(likely))
        shared = np.zeros(len(candidates), dtype=bool)
        for _, _, numbers in buckets:  # ascending
            place = np.minimum(np.searchsorted(numbers, candidates), len(numbers) - 1)
            shared |= numbers[place] == candidates
        return candidates[shared]

    def _enter(self, numbers: Array) -> None:
        self._inside = grown(self._inside, int(numbers.max()) + 1)
        new = numbers[~self._inside[numbers]].tolist()
        self._inside[new] = True
        self._members += new
        if len(self._members) > 2 * self._ordered:
            self._order()
            new = self._members
        for number in new:
            for bits in self._prefix(self._sketches.of(number)):
                self._postings.setdefault(bits, []).append(number)

    def _order(self) -> None:
        """Rank the shingles anew by how many of the members have them."""
        bits = np.concatenate([self._sketches.of(number) for number in self._members])
        self._rank[np.argsort(np.bincount(bits, minlength=_VALUES), kind="stable")] = np.arange(
            _VALUES
        )
        self._ordered = len(self._members)
        self._postings.clear()

    def _prefix(self, sketch: Array) -> list[int]:
        """The rarest shingles, of which any text that is like this one has one."""
        least = math.ceil(self._threshold * len(sketch) - _SLACK)
        rarest = np.argsort(self._rank[sketch], kind="stable")[: len(sketch) - least + 1]
        bits: list[int] = np.unique(sketch[rarest]).tolist()
        return bits
