"""Finding the texts that are nearly like one another among very many, without comparing all pairs.

    hashing = MinHash(num_perm=128, bands=32, ngram=5, unit="chars")
    keys, sketches = hashing.of(["When does it open?", ...])    # uint64 [texts, 32]; uint16 each
    buckets = Buckets()
    buckets.add(keys)                    # the texts get the numbers 0, 1, 2 ...
    for numbers in buckets.find(keys):   # for each text: the numbers that share a band with it
        ...

MinHash (Broder 1997): the chance that one hash function has its least value at the same shingle of
two sets is their Jaccard similarity s. `num_perm` functions cut into `bands` bands of r values each
(locality-sensitive hashing) put two texts into a common bucket with the chance 1 - (1 - s^r)^bands.
All arithmetic is on integers: the same on every machine.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal
from zlib import crc32

import numpy as np

Unit = Literal["chars", "words"]
Array = np.ndarray[Any, np.dtype[Any]]

CHUNK = 2_048  # shingles hashed at once: 2 MiB at 128 functions, which stays in the cache
_MIX = np.uint64(0x9E3779B97F4A7C15)
_RADIX = np.uint64(0xD6E8FEB86659FD93)
_HIGH = np.uint64(32)


def shingles(text: str, ngram: int, unit: Unit) -> set[Any]:
    """The n-grams of characters or of words; a text shorter than one n-gram is its only one."""
    pieces: Sequence[Any] = text if unit == "chars" else tuple(text.split())
    return {pieces[i : i + ngram] for i in range(max(1, len(pieces) - ngram + 1))}


def jaccard(first: set[Any], second: set[Any]) -> float:
    """Size of the intersection over size of the union."""
    common = len(first & second)
    return common / (len(first) + len(second) - common)


def chance_of_finding(similarity: float, *, num_perm: int, bands: int) -> float:
    """The chance that two texts of that similarity share a bucket."""
    return 1 - (1 - similarity ** (num_perm // bands)) ** bands


class MinHash:
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
        drawn = _mix(np.arange(1, 2 * num_perm + 1, dtype=np.uint64))
        self._factors = drawn[:num_perm] | np.uint64(1)
        self._offsets = drawn[num_perm:]

    def of(self, texts: Sequence[str]) -> tuple[Array, list[Array]]:
        """Band keys, uint64 [texts, bands], and of each text a sketch.

        A sketch is uint16 [shingles]: 16 bits of the hash of each different shingle.
        """
        hashes = [np.unique(self._shingle_hashes(text)) for text in texts]
        least = self._least(hashes).reshape(len(texts), self.bands, -1)
        keys = np.tile(np.arange(self.bands, dtype=np.uint64), (len(texts), 1))
        for row in range(least.shape[2]):
            keys = _mix(keys ^ least[:, :, row])
        return keys, [each.astype(np.uint16) for each in hashes]

    def _shingle_hashes(self, text: str) -> Array:
        """One 64-bit hash a shingle: a polynomial of its pieces' codes, mixed."""
        if self.unit == "chars":
            raw = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        else:
            raw = np.array([crc32(word.encode("utf-8", "surrogatepass")) for word in text.split()])
        codes = np.zeros(max(len(raw), self.ngram), dtype=np.uint64)
        codes[: len(raw)] = raw
        codes[: len(raw)] += np.uint64(1)  # so that 0, which pads short texts, is no piece
        count = len(codes) - self.ngram + 1
        hashes = np.zeros(count, dtype=np.uint64)
        for start in range(self.ngram):
            hashes = hashes * _RADIX + codes[start : start + count]
        return _mix(hashes)

    def _least(self, hashes: list[Array]) -> Array:
        """The least value of every function for each text, uint64 [texts, num_perm] below 2**32."""
        values = np.concatenate(hashes) if hashes else np.zeros(0, dtype=np.uint64)
        owners = np.repeat(np.arange(len(hashes)), [len(each) for each in hashes])
        least = np.full((len(hashes), len(self._factors)), 1 << 32, dtype=np.uint64)
        for start in range(0, len(values), CHUNK):
            chunk, owner = values[start : start + CHUNK], owners[start : start + CHUNK]
            permuted = (chunk[:, None] * self._factors + self._offsets) >> _HIGH
            firsts = np.flatnonzero(np.diff(owner, prepend=-1))
            found = np.minimum.reduceat(permuted, firsts, axis=0)
            least[owner[firsts]] = np.minimum(least[owner[firsts]], found)
        return least


class Buckets:
    """Which texts have which band key: sorted arrays, each at least twice as long as the next.

    12 bytes a key, against more than 100 in a dict. Adding n keys one block at a time costs
    n log n in all (a log-structured merge).
    """

    def __init__(self) -> None:
        self.texts = 0
        self._levels: list[tuple[Array, Array]] = []

    def add(self, keys: Array) -> None:
        """Give the texts of `keys`, uint64 [texts, bands], the next numbers."""
        numbers = np.arange(self.texts, self.texts + len(keys), dtype=np.uint32)
        self.texts += len(keys)
        level = _sorted(keys.ravel(), np.repeat(numbers, keys.shape[1]))
        while self._levels and len(self._levels[-1][0]) < 2 * len(level[0]):
            larger = self._levels.pop()
            level = _sorted(*(np.concatenate(pair) for pair in zip(larger, level, strict=True)))
        if len(level[0]):
            self._levels.append(level)

    def find(self, keys: Array) -> Iterator[Array]:
        """For each text of `keys`, the numbers with a key in common, ascending."""
        flat = keys.ravel()
        found: list[list[Array]] = [[] for _ in keys]
        for known, numbers in self._levels:
            first = np.searchsorted(known, flat)
            hits = np.flatnonzero(known[np.minimum(first, len(known) - 1)] == flat)
            last = np.searchsorted(known, flat[hits], side="right")
            for hit, a, b in zip(hits.tolist(), first[hits].tolist(), last.tolist(), strict=True):
                found[hit // keys.shape[1]].append(numbers[a:b])
        return (self._different(parts) for parts in found)

    def _different(self, found: list[Array]) -> Array:
        if not found:
            return np.zeros(0, dtype=np.uint32)
        numbers = np.concatenate(found)
        if len(numbers) < 1_000:
            return np.unique(numbers)
        seen = np.zeros(self.texts, dtype=bool)  # quicker than sorting a crowded bucket
        seen[numbers] = True
        return np.flatnonzero(seen).astype(np.uint32)


class Sketches:
    """The sketches of all texts in one array, and by them a bound on the similarity of any two."""

    def __init__(self) -> None:
        self._bits = np.zeros(1 << 16, dtype=np.uint16)
        self._ends = np.zeros(1 << 10, dtype=np.int64)
        self._texts = 0

    def add(self, sketch: Array) -> None:
        """Store the next text's sketch."""
        start = self._end(self._texts)
        end = start + len(sketch)
        self._bits = _grown(self._bits, end)
        self._ends = _grown(self._ends, self._texts + 1)
        self._bits[start:end] = sketch
        self._ends[self._texts] = end
        self._texts += 1

    def bounds(self, sketch: Array, numbers: Array) -> Array:
        """What the similarity of a text to each of `numbers` can be at most, float64 [numbers].

        Every shingle they share agrees in 16 bits, so counting agreements never counts too few.
        """
        present = np.zeros(1 << 16, dtype=bool)
        present[sketch] = True
        ends = self._ends[numbers]
        starts = np.where(numbers > 0, self._ends[numbers.astype(np.int64) - 1], 0)
        lengths = ends - starts
        firsts = np.cumsum(lengths) - lengths
        places = np.arange(lengths.sum()) + np.repeat(starts - firsts, lengths)
        common = np.add.reduceat(present[self._bits[places]], firsts, dtype=np.int64)
        common = np.minimum(common, np.minimum(lengths, len(sketch)))
        bounds: Array = common / (lengths + len(sketch) - common)
        return bounds

    def _end(self, texts: int) -> int:
        return int(self._ends[texts - 1]) if texts else 0


def _mix(values: Array) -> Array:
    """The finishing steps of splitmix64 (Steele et al. 2014): every input bit reaches every bit."""
    values = values + _MIX
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Array = values ^ (values >> np.uint64(31))
    return mixed


def _sorted(keys: Array, numbers: Array) -> tuple[Array, Array]:
    order = np.argsort(keys, kind="stable")  # which merges two sorted runs in one pass
    return keys[order], numbers[order]


def _grown(array: Array, needed: int) -> Array:
    if needed <= len(array):
        return array
    larger = np.zeros(max(needed, 2 * len(array)), dtype=array.dtype)
    larger[: len(array)] = array
    return larger
