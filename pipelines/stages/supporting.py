"""Which place of a source supports a sentence: words, numbers and meaning.

places([Source("Ada was born in 1815. She wrote a program.", "ada.md", 100)])
->  [Place("Ada was born in 1815.", "ada.md", 100, 121), Place("She wrote ...", ...), both together]
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from chains.text.sentences import sentence_spans
from pipelines.numbers import numbers
from pipelines.rows import JSON, Fault, Row
from pipelines.stages.columns import read_text
from pipelines.stages.grounded import content_words, stem


class Source(NamedTuple):
    """A text to look in, which begins at character `start` of `document`."""

    text: str
    document: str
    start: int


class Place(NamedTuple):
    """A sentence of a source, or two in a row: characters `start` to `end` of its document."""

    text: str
    document: str
    start: int
    end: int
    stems: frozenset[str]
    numbers: frozenset[str]

    @classmethod
    def of(cls, source: Source, start: int, end: int) -> "Place":
        """The characters `start` to `end` of a source's text."""
        text = source.text[start:end]
        stems = frozenset(stem(word) for word in content_words(text))
        at = source.start
        return cls(text, source.document, at + start, at + end, stems, numbers(text))


def sources(row: Row, columns: Sequence[str]) -> list[Source] | Fault:
    """What the columns hold: texts, or lists of passages with `text`, `document` and `start`.

    Where a text stands is told by the columns `document` and `start` for `context`, and by
    `NAME_document` and `NAME_start` for another; where there are none, places count from its own
    beginning. A passage's are its own.
    """
    found: list[Source] = []
    for column in columns:
        value = row.data.get(column)
        if isinstance(value, list | tuple) and all(isinstance(item, Mapping) for item in value):
            found += [_passage(item) for item in value if isinstance(item.get("text"), str)]
            continue
        text = read_text(row, column)
        if isinstance(text, Fault):
            return text
        prefix = "" if column == "context" else f"{column}_"
        place = {key: row.data.get(prefix + key) for key in ("document", "start")}
        found.append(_passage({"text": text, **place}))
    return found


def _passage(item: Mapping[str, JSON]) -> Source:
    start = item.get("start")
    document = item.get("document")
    if isinstance(document, str) and isinstance(start, int):
        return Source(item["text"], document, start)
    return Source(item["text"], "", 0)


def places(found: Sequence[Source]) -> list[Place]:
    """Every sentence of the sources, and every two that follow each other; none twice."""
    kept: dict[tuple[str, int, int], Place] = {}
    for source in found:
        for start, end in _spans(source.text):
            place = Place.of(source, start, end)
            kept.setdefault((place.document or place.text, place.start, place.end), place)
    return list(kept.values())


def _spans(text: str) -> Iterator[tuple[int, int]]:
    spans = sentence_spans(text)
    yield from spans
    yield from ((one[0], other[1]) for one, other in pairwise(spans))


class Said(NamedTuple):
    """A sentence that wants support: the stems of its content words, and its numbers."""

    text: str
    stems: frozenset[str]
    numbers: frozenset[str]

    @classmethod
    def of(cls, text: str) -> "Said":
        """A sentence's words and numbers."""
        return cls(text, frozenset(stem(word) for word in content_words(text)), numbers(text))

    def share(self, place: Place) -> float:
        """The share, 0 to 1, of its words and numbers that a place has; 0 where it has none."""
        wanted = len(self.stems) + len(self.numbers)
        there = len(self.stems & place.stems) + len(self.numbers & place.numbers)
        return there / wanted if wanted else 0.0
