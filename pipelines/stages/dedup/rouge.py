"""Method `rouge`: how much of its wording a text shares in order with a known one (ROUGE-L).

"write a poem about the sea"  /  "write a short poem about the sea"    ->  similarity 0.9231

The F-measure of the longest common subsequence of words (Lin 2004), by which Self-Instruct (Wang et
al. 2023) keeps a new instruction only below 0.7. A subsequence is no longer than the texts have
words in common: of two texts that reach the threshold, one of the rarest words of either is in the
other. Only texts that have one, and a fitting length, are compared, and nothing is missed.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from pipelines.rows import JSON
from pipelines.stages.dedup.index import NOBODY, Array

_SLACK = 1e-9
_FIRST_CODE = 0x10000  # the characters from here on are all of one kind, and a million
_CODES = 0x110000 - _FIRST_CODE
_UNKNOWN = "\0"

Words = list[str]


class Batch(NamedTuple):
    """The words of some texts."""

    words: Sequence[Words]


class Rouge:
    """Texts by their words.

    Args:
        threshold: The least ROUGE-L of texts that are alike.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._words: list[Words] = []
        self._lengths: list[int] = []
        self._coded: list[str] = []
        self._codes: dict[str, str] = {}
        self._postings: dict[str, list[int]] = {}

    def room(self) -> int | None:
        """Any number."""
        return None

    def read(self, texts: Sequence[str]) -> Batch:
        """Words, between spaces."""
        return Batch([text.split() for text in texts])

    def known(self, batch: Batch, *, earlier: bool = False) -> list[Array]:
        """Those that reach the threshold."""
        found = [self._likely(words) for words in batch.words]
        return [n[n < place] for place, n in enumerate(found)] if earlier else found

    def evidence(self, batch: Batch, place: int, number: int) -> dict[str, JSON] | None:
        """ROUGE-L."""
        similarity = rouge_l(batch.words[place], self._words[number])
        return {"similarity": round(similarity, 4)} if similarity >= self._threshold else None

    def add(self, batch: Batch, places: Sequence[int]) -> None:
        """Enter the texts under each of their words."""
        for place in places:
            words = batch.words[place]
            for word in set(words):
                self._postings.setdefault(word, []).append(len(self._words))
            self._coded.append("".join(self._code(word) for word in words))
            self._words.append(words)
            self._lengths.append(len(words))

    def fresh(self) -> Self:
        """An empty one of the same settings."""
        return type(self)(self._threshold)

    def _likely(self, words: Words) -> Array:
        """Texts of a fitting length that have one of the rarest words."""
        own = Counter(words)
        shortest = len(words) * self._threshold / (2 - self._threshold)
        longest = len(words) * (2 - self._threshold) / self._threshold
        needed = math.ceil(self._threshold * (len(words) + shortest) / 2 - _SLACK)
        found = set[int]()
        spare = len(words) - needed
        for word in sorted(own, key=lambda word: len(self._postings.get(word, ()))):
            found.update(self._postings.get(word, ()))
            spare -= own[word]
            if spare < 0:
                break
        fit = sorted(
            number
            for number in found
            if shortest - _SLACK <= self._lengths[number] <= longest + _SLACK
        )
        return self._near(words, np.array(fit, dtype=np.int64)) if fit else NOBODY

    def _near(self, words: Words, numbers: Array) -> Array:
        """Those of `numbers` that reach the threshold, by the codes of their words."""
        from rapidfuzz.distance import LCSseq
        from rapidfuzz.process import cdist

        own = "".join(self._codes.get(word, _UNKNOWN) for word in words)
        texts = [self._coded[number] for number in numbers.tolist()]
        common = cdist([own], texts, scorer=LCSseq.similarity)[0].astype(np.float64)
        both = len(words) + np.array([len(text) for text in texts])
        near: Array = numbers[2 * common >= self._threshold * both - _SLACK]
        return near

    def _code(self, word: str) -> str:
        """One character for each word; beyond a million words some share one."""
        return self._codes.setdefault(word, chr(_FIRST_CODE + len(self._codes) % _CODES))


def rouge_l(first: Sequence[str], second: Sequence[str]) -> float:
    """2 x longest common subsequence / words of both; 1 for two texts without words."""
    from rapidfuzz.distance import LCSseq

    both = len(first) + len(second)
    return 2 * int(LCSseq.similarity(first, second)) / both if both else 1.0
