"""Texts in crowded buckets: thousands that share most of their words, few of them alike enough.

Comparing a text with each of them would be dear. What it has in common with all is counted at once
(`overlaps.py`); of what can be alike by that, what shares a bucket is left. The result is the same
as that of looking at all texts of its buckets.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipelines.stages.dedup.buckets import Spans
from pipelines.stages.dedup.index import NOBODY, Array, grown
from pipelines.stages.dedup.overlaps import Overlaps
from pipelines.stages.dedup.sketches import Sketches


class Level(NamedTuple):
    """Texts that were indexed together, and their index."""

    numbers: Array
    overlaps: Overlaps


class Crowd:
    """The texts that were seen in crowded buckets.

    Args:
        sketches: Of all texts.
        threshold: The least similarity of texts that are alike.
    """

    def __init__(self, sketches: Sketches, threshold: float) -> None:
        self._sketches = sketches
        self._threshold = threshold
        self._entered: set[tuple[int, int]] = set()
        self._inside = np.zeros(1, dtype=bool)
        self._levels: list[Level] = []

    def alike(self, texts: Sequence[Array], found: Sequence[Spans]) -> tuple[Array, Array]:
        """Pairs of a text and one in its buckets that may be alike.

        Args:
            texts: Their sketches.
            found: Their buckets; `query` is the place in `texts`, ascending.

        Returns:
            Places in `texts`, int64 [pairs], and numbers of known texts.
        """
        self._enter_new(found)
        parts = [(NOBODY, NOBODY)]
        for numbers, overlaps in self._levels:
            places, others = overlaps.like(texts)
            parts.append((places, numbers[others]))
        places, others = (np.concatenate(column) for column in zip(*parts, strict=True))
        shared = np.zeros(len(places), dtype=bool)
        for spans in found:
            shared |= spans.having(places, others)
        return places[shared], others[shared]

    def _enter_new(self, found: Sequence[Spans]) -> None:
        """Index the texts of buckets that were not seen before."""
        for spans in found:
            for first, last in zip(spans.first.tolist(), spans.last.tolist(), strict=True):
                if (spans.level, first) not in self._entered:
                    self._entered.add((spans.level, first))
                    self._enter(spans.numbers(slice(first, last)))

    def _enter(self, numbers: Array) -> None:
        self._inside = grown(self._inside, int(numbers.max()) + 1)
        numbers = numbers[~self._inside[numbers]]
        if not len(numbers):
            return
        self._inside[numbers] = True
        while self._levels and len(self._levels[-1].numbers) < 2 * len(numbers):
            numbers = np.concatenate([self._levels.pop().numbers, numbers])
        sketches = [self._sketches.of(number) for number in numbers.tolist()]
        self._levels.append(Level(numbers, Overlaps(sketches, self._threshold)))
