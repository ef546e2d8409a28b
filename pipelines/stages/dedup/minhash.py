"""Method `minhash`: the Jaccard similarity of n-grams, without comparing all pairs.

    hashing = Hashing(num_perm=128, bands=32, ngram=5, unit="chars")
    keys, sketches = hashing.of(["When does it open?", ...])    # uint64 [texts, 32]; uint16 each

MinHash (Broder 1997): the chance that one hash function has its least value at the same shingle of
two sets is their Jaccard similarity s. `num_perm` functions cut into `bands` bands of r values each
(locality-sensitive hashing) put two texts into a common bucket with the chance 1 - (1 - s^r)^bands.
Of what is found so, the true similarity is computed: no text is rejected by an estimate.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from pipelines.rows import JSON
from pipelines.stages.dedup.buckets import Buckets, Spans, pairs
from pipelines.stages.dedup.crowd import Crowd
from pipelines.stages.dedup.index import Array, by_place, together, unique_pairs
from pipelines.stages.dedup.shingling import Unit, jaccard, mix, shingle_hashes, shingles
from pipelines.stages.dedup.sketches import Sketch, Sketches

CHUNK = 2_048  # shingles hashed at once: 1 MiB at 128 functions, which stays in the cache
CROWDED = 512  # texts in the buckets of one text from which on another way of finding is quicker
_TEXTS = 1 << 16  # hashed at once at most, since a text's number shares 64 bits with its hashes
_HALF = np.uint64(32)


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
        drawn = mix(np.arange(1, num_perm + 1, dtype=np.uint64)) >> _HALF
        self._factors = drawn.astype(np.uint32)[:, None] | np.uint32(1)

    def of(self, texts: Sequence[str]) -> tuple[Array, list[Array]]:
        """Band keys, uint64 [texts, bands], and of each text a sketch, uint16 [shingles]."""
        batch = self.read(texts)
        return batch.keys, np.split(batch.sketch.bits, np.cumsum(batch.sketch.counts)[:-1])

    def read(self, texts: Sequence[str]) -> Batch:
        """The same as arrays over all texts."""
        parts = [
            self._read(texts[start : start + _TEXTS])
            for start in range(0, max(1, len(texts)), _TEXTS)
        ]
        keys, bits, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
        return Batch(texts, keys, Sketch(bits, counts))

    def _read(self, texts: Sequence[str]) -> tuple[Array, Array, Array]:
        hashes, counts = shingle_hashes(texts, self.ngram, self.unit)
        owners = np.repeat(np.arange(len(texts), dtype=np.uint64), counts)
        owned = np.sort((owners << np.uint64(48)) | (hashes >> np.uint64(16)))
        new = np.ones(len(owned), dtype=bool)
        new[1:] = owned[1:] != owned[:-1]
        owned = owned[new]
        counts = np.bincount((owned >> np.uint64(48)).astype(np.int64), minlength=len(texts))
        least = self._least(owned.astype(np.uint32), counts)
        keys = np.tile(np.arange(self.bands, dtype=np.uint64), (len(texts), 1))
        banded = least.astype(np.uint64).reshape(len(texts), self.bands, -1)
        for value in range(banded.shape[2]):
            keys = mix(keys ^ banded[:, :, value])
        return keys, (owned >> _HALF).astype(np.uint16), counts

    def _least(self, hashes: Array, counts: Array) -> Array:
        """The least value of every function for each text, uint32 [texts, num_perm].

        A function is the product with an odd number modulo 2**32: a permutation of the hashes,
        which are mixed already (multiplicative hashing; Dietzfelbinger et al. 1997).
        """
        owners = np.repeat(np.arange(len(counts)), counts)
        least = np.full((len(counts), len(self._factors)), 0xFFFFFFFF, dtype=np.uint32)
        permuted = np.zeros((len(self._factors), CHUNK), dtype=np.uint32)
        for start in range(0, len(hashes), CHUNK):
            chunk, owner = hashes[start : start + CHUNK], owners[start : start + CHUNK]
            values = permuted[:, : len(chunk)]
            np.multiply(self._factors, chunk, out=values)
            firsts = np.flatnonzero(np.diff(owner, prepend=-1))
            found = np.minimum.reduceat(values, firsts, axis=1).T
            least[owner[firsts]] = np.minimum(least[owner[firsts]], found)
        return least


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
        """Texts in a common bucket whose similarity can reach the threshold, by their sketches."""
        count = len(batch.texts)
        owners = np.repeat(np.arange(count), self._hashing.bands)
        found = list(self._buckets.find(batch.keys.ravel()))
        sizes = np.zeros(count)
        for spans in found:
            weights = spans.last - spans.first
            sizes += np.bincount(owners[spans.query], weights=weights, minlength=count)
        crowded = sizes > CROWDED
        parts = [pairs(spans.at(~crowded[owners[spans.query]]), owners) for spans in found]
        parts += self._in_crowds(batch, np.flatnonzero(crowded).tolist(), found)
        places, numbers = unique_pairs(*together(parts, earlier=earlier))
        likely = self._sketches.reaching(batch.sketch, places, numbers, self._threshold)
        return by_place(places[likely], numbers[likely], count)

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

    def _in_crowds(
        self, batch: Batch, places: list[int], found: list[Spans]
    ) -> list[tuple[Array, Array]]:
        """Pairs of texts that have crowded buckets, `places`."""
        if not places:
            return []
        bands = self._hashing.bands
        parts = []
        own = dict(zip(places, batch.sketch.split(places), strict=True))
        found = [spans.at(np.argsort(spans.query // bands, kind="stable")) for spans in found]
        owners = [spans.query // bands for spans in found]
        for place in places:
            ends = [np.searchsorted(owner, [place, place + 1]).tolist() for owner in owners]
            mine = [s.at(slice(a, b)) for s, (a, b) in zip(found, ends, strict=True)]
            numbers = self._crowd.alike(own[place], mine)
            parts.append((np.full(len(numbers), place), numbers))
        return parts
