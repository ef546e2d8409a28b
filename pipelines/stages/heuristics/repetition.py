"""Text that says the same again: lines, sentences, n-grams, or a loop.

    "the cat sat, the cat sat, the cat sat, the cat sat, the cat sat"
    {"rule": "loop", "score": 15, "bound": 10, "found": "the cat sat the cat sat ..."}

The rules and their bounds are those of Gopher (Rae et al. 2021, table A1), with three changes that
short texts need: only the second and later occurrences count as repeated, the most frequent n-gram
has to occur three times, and the bounds of n-grams are wider for a text of few words, where naming
a thing three times is a large share. A loop, the same words over and over without a break, is
looked for by itself: at the end of a long text it is too small a share for the other rules.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from pipelines.rows import Fault
from pipelines.stages.heuristics.base import Check, Text, measured

Share = Annotated[float, Field(gt=0, le=1)]

_TOP = {2: 0.20, 3: 0.18, 4: 0.16}
_DUPLICATE = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
_OCCURRENCES = 3  # of the most frequent n-gram: fewer is how people write
_FEW = 50  # words with which a bound of n-grams is twice that of a long text
_WIDEST = 0.6
_LONGEST_PERIOD = 30  # words of a loop's body
_ROUNDS = 3  # of a loop


class Repetition(Check):
    """Shares of the characters that repeat what stands before them.

    Attributes:
        lines: The most of it in repeated lines, 0 to 1.
        paragraphs: The most of it in repeated paragraphs.
        sentences: The most of it in repeated sentences.
        ngrams: The bounds of the n-gram rules are multiplied by this: below 1 is stricter.
        loop: The most words in a row that say the same at least three times over.
    """

    lines: Share = 0.2
    paragraphs: Share = 0.2
    sentences: Share = 0.2
    ngrams: Annotated[float, Field(gt=0)] = 1.0
    loop: Annotated[int, Field(ge=3)] = 10

    def find(self, text: Text) -> Fault | None:
        """`repetition`, by the first rule that is broken."""
        paragraphs = [part for part in text.content.split("\n\n") if part.strip()]
        pieces = (
            ("lines", text.lines, self.lines),
            ("paragraphs", paragraphs, self.paragraphs),
            ("sentences", text.sentences, self.sentences),
        )
        if fault := self._loop(text.words):
            return fault
        for rule, parts, bound in pieces:
            share, found = repeated_pieces(parts)
            if share > bound:
                return Fault("repetition", measured(rule, share, bound, found))
        return self._ngrams(text.words)

    def _loop(self, words: Sequence[str]) -> Fault | None:
        start, length = longest_loop(words)
        if length <= self.loop:
            return None
        found = " ".join(words[start : start + length])
        return Fault("repetition", measured("loop", length, self.loop, found))

    def _ngrams(self, words: Sequence[str]) -> Fault | None:
        wider = 1 + _FEW / max(1, len(words))
        for rule, measure, bounds in (
            ("top_{}_gram", top_ngram, _TOP),
            ("duplicate_{}_grams", duplicate_ngrams, _DUPLICATE),
        ):
            for n, usual in bounds.items():
                bound = round(self.ngrams * min(_WIDEST, usual * wider), 4)
                share, found = measure(words, n)
                if share > bound:
                    detail = measured(rule.format(n), share, bound, found)
                    return Fault("repetition", detail)
        return None


def repeated_pieces(pieces: Sequence[str]) -> tuple[float, str]:
    """The share of characters in second and later occurrences, and the piece that costs most."""
    counts = Counter(" ".join(piece.casefold().split()) for piece in pieces)
    total = sum(len(piece) * count for piece, count in counts.items())
    repeated = {piece: len(piece) * (count - 1) for piece, count in counts.items() if count > 1}
    if not repeated:
        return 0.0, ""
    return sum(repeated.values()) / total, max(repeated, key=lambda piece: repeated[piece])


def top_ngram(words: Sequence[str], n: int) -> tuple[float, str]:
    """The most frequent n-gram that occurs three times, and the share that it repeats."""
    total = sum(map(len, words))
    counts = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
    if not counts:
        return 0.0, ""
    gram, count = max(counts.items(), key=lambda entry: entry[1] * sum(map(len, entry[0])))
    if count < _OCCURRENCES:
        return 0.0, ""
    return min(1.0, (count - 1) * sum(map(len, gram)) / total), " ".join(gram)


def duplicate_ngrams(words: Sequence[str], n: int) -> tuple[float, str]:
    """The share of characters in n-grams that stood before, overlaps counted once; the first."""
    seen: set[tuple[str, ...]] = set()
    repeated = [False] * len(words)
    first = ""
    for start in range(len(words) - n + 1):
        gram = tuple(words[start : start + n])
        if gram in seen:
            first = first or " ".join(gram)
            repeated[start : start + n] = [True] * n
        seen.add(gram)
    total = sum(map(len, words))
    again = sum(len(word) for word, marked in zip(words, repeated, strict=True) if marked)
    return (again / total if total else 0.0), first


def longest_loop(words: Sequence[str]) -> tuple[int, int]:
    """Start and length, in words, of the longest stretch that repeats its beginning at once.

    A stretch has period p where each of its words is that of p words before; it counts from three
    rounds on.
    """
    best = (0, 0)
    for period in range(1, min(_LONGEST_PERIOD, len(words) // _ROUNDS) + 1):
        last = 0
        # Three rounds are two periods of words that match: one of them is at a place looked at.
        for place in range(period, len(words), (_ROUNDS - 1) * period):
            if place <= last:
                continue
            first, last = _matching(words, place, period)
            length = last - first + 1 + period
            if first <= last and length >= _ROUNDS * period and length > best[1]:
                best = (first - period, length)
    return best


def _matching(words: Sequence[str], place: int, period: int) -> tuple[int, int]:
    """First and last place of the run around `place` whose words are those `period` before."""
    first, last = place, place - 1
    while last + 1 < len(words) and words[last + 1] == words[last + 1 - period]:
        last += 1
    while first <= last and first > period and words[first - 1] == words[first - 1 - period]:
        first -= 1
    return first, last
