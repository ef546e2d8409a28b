"""Figures of a dataset for its card: how long its texts are, how they begin, how much they repeat.

    profile = Profile()
    for record in records:
        profile.add(record)
    profile.columns()["answer"]
    # Figures(texts=500, sampled=500, lengths={12: 3, 13: 9, ...}, distinct_2=0.71,
    #         compression=2.9, near_duplicates=0.012, openings=[("How do", 41), ...])

Lengths are those of all rows. The other figures are those of a sample of at most 1,000 rows, drawn
by a hash of the row's place, so that what is held in memory does not grow with the dataset.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from heapq import heappush, heapreplace

from pipelines.evaluation.surface import compression_ratio, distinct
from pipelines.exporters.near import repeated
from pipelines.rows import JSON

SAMPLE = 1_000  # rows
OPENING = 2  # words
SHORTEST = 3  # median number of words; columns below it hold names and labels, no text
_UNSAID = frozenset({"role", "from"})  # who speaks in a conversation, not what is said


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one column.

    Attributes:
        texts: Rows that have a text there.
        sampled: Rows of the sample that have.
        lengths: Number of words -> number of texts.
        distinct_2: Different pairs of neighbouring words per pair, in the sample, 0 to 1.
        compression: Bytes of the sample over its bytes after gzip; higher is more repetitive.
        near_duplicates: Part of the sample that is nearly like an earlier text in it, 0 to 1.
        openings: The most frequent first two words, with their number in the sample.
    """

    texts: int
    sampled: int
    lengths: Mapping[int, int]
    distinct_2: float
    compression: float
    near_duplicates: float
    openings: tuple[tuple[str, int], ...]

    def percentile(self, percent: int) -> int:
        """The least length that at least `percent` of 100 texts do not exceed (nearest rank)."""
        rank = -(-percent * self.texts // 100)
        seen = 0
        for length in sorted(self.lengths):
            seen += self.lengths[length]
            if seen >= rank:
                return length
        return 0


class Profile:
    """Takes in the records of a dataset one by one.

    Args:
        left_out: A column that is not looked at; empty for none.
    """

    def __init__(self, left_out: str = "") -> None:
        self._left_out = left_out
        self._rows = 0
        self._lengths: dict[str, Counter[int]] = {}
        self._first: dict[str, tuple[int, int]] = {}
        self._sample: list[tuple[int, int, dict[str, str]]] = []

    def add(self, record: Mapping[str, JSON], place: int | None = None) -> None:
        """Take in one record, of the row at `place`; left out, the next one."""
        place = self._rows if place is None else place
        texts = {name: "\n".join(_strings(value)) for name, value in record.items()}
        texts = {name: text for name, text in texts.items() if text and name != self._left_out}
        for number, (name, text) in enumerate(texts.items()):
            self._lengths.setdefault(name, Counter())[len(text.split())] += 1
            self._first.setdefault(name, (place, number))
        drawn = blake2b(place.to_bytes(8, "big"), digest_size=8).digest()
        self._draw((-int.from_bytes(drawn, "big"), place, texts))
        self._rows += 1

    def join(self, other: "Profile") -> None:
        """Take in the records of another one, which was told their places."""
        for name, lengths in other._lengths.items():
            self._lengths.setdefault(name, Counter()).update(lengths)
            self._first[name] = min(other._first[name], self._first.get(name, other._first[name]))
        for entry in other._sample:
            self._draw(entry)
        self._rows += other._rows

    def columns(self) -> dict[str, Figures]:
        """The figures of every column that holds text."""
        sample = [texts for _, _, texts in sorted(self._sample, key=lambda entry: entry[1])]
        found = {
            name: _figures([texts[name] for texts in sample if name in texts], lengths)
            for name, lengths in sorted(self._lengths.items(), key=lambda e: self._first[e[0]])
        }
        return {name: each for name, each in found.items() if each.percentile(50) >= SHORTEST}

    def _draw(self, entry: tuple[int, int, dict[str, str]]) -> None:
        if len(self._sample) < SAMPLE:
            heappush(self._sample, entry)
        elif entry > self._sample[0]:
            heapreplace(self._sample, entry)


def _figures(sample: list[str], lengths: Counter[int]) -> Figures:
    words = [text.split() for text in sample]
    openings = Counter(" ".join(each[:OPENING]) for each in words)
    ranked = sorted(openings.items(), key=lambda item: (-item[1], item[0]))
    return Figures(
        texts=lengths.total(),
        sampled=len(sample),
        lengths=dict(sorted(lengths.items())),
        distinct_2=distinct(words, 2) or 0.0,
        compression=compression_ratio(sample) or 0.0,
        near_duplicates=repeated(sample),
        openings=tuple(ranked[:10]),
    )


def _strings(value: JSON) -> Iterator[str]:
    """The texts within a value, however deep, but for who says them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if name not in _UNSAID:
                yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
