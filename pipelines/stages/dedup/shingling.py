"""Shingles: the n-grams of a text, and their hashes for many texts at once.

shingles("abcd", 3, "chars")                 # {"abc", "bcd"}
hashes, counts = shingle_hashes(["abcd", "ab"], 3, "chars")   # uint64 [3], [2, 1]

All arithmetic is on integers: the same on every machine.
"""

from collections.abc import Sequence
from typing import Any, Literal
from zlib import crc32

import numpy as np

from pipelines.stages.dedup.index import Array, ranges

Unit = Literal["chars", "words"]

_MIX = np.uint64(0x9E3779B97F4A7C15)
_STEPS = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_RADIX = np.uint64(0xD6E8FEB86659FD93)


def shingles(text: str, ngram: int, unit: Unit) -> set[Any]:
    """The n-grams of characters or of words; a text shorter than one n-gram is its only one."""
    pieces: Sequence[Any] = text if unit == "chars" else tuple(text.split())
    return {pieces[i : i + ngram] for i in range(max(1, len(pieces) - ngram + 1))}


def jaccard(first: set[Any], second: set[Any]) -> float:
    """Size of the intersection over size of the union."""
    common = len(first & second)
    return common / (len(first) + len(second) - common)


def shingle_hashes(texts: Sequence[str], ngram: int, unit: Unit) -> tuple[Array, Array]:
    """A 64-bit hash of every shingle, text by text, and how many each text has, at least one.

    A hash is the polynomial of the pieces' codes, mixed; a text shorter than `ngram` is filled up.
    """
    raw, lengths = _codes(texts, unit)
    padded = np.maximum(lengths, ngram)
    starts = np.cumsum(padded) - padded
    codes = np.zeros(int(padded.sum()), dtype=np.uint64)
    codes[ranges(starts, lengths)] = raw
    hashes = _windows(codes, ngram)
    counts = padded - ngram + 1
    return mix(hashes[ranges(starts, counts)]), counts


def _windows(codes: Array, ngram: int) -> Array:
    """The polynomial of every `ngram` codes in a row, from those of half as many."""
    if ngram == 1 or len(codes) < ngram:
        return codes[: max(0, len(codes) - ngram + 1)]
    half = ngram // 2
    halves = _windows(codes, half)
    count = len(codes) - ngram + 1
    power = np.uint64(pow(int(_RADIX), half, 1 << 64))
    whole = halves[:count] * power
    whole += halves[half : half + count]
    if ngram % 2:
        whole *= _RADIX
        whole += codes[2 * half : 2 * half + count]
    return whole


def mix(values: Array) -> Array:
    """The finishing steps of splitmix64 (Steele et al. 2014): every input bit reaches every bit."""
    mixed: Array = values + _MIX
    for shift, factor in _STEPS:
        mixed ^= mixed >> shift
        mixed *= factor
    mixed ^= mixed >> np.uint64(31)
    return mixed


def _codes(texts: Sequence[str], unit: Unit) -> tuple[Array, Array]:
    """Codes of all pieces, uint64 from 1 (0 fills up short texts), and the texts' lengths."""
    if unit == "chars":
        joined = "".join(texts).encode("utf-32-le", "surrogatepass")
        raw = np.frombuffer(joined, np.uint32).astype(np.uint64)
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
    else:
        split = [text.split() for text in texts]
        words = (word.encode("utf-8", "surrogatepass") for words in split for word in words)
        raw = np.fromiter(map(crc32, words), dtype=np.uint64)
        lengths = np.array([len(words) for words in split], dtype=np.int64)
    return raw + np.uint64(1), lengths
