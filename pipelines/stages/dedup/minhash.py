"""Method `minhash`: the Jaccard similarity of n-grams, without comparing all pairs.

    hashing = Hashing(num_perm=128, bands=32, ngram=5, unit="chars")
    keys, sketches = hashing.of(["When does it open?", ...])    # uint64 [texts, 32]; uint16 each

MinHash (Broder 1997): the chance that one hash function has its least value at the same shingle of
two sets is their Jaccard similarity s. `num_perm` functions cut into `bands` bands of r values each
(locality-sensitive hashing) put two texts into a common bucket with the chance 1 - (1 - s^r)^bands.
Of what is found so, the true similarity is computed: no text is rejected by an estimate.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from pipelines.rows import JSON
from pipelines.stages.dedup.buckets import Buckets, Spans, pairs
from pipelines.stages.dedup.crowd import Crowd
from pipelines.stages.dedup.index import (
    Array,
    CrowdedError,
    by_place,
    ranges,
    together,
    unique_pairs,
)
from pipelines.stages.dedup.shingling import Unit, jaccard, mix, shingle_hashes, shingles
from pipelines.stages.dedup.sketches import Sketch, Sketches, sketched

PART = 24_000  # letters hashed at once: arrays of 188 KiB, of which some stay in the cache
ROUNDS = 8  # of hashing, before what short texts lack is computed outright
CROWDED = 2_048  # texts in the buckets of one text from which on another way of finding is quicker
DENSE = 512  # the same of a text on average, from which on fewer texts are decided together
FEW = 128  # texts of which all pairs may be looked at
_TEXTS = 1 << 14  # hashed at once at most, since a text's number shares 64 bits with its hashes
_HALF = np.uint64(32)
_ROUND = np.uint32(5)  # bits before a value that hold its round
_NONE = np.uint32(0xFFFFFFFF)
_RADIX = np.uint64(0xD6E8FEB86659FD93)


def chance_of_finding(similarity: float, *, num_perm: int, bands: int) -> float:
    """The chance that two texts of that similarity share a bucket."""
    return 1 - (1 - similarity ** (num_perm // bands)) ** bands


class Batch(NamedTuple):
    """What is compared of some texts.

    Attributes:
        texts: The texts.
        keys: Band keys, uint64 [texts, bands].
        sketch: Their sketches.
    """

    texts: Sequence[str]
    keys: Array
    sketch: Sketch


class Hashing:
    """Computes band keys and sketches.

    Args:
        num_perm: Hash functions.
        bands: Bands; divides num_perm.
        ngram: Pieces in a shingle.
        unit: What the pieces are.
    """

    def __init__(self, *, num_perm: int, bands: int, ngram: int, unit: Unit) -> None:
        self.bands = bands
        self.ngram = ngram
        self.unit = unit
        drawn = mix(np.arange(1, num_perm + ROUNDS + 1, dtype=np.uint64)) >> _HALF
        odd = drawn.astype(np.uint32) | np.uint32(1)  # products with which permute the hashes
        self._factors, self._rounds = odd[:num_perm], odd[num_perm:]

    def of(self, texts: Sequence[str]) -> tuple[Array, list[Array]]:
        """Band keys, uint64 [texts, bands], and of each text a sketch, uint16 [shingles]."""
        batch = self.read(texts)
        return batch.keys, np.split(batch.sketch.bits, np.cumsum(batch.sketch.counts)[:-1])

    def read(self, texts: Sequence[str]) -> Batch:
        """The same as arrays over all texts."""
        letters = PART * 128 // max(128, len(self._factors))  # bounds what is computed outright
        read = map(self._read, _parts(texts, letters))
        keys, bits, counts = (np.concatenate(column) for column in zip(*read, strict=True))
        return Batch(texts, keys, sketched(bits, counts))

    def _read(self, texts: Sequence[str]) -> tuple[Array, Array, Array]:
        hashes, counts = shingle_hashes(texts, self.ngram, self.unit)
        owners = np.repeat(np.arange(len(texts), dtype=np.uint64), counts)
        owned = np.sort((owners << np.uint64(48)) | (hashes >> np.uint64(16)))
        new = np.ones(len(owned), dtype=bool)
        new[1:] = owned[1:] != owned[:-1]
        owned = owned[new]
        counts = np.add.reduceat(new, np.cumsum(counts) - counts, dtype=np.int64)
        least = self._least(owned.astype(np.uint32), counts).astype(np.uint64)
        keys = np.arange(1, self.bands + 1, dtype=np.uint64) + np.zeros_like(least[:, :1])
        rows = len(self._factors) // self.bands
        for row in range(rows):
            keys = keys * _RADIX + least[:, row::rows]
        return mix(keys), (owned >> _HALF).astype(np.uint16), counts

    def _least(self, hashes: Array, counts: Array) -> Array:
        """The least value of every function for each text, uint32 [texts, num_perm].

        Not num_perm hashes of every shingle but one a round: it tells which function the shingle
        is for and its value there. A round's values are below those of the next, so a text is done
        when all its functions have one: after a round where it is long, after six at 100 shingles.
        What a short text still lacks is computed outright (fast similarity sketching; Dahlgaard,
        Knudsen and Thorup 2017, with a bound on the rounds).
        """
        functions = len(self._factors)
        least = np.full((len(counts), functions), _NONE, dtype=np.uint32)
        owners = np.repeat(np.arange(len(counts)) * functions, counts)
        left, lengths = hashes, counts
        for step, factor in enumerate(self._rounds):
            drawn = (left * factor).astype(np.uint64)
            drawn *= np.uint64(functions)
            values = (drawn.astype(np.uint32) >> _ROUND) | np.uint32(step << 27)
            np.minimum.at(least.ravel(), owners + (drawn >> _HALF).astype(np.int64), values)
            waiting = lengths * (least.max(axis=1) == _NONE)
            if 2 * waiting.sum() < len(left):
                kept = np.repeat(waiting > 0, lengths)
                left, owners, lengths = left[kept], owners[kept], waiting
            if not len(left):
                return least
        texts, lacking = np.nonzero(least == _NONE)
        chosen, lengths = (np.cumsum(counts) - counts)[texts], counts[texts]
        if len(texts):
            values = hashes[ranges(chosen, lengths)] * np.repeat(self._factors[lacking], lengths)
            values = np.minimum.reduceat(values >> _ROUND, np.cumsum(lengths) - lengths)
            least[texts, lacking] = values | np.uint32(ROUNDS << 27)
        return least


def _parts(texts: Sequence[str], letters: int) -> Iterator[Sequence[str]]:
    """The texts in stretches of about so many letters; one stretch where there are none."""
    start = size = 0
    for place, text in enumerate(texts):
        size += len(text)
        if size > letters or place - start == _TEXTS:
            yield texts[start : place + 1]
            start, size = place + 1, 0
    if start < len(texts) or not texts:
        yield texts[start:]


class MinHash:
    """Texts by their band keys and sketches.

    Args:
        threshold: The least Jaccard similarity of texts that are alike.
        hashing: Computes the keys.
    """

    def __init__(self, threshold: float, hashing: Hashing) -> None:
        self._threshold = threshold
        self._hashing = hashing
        self._texts: list[str] = []
        self._buckets = Buckets()
        self._sketches = Sketches()
        self._crowd = Crowd(self._sketches, threshold)
        self._own: tuple[str, set[Any]] = ("", set())

    def room(self) -> int | None:
        """Any number."""
        return None

    def read(self, texts: Sequence[str]) -> Batch:
        """Band keys and sketches."""
        return self._hashing.read(texts)

    def known(self, batch: Batch, *, earlier: bool = False) -> list[Array]:
        """Texts in a common bucket whose similarity can reach the threshold, by their sketches.

        Raises:
            CrowdedError: More than 128 texts are known `earlier`, and most share buckets with many.
        """
        count = len(batch.texts)
        owners = np.repeat(np.arange(count), self._hashing.bands)
        # What is alone in the batch has no earlier ones there.
        found = list(self._buckets.find(batch.keys.ravel(), several=earlier))
        sizes = np.zeros(count)
        for spans in found:
            weights = spans.last - spans.first
            sizes += np.bincount(owners[spans.query], weights=weights, minlength=count)
        if earlier and count > FEW and sizes.mean() > DENSE:
            raise CrowdedError
        crowded = (sizes > CROWDED) & (not earlier)
        parts = [pairs(spans.at(~crowded[owners[spans.query]]), owners) for spans in found]
        places, numbers = unique_pairs(*together(parts, earlier=earlier))
        likely = self._sketches.reaching(batch.sketch, places, numbers, self._threshold)
        parts = [(places[likely], numbers[likely])]
        if crowded.any():
            parts.append(self._in_crowds(batch, np.flatnonzero(crowded), found))
        return by_place(*together(parts, earlier=False), count)

    def evidence(self, batch: Batch, place: int, number: int) -> dict[str, JSON] | None:
        """The true similarity."""
        text = batch.texts[place]
        if self._own[0] != text or not self._own[1]:
            self._own = (text, shingles(text, self._hashing.ngram, self._hashing.unit))
        other = shingles(self._texts[number], self._hashing.ngram, self._hashing.unit)
        similarity = jaccard(self._own[1], other)
        return {"similarity": round(similarity, 4)} if similarity >= self._threshold else None

    def add(self, batch: Batch, places: Sequence[int]) -> None:
        """Enter the texts' keys and sketches."""
        start = len(self._texts)
        self._texts += [batch.texts[place] for place in places]
        keys = batch.keys[list(places)]
        numbers = np.arange(start, len(self._texts)).repeat(keys.shape[1])
        self._buckets.add(keys.ravel(), numbers)
        self._sketches.add(batch.sketch.some(places))

    def fresh(self) -> Self:
        """An empty one with the same hash functions."""
        return type(self)(self._threshold, self._hashing)

    def _in_crowds(self, batch: Batch, places: Array, found: list[Spans]) -> tuple[Array, Array]:
        """Pairs of texts that have crowded buckets, `places`, and known ones."""
        buckets = []
        for spans in found:
            owners = spans.query // self._hashing.bands
            order = np.argsort(owners, kind="stable")
            order = order[np.isin(owners[order], places)]
            own = np.searchsorted(places, owners[order])
            buckets.append(spans.at(order)._replace(query=own))
        texts, numbers = self._crowd.alike(batch.sketch.split(places), buckets)
        return places[texts], numbers
