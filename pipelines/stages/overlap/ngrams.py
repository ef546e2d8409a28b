"""Finding, among many texts, those that have a run of n words in common with a text.

index = NgramIndex([["what", "is", "tea"], ["name", "the", "four", "seasons"]], n=3)
index.overlaps([["say", "what", "is", "tea"]])   # {0: Common(share=1.0, longest=3, place=0)}

Hashes of n-grams find the candidates; what is reported was compared word by word.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pipelines.stages.overlap.words import NO_WORD, Common, Ids, common

Keys = np.ndarray[Any, np.dtype[np.uint64]]

_MIX = np.uint64(0x9E3779B97F4A7C15)
_RADIX = np.uint64(0xD6E8FEB86659FD93)


class NgramIndex:
    """An index of texts by their n-grams; texts of fewer than n words are found as wholes.

    Args:
        texts: The texts as words.
        n: Words in an n-gram.
    """

    def __init__(self, texts: Sequence[Sequence[str]], n: int) -> None:
        self._n = n
        self._numbers: dict[str, int] = {}
        self._texts = [
            np.array([self._numbers.setdefault(w, len(self._numbers)) for w in text], np.int32)
            for text in texts
        ]
        self._tables = dict(self._table(width) for width in self._widths())

    def overlaps(self, texts: Sequence[Sequence[str]]) -> dict[int, Common]:
        """What `texts` together have of each indexed text they share an n-gram with, by number."""
        ids = self._encode(texts)
        found = np.unique(np.concatenate([np.zeros(0, np.int32), *self._candidates(ids)]))
        overlaps = {int(number): common(self._texts[number], ids, self._n) for number in found}
        return {number: each for number, each in overlaps.items() if each.share > 0}

    def _encode(self, texts: Sequence[Sequence[str]]) -> Ids:
        """All words in a row, a NO_WORD behind each text so that no run goes across."""
        ids = [self._numbers.get(w, NO_WORD) for text in texts for w in (*text, "")]
        return np.array(ids, dtype=np.int32)

    def _candidates(self, ids: Ids) -> Iterator[Ids]:
        for width, (keys, owners) in self._tables.items():
            wanted = np.unique(_keys(ids, width))
            first = np.searchsorted(keys, wanted, "left")
            last = np.searchsorted(keys, wanted, "right")
            for start, end in zip(first[first < last], last[first < last], strict=True):
                yield owners[start:end]

    def _widths(self) -> list[int]:
        return sorted({min(self._n, len(text)) for text in self._texts} - {0})

    def _table(self, width: int) -> tuple[int, tuple[Keys, Ids]]:
        """The keys of all n-grams of that width, sorted, and the texts they are from."""
        mine = [i for i, text in enumerate(self._texts) if min(self._n, len(text)) == width]
        found = [np.unique(_keys(self._texts[number], width)) for number in mine]
        keys = np.concatenate(found)
        owners = np.repeat(np.array(mine, np.int32), [len(each) for each in found])
        order = np.argsort(keys, kind="stable")
        return width, (keys[order], owners[order])


def _keys(ids: Ids, width: int) -> Keys:
    """A hash of each run of `width` words, uint64 [len(ids) - width + 1]."""
    count = len(ids) - width + 1
    if count <= 0:
        return np.zeros(0, np.uint64)
    mixed = (ids.astype(np.int64) + 2).astype(np.uint64) * _MIX
    mixed ^= mixed >> np.uint64(29)
    keys = np.zeros(count, np.uint64)
    for place in range(width):
        keys = keys * _RADIX + mixed[place : place + count]
    return keys
