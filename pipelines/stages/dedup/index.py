"""What a method of `dedup` is: an index of the texts that are known, which finds those alike.

    index = MinHash(threshold=0.8, ...)
    batch = index.read(["When does it open?", "When does it open today?"])
    index.add(batch, [0])             # the first text gets the number 0
    index.known(batch)[1]             # [0]: the known texts that the second may be like
    index.evidence(batch, 1, 0)       # {"similarity": 0.8125}; None where they are not alike

Equal texts are found before any index is asked.
"""

from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np

from pipelines.rows import JSON

Array = np.ndarray[Any, np.dtype[Any]]

NOBODY: Array = np.zeros(0, dtype=np.int64)


class CrowdedError(Exception):
    """Too many of some texts look alike for all to be decided together; fewer can be."""


class Index(Protocol):
    """Known texts, numbered 0, 1, 2 ... as they are added."""

    def room(self) -> int | None:
        """How many texts may be decided together at most; None for any number."""

    def read(self, texts: Sequence[str]) -> Any:
        """What is compared of some different texts: hashes, vectors, words."""

    def known(self, batch: Any, *, earlier: bool = False) -> list[Array]:
        """For each text that was read, the known ones it may be like, ascending.

        Args:
            batch: What was read.
            earlier: The batch itself is what is known: only texts before the text's own place.

        Raises:
            CrowdedError: The batch is too large for looking at those before each; fewer may do.
        """

    def evidence(self, batch: Any, place: int, number: int) -> dict[str, JSON] | None:
        """What shows that a text is like a known one, `similarity` first; None if it is not."""

    def add(self, batch: Any, places: Sequence[int]) -> None:
        """Make some of the texts known; they get the next numbers."""

    def fresh(self) -> Self:
        """An empty index of the same settings, for texts that are decided together."""


def together(parts: Sequence[tuple[Array, Array]], *, earlier: bool) -> tuple[Array, Array]:
    """Pairs of place and number from several searches, int64; `earlier` as for `Index.known`."""
    none = [np.zeros(0, dtype=np.int64)]
    places = np.concatenate(none + [places for places, _ in parts])
    numbers = np.concatenate(none + [numbers for _, numbers in parts])
    return (places[numbers < places], numbers[numbers < places]) if earlier else (places, numbers)


def unique_pairs(places: Array, numbers: Array) -> tuple[Array, Array]:
    """Each pair of place and number once, sorted; below 2**31 places and 2**32 numbers."""
    joint = np.unique((places.astype(np.int64) << 32) | numbers)
    return joint >> 32, joint & 0xFFFFFFFF


def by_place(places: Array, numbers: Array, count: int) -> list[Array]:
    """Pairs as one array of numbers, each once and ascending, for each of `count` places."""
    places, numbers = unique_pairs(places, numbers)
    found = [NOBODY] * count
    if not len(places):
        return found
    firsts = np.flatnonzero(np.diff(places, prepend=-1))
    ends = [*firsts[1:].tolist(), len(places)]
    for place, a, b in zip(places[firsts].tolist(), firsts.tolist(), ends, strict=True):
        found[place] = numbers[a:b]
    return found


def ranges(starts: Array, counts: Array) -> Array:
    """`counts[i]` numbers that go up from `starts[i]`, one range after the other, int64."""
    firsts = np.cumsum(counts) - counts
    numbers: Array = np.arange(int(counts.sum())) + np.repeat(starts - firsts, counts)
    return numbers


def grown(array: Array, needed: int) -> Array:
    """The array, or a copy at least twice as long if it has no room for `needed` entries."""
    if needed <= len(array):
        return array
    larger = np.zeros((max(needed, 2 * len(array)), *array.shape[1:]), dtype=array.dtype)
    larger[: len(array)] = array
    return larger
