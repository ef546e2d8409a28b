r"""Long texts into passages of bounded token count, cut where a reader would cut.

    text = "# Leave\n\nTwenty days a year. Ask early.\n\n# Sick days\n\nCall before nine."
    split_spans(text, tokenizer.spans(text), tokens=12, overlap=0)
    # [(0, 39), (41, 71)]: two whole sections, for no place is better to cut than before a heading

A passage is `text[start:end]` exactly, for it is never put together again from tokens. It ends, in
this order of preference, before a heading, at the end of a paragraph, of a sentence, of a line, of
a word; a worse place is taken when the better one would leave the passage less than half full. A
heading is not cut from what it stands over.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from itertools import accumulate, pairwise

import regex

from chains.text.sentences import sentence_ends

Span = tuple[int, int]

_HEADING, _PARAGRAPH, _SENTENCE, _LINE, _WORD, _ANYWHERE, _NEVER = 6, 5, 4, 3, 2, 1, 0

_GAP = re.compile(r"\s+")  # exactly the characters that `str.strip` strips
_HEADING_LINE = re.compile(
    r"^[ \t]{0,3}(?P<heading>#{1,6}[ \t]+\S.*)$|^[ \t]{0,3}(?:```|~~~)", re.M
)
_ENDS = frozenset(".!?…‽؟۔।॥")  # noqa: RUF001
_ENDS_WITHOUT_SPACE = frozenset("。！？｡")  # noqa: RUF001
_CLOSERS = frozenset("\"'”’»›)]}」』）】〉》*_")  # noqa: RUF001
_LIST_NUMBER = re.compile(r"(?:\A|\n)[ \t]*\d{1,3}\.\Z")
_GRAPHEME = regex.compile(r"\X")


def split_spans(
    text: str,
    spans_of_tokens: Sequence[Span],
    tokens: int,
    overlap: int = 0,
    *,
    sentences: bool = False,
) -> list[Span]:
    """Spans of `text` that cover all of it but white space.

    Args:
        text: Any text.
        spans_of_tokens: (start, end) in characters of each token of `text`, by rising start, as a
            fast tokenizer's offset mapping gives them. Spans may be empty or share characters.
        tokens: How many tokens a span may hold, 1 or more. Only a single character that is itself
            more tokens than that makes a longer one.
        overlap: How many tokens of its predecessor a span may begin with, at most half of `tokens`;
            it begins with whole sentences if any fit, else with whole lines or words. A heading
            begins a span, with nothing before it.
        sentences: Fill each span with as many whole sentences as it holds, and let it overlap by
            whole sentences only, instead of looking for the best place in its second half. A
            sentence of more than `tokens` tokens is cut as without.

    Returns:
        Spans by rising start, without white space at either end. They count tokens as the whole
        text has them; a span that is tokenized on its own may differ by a token at its two ends.

    Raises:
        ValueError: `tokens` or `overlap` is out of range.
    """
    if tokens < 1 or not 0 <= overlap <= tokens // 2:
        raise ValueError(f"tokens {tokens} must be 1 or more, overlap {overlap} at most half of it")
    pieces = _Pieces(text, spans_of_tokens, sentences=sentences)
    spans: list[Span] = []
    start = reached = 0
    while reached < len(pieces):
        if pieces.furthest(start, tokens) <= reached:
            start = reached
        stop = pieces.cut(start, reached, tokens)
        span = _trimmed(text, pieces.borders[start], pieces.borders[stop])
        if span is not None and (not spans or span[1] > spans[-1][1]):
            spans.append(span)
        start = pieces.restart(start, stop, overlap)
        reached = stop
    return spans


def split_regions(
    text: str,
    regions: Sequence[Span],
    spans_of_tokens: Sequence[Span],
    tokens: int,
    overlap: int = 0,
) -> list[Span]:
    """Spans of `text` none of which reaches from one of `regions` into another.

    Args:
        text: Any text.
        regions: Its parts by rising start, none overlapping, such as sections or pages. What lies
            between two of them is one more.
        spans_of_tokens: As for `split_spans`.
        tokens: How many tokens a span may hold. A region that has more is cut as by `split_spans`,
            one that has fewer is a span of its own.
        overlap: As for `split_spans`; nothing overlaps from region to region.

    Returns:
        Spans by rising start that cover all of `text` but white space.
    """
    starts = [start for start, _ in spans_of_tokens]
    spans: list[Span] = []
    for start, end in _gapless(regions, len(text)):
        held = spans_of_tokens[bisect_left(starts, start) : bisect_left(starts, end)]
        shifted = [(first - start, min(last, end) - start) for first, last in held]
        part = text[start:end]
        found = split_spans(part, shifted, tokens, overlap) if len(held) > tokens else whole(part)
        spans += [(start + first, start + last) for first, last in found]
    return spans


def _gapless(regions: Sequence[Span], length: int) -> list[Span]:
    borders = sorted({0, length, *(border for region in regions for border in region)})
    return list(pairwise(borders))


def whole(text: str) -> list[Span]:
    """The one span of `text` without the white space at its ends; none for white space alone."""
    span = _trimmed(text, 0, len(text))
    return [] if span is None else [span]


class _Pieces:
    """The text in pieces that no token reaches across, and how good a place each border is to cut.

    Attributes:
        borders: Offset of each border; piece i lies between borders i and i + 1.
        counts: Tokens before each border.
        grades: How good it is to cut at each border.
    """

    def __init__(
        self, text: str, spans_of_tokens: Sequence[Span], *, sentences: bool = False
    ) -> None:
        starts = [0]
        weights = [0]
        reach = 0
        for start, end in spans_of_tokens:
            if start >= reach and weights[-1]:
                starts.append(start)
                weights.append(0)
            weights[-1] += 1
            reach = max(reach, end, start + 1)
        # What the tokenizer passes over, such as white space, goes with the piece before it.
        self.borders = [*starts, len(text)]
        self.counts = [0, *accumulate(weights)]
        self._sentences = sentences
        ends = frozenset(sentence_ends(text)) if sentences else None
        self.grades = _grades(text, self.borders, ends)

    def __len__(self) -> int:
        return len(self.borders) - 1

    def furthest(self, start: int, tokens: int) -> int:
        """The last border that is at most `tokens` tokens from the border `start`."""
        return bisect_right(self.counts, self.counts[start] + tokens) - 1

    def cut(self, start: int, reached: int, tokens: int) -> int:
        """The border beyond `reached` at which to end a span that begins at `start`."""
        first = reached + 1
        last = max(first, self.furthest(start, tokens))
        if last >= len(self):
            return len(self)
        if self._sentences:
            for border in range(last, reached, -1):
                if self.grades[border] >= _SENTENCE:
                    return border
        half = bisect_left(self.counts, self.counts[start] + (tokens + 1) // 2)
        for lowest in (min(max(first, half), last), first):
            best = max(range(lowest, last + 1), key=lambda border: (self.grades[border], border))
            if self.grades[best] != _NEVER:
                return best
        return last

    def restart(self, start: int, stop: int, overlap: int) -> int:
        """The border that the span after one from `start` to `stop` begins at."""
        if stop >= len(self) or self.grades[stop] == _HEADING:
            return stop
        first = max(start + 1, bisect_left(self.counts, self.counts[stop] - overlap))
        for grade in (_SENTENCE,) if self._sentences else (_SENTENCE, _LINE, _WORD):
            for border in range(first, stop):
                if self.grades[border] >= grade:
                    return border
        return stop


def _trimmed(text: str, start: int, end: int) -> Span | None:
    part = text[start:end]
    left = len(part) - len(part.lstrip())
    return None if left == len(part) else (start + left, start + len(part.rstrip()))


def _grades(text: str, borders: Sequence[int], ends: Collection[int] | None) -> list[int]:
    """How good it is to cut at each border; `ends` are where sentences end, if that is known."""
    headings = heading_spans(text)
    grades = [_unspaced(text, border, ends) for border in borders]
    for gap in _GAP.finditer(text):
        first = bisect_left(borders, gap.start())
        last = bisect_right(borders, gap.end())
        if first < last:
            grades[first:last] = [_spaced(text, gap.span(), headings, ends)] * (last - first)
    return grades


def _unspaced(text: str, border: int, ends: Collection[int] | None) -> int:
    """The grade of a border between two characters."""
    if not 0 < border < len(text):
        return _ANYWHERE
    before, after = text[border - 1], text[border]
    if ends is not None and border in ends:
        return _SENTENCE
    if before in _ENDS_WITHOUT_SPACE and after not in _ENDS_WITHOUT_SPACE | _CLOSERS:
        return _SENTENCE
    if before.isascii() and after.isascii():
        return _ANYWHERE
    joined = before == "\u200d" or _GRAPHEME.fullmatch(text, border - 1, border + 1)
    return _NEVER if joined else _ANYWHERE


def _spaced(text: str, gap: Span, headings: list[Span], ends: Collection[int] | None) -> int:
    """The grade of a border in the white space `gap`."""
    start, end = gap
    space = text[start:end]
    lines = space.count("\n") or sum(space.count(mark) for mark in "\r\x85\u2028")
    place = bisect_right(headings, (start, len(text)))
    if place and start <= headings[place - 1][1]:
        return _NEVER
    if lines and place < len(headings) and headings[place][0] == end:
        return _HEADING
    if lines > 1 or "\f" in space or "\u2029" in space:
        return _PARAGRAPH
    if start in ends if ends is not None else _ends_sentence(text, start, end):
        return _SENTENCE
    return _LINE if lines else _WORD


def _ends_sentence(text: str, stop: int, after: int) -> bool:
    """Whether a sentence ends before `stop`, as far as marks and the next character tell."""
    last = stop - 1
    while last > max(0, stop - 5) and text[last] in _CLOSERS:
        last -= 1
    if last < 0 or text[last] not in _ENDS | _ENDS_WITHOUT_SPACE:
        return False
    if after < len(text) and text[after].islower():
        return False
    if text[last] != "." or not last:
        return True
    initial = text[last - 1].isupper() and (last < 2 or not text[last - 2].isalnum())
    return not initial and not _LIST_NUMBER.search(text, max(0, last - 12), last + 1)


def heading_spans(text: str) -> list[Span]:
    """The spans of all Markdown heading lines outside fenced code."""
    headings: list[Span] = []
    fenced = False
    for line in _HEADING_LINE.finditer(text):
        if line["heading"] is None:
            fenced = not fenced
        elif not fenced:
            start = line.start("heading")
            headings.append((start, start + len(line["heading"].rstrip())))
    return headings
