"""Method `substring`: a run of words that an earlier text has too, wherever it stands in both.

span: 6
"Sure! The fog rolls in from the sea at dawn."
"I think the fog rolls in from the sea, as always."   ->  {"similarity": 0.7, "words": 7,
                                                           "text": "the fog rolls in from the sea"}

Every run of `span` words is looked up by a rolling hash (ExactSubstr; Lee et al. 2022) and compared
word by word. A text shorter than that is only like equal ones.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from pipelines.rows import JSON
from pipelines.stages.dedup.buckets import Buckets, pairs
from pipelines.stages.dedup.index import Array, by_place, ranges, together
from pipelines.stages.dedup.shingling import shingle_hashes

_SHOWN = 200  # characters of a span in the evidence


class Batch(NamedTuple):
    """What is compared of some texts.

    Attributes:
        texts: The texts.
        hashes: Of all runs of words, text by text.
        counts: How many each text has.
    """

    texts: Sequence[str]
    hashes: Array
    counts: Array


class Substring:
    """Texts by their runs of words.

    Args:
        span: Words that a run has at least.
    """

    def __init__(self, span: int) -> None:
        self._span = span
        self._texts: list[str] = []
        self._buckets = Buckets()

    def room(self) -> int | None:
        """Any number."""
        return None

    def read(self, texts: Sequence[str]) -> Batch:
        """Hashes of all runs."""
        return Batch(texts, *shingle_hashes(texts, self._span, "words"))

    def known(self, batch: Batch, *, earlier: bool = False) -> list[Array]:
        """Those with a run of the same hash."""
        owners = np.repeat(np.arange(len(batch.texts)), batch.counts)
        found = [pairs(spans, owners) for spans in self._buckets.find(batch.hashes)]
        return by_place(*together(found, earlier=earlier), len(batch.texts))

    def evidence(self, batch: Batch, place: int, number: int) -> dict[str, JSON] | None:
        """The longest shared run: its share of the text, its length in words, its beginning."""
        own, other = batch.texts[place].split(), self._texts[number].split()
        start, length = longest_run(own, other, self._span)
        if not length:
            return None
        shown = " ".join(own[start : start + length])[:_SHOWN]
        return {"similarity": round(length / len(own), 4), "words": length, "text": shown}

    def add(self, batch: Batch, places: Sequence[int]) -> None:
        """Enter the runs."""
        start = len(self._texts)
        self._texts += [batch.texts[place] for place in places]
        chosen = np.asarray(places, dtype=np.int64)
        starts, counts = np.cumsum(batch.counts) - batch.counts, batch.counts[chosen]
        numbers = np.arange(start, len(self._texts)).repeat(counts)
        self._buckets.add(batch.hashes[ranges(starts[chosen], counts)], numbers)

    def fresh(self) -> Self:
        """An empty one of the same settings."""
        return type(self)(self._span)


def longest_run(own: Sequence[str], other: Sequence[str], span: int) -> tuple[int, int]:
    """Where in `own` the longest run begins that `other` has too, and its length.

    The first of several; length 0 where none has `span` words.
    """
    places: dict[tuple[str, ...], list[int]] = {}
    for place in range(len(other) - span + 1):
        places.setdefault(tuple(other[place : place + span]), []).append(place)
    best = (0, 0)
    reached: dict[int, int] = {}  # by diagonal: where in `own` the last run on it ended
    for start in range(len(own) - span + 1):
        for place in places.get(tuple(own[start : start + span]), ()):
            if start + span <= reached.get(place - start, 0):
                continue
            length = span
            while (
                start + length < len(own)
                and place + length < len(other)
                and own[start + length] == other[place + length]
            ):
                length += 1
            reached[place - start] = start + length
            best = max(best, (start, length), key=lambda run: run[1])
    return best
