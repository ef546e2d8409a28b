"""`spans`: exact places of entities in a text, from values that are given or from tags inside it.

    - {kind: spans, field: text, entities: {PER: person, LOC: [city, country]}, tokens: tokens,
       tags: ner_tags}

    {"person": "Ada Lo", "city": "Oslo", "country": "Norway",
     "text": "Ada Lo left Oslo, the capital of Norway."}
    ->  {..., "spans": [{"start": 0, "end": 6, "label": "PER", "text": "Ada Lo"}, ...],
         "tokens": ["Ada", "Lo", "left", "Oslo", ",", ...],
         "ner_tags": ["B-PER", "I-PER", "O", "B-LOC", "O", ...]}

A text that lacks a given value is rejected, so what is labelled is all there. Every occurrence is
labelled, longer values first. With `stray: reject` a name inside a sentence that nobody gave, which
a model made up and which would go unlabelled, rejects the row too.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from chains.text.sentences import sentences
from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.stages.base import STAGES, Map
from pipelines.stages.columns import read_text, strings
from prompts.errors import UsageError

_TAG = re.compile(r"\[([^\[\]\n]+)\]\(([A-Za-z][\w-]*)\)|<([A-Za-z][\w-]*)>([^<>\n]+)</\3>")
_HALF_TAG = re.compile(r"</?[A-Za-z][\w-]*>|\]\(|\[[^\[\]\n]*\]")
_TOKEN = re.compile(r"\w+(?:[-'’.]\w+)*|[^\w\s]")  # noqa: RUF001 - both apostrophes are meant
_WORD = re.compile(r"[^\W\d_][\w'’-]*")  # noqa: RUF001
_NO_NAMES = frozenset({
    "I", "I'm", "I've", "I'll", "I'd", "Mr", "Mrs", "Ms", "Dr", "Monday", "Tuesday", "Wednesday",
    "Thursday", "Friday", "Saturday", "Sunday", "January", "February", "March", "April", "May",
    "June", "July", "August", "September", "October", "November", "December",
})  # fmt: skip


class Span(NamedTuple):
    """A labelled piece of a text: characters `start` to `end`, the end excluded."""

    start: int
    end: int
    label: str


@STAGES.register
class Spans(Map):
    """Find entities, with exact offsets.

    Attributes:
        field: The column with the text.
        entities: Label -> the column, or columns, with the values that the text has to name. Left
            out, the text has tags: `[Oslo](LOC)` or `<LOC>Oslo</LOC>`, which are taken out.
        labels: The labels that tags may have; left out, any.
        stray: Whether a capitalised word inside a sentence that is in no span rejects the row.
        common: Capitalised words that are no names, besides days, months and titles.
        adds: The column for the spans.
        tokens: A column for the tokens.
        tags: A column for their BIO tags.
    """

    kind: Literal["spans"] = "spans"
    field: Annotated[str, Field(min_length=1)]
    entities: dict[str, str | tuple[str, ...]] = {}
    labels: tuple[str, ...] = ()
    stray: Literal["allow", "reject"] = "allow"
    common: tuple[str, ...] = ()
    adds: Annotated[str, Field(min_length=1)] = "spans"
    tokens: str = ""
    tags: str = ""

    def model_post_init(self, _context: object) -> None:
        """Tags go with tokens, and labels with tags in the text.

        Raises:
            UsageError: Otherwise.
        """
        if bool(self.tokens) != bool(self.tags):
            fix = "name columns for both: 'tokens: tokens, tags: ner_tags'"
            raise UsageError("tokens and tags go together", fix=fix, key="tokens")
        if self.labels and self.entities:
            fix = "leave labels out: they are the keys of entities"
            raise UsageError("labels are for texts with tags", fix=fix, key="labels")

    def columns_needed(self) -> set[str]:
        """The text and the values."""
        return {self.field, *(column for _, column in self._sources())}

    def columns_added(self) -> set[str]:
        """The spans, and tokens and tags where they are wanted."""
        return {self.adds, *filter(None, [self.tokens, self.tags])}

    def _sources(self) -> Iterator[tuple[str, str]]:
        for label, columns in self.entities.items():
            for column in (columns,) if isinstance(columns, str) else columns:
                yield label, column

    def apply(self, row: Row) -> Outcome:
        """The row with its spans; a row from whose text something is missing is rejected."""
        text = read_text(row, self.field)
        if isinstance(text, Fault):
            return Rejection(row, text.reason, text.detail)
        found = self._given(row, text) if self.entities else self._tagged(text)
        if isinstance(found, Fault):
            return Rejection(row, found.reason, found.detail)
        text, spans = found
        stray = stray_names(text, spans, self.common) if self.stray == "reject" else []
        if stray:
            return Rejection(row, "stray_name", {"found": list(stray)})
        columns: dict[str, JSON] = {
            self.field: text,
            self.adds: [{**span._asdict(), "text": text[span.start : span.end]} for span in spans],
        }
        if self.tokens:
            pairs = bio(text, spans)
            columns[self.tokens] = [token for token, _ in pairs]
            columns[self.tags] = [tag for _, tag in pairs]
        return row.with_data(columns, {"stage": self.name, "spans": len(spans)})

    def _given(self, row: Row, text: str) -> tuple[str, list[Span]] | Fault:
        values: list[tuple[str, str]] = []
        for label, column in self._sources():
            if column not in row.data:
                detail = {"column": column, "columns": sorted(row.data)}
                return Fault("missing_column", detail)
            values += ((value.strip(), label) for value in strings(row.data[column]))
        return placed(text, [pair for pair in values if pair[0]])

    def _tagged(self, text: str) -> tuple[str, list[Span]] | Fault:
        found = untagged(text)
        if isinstance(found, Fault):
            return found
        for span in found[1]:
            if self.labels and span.label not in self.labels:
                detail: dict[str, JSON] = {"label": span.label, "known": list(self.labels)}
                return Fault("unknown_label", detail)
        return found if found[1] else Fault("no_span")


def placed(text: str, values: list[tuple[str, str]]) -> tuple[str, list[Span]] | Fault:
    """The text with every occurrence of `values`, (value, label) each; longer values first.

    Gives `entity_missing` where a value has no place of its own, `two_labels` where one value is
    given two labels.
    """
    labels: dict[str, str] = {}
    for value, label in values:
        if labels.setdefault(value, label) != label:
            return Fault("two_labels", {"value": value, "labels": sorted({label, labels[value]})})
    taken: list[Span] = []
    for value in sorted(labels, key=lambda value: (-len(value), value)):
        pattern = re.compile(rf"(?<!\w){re.escape(value)}(?!\w)")
        places = [match.span() for match in pattern.finditer(text)]
        free = [place for place in places if not _overlaps(place, taken)]
        if not free:
            return Fault("entity_missing", {"value": value, "label": labels[value]})
        taken += (Span(start, end, labels[value]) for start, end in free)
    return text, sorted(taken)


def _overlaps(place: tuple[int, int], taken: list[Span]) -> bool:
    return any(place[0] < span.end and span.start < place[1] for span in taken)


def untagged(text: str) -> tuple[str, list[Span]] | Fault:
    """The text without its tags, and what they held; `bad_tag` where one is not closed."""
    pieces: list[str] = []
    spans: list[Span] = []
    place = length = 0
    for match in _TAG.finditer(text):
        before = text[place : match.start()]
        inside = match[1] or match[4]
        value = inside.strip()
        lead = inside[: len(inside) - len(inside.lstrip())]
        start = length + len(before) + len(lead)
        if not value:
            return Fault("bad_tag", {"found": match.group()})
        spans.append(Span(start, start + len(value), match[2] or match[3]))
        pieces += [before, inside]
        length += len(before) + len(inside)
        place = match.end()
    bare = "".join([*pieces, text[place:]])
    if half := _HALF_TAG.search(bare):
        return Fault("bad_tag", {"found": half.group()[:60]})
    return bare, spans


def bio(text: str, spans: list[Span]) -> list[tuple[str, str]]:
    """The tokens of a text with their BIO tags; a token never crosses the border of a span."""
    borders = sorted({0, len(text), *(place for span in spans for place in span[:2])})
    starts: Mapping[int, Span] = {span.start: span for span in spans}
    pairs: list[tuple[str, str]] = []
    for start, end in pairwise(borders):
        span = starts.get(start)
        tokens = _TOKEN.findall(text[start:end])
        if span is None:
            pairs += ((token, "O") for token in tokens)
            continue
        for number, token in enumerate(tokens):
            pairs.append((token, f"{'I' if number else 'B'}-{span.label}"))
    return pairs


def stray_names(text: str, spans: list[Span], common: tuple[str, ...] = ()) -> list[str]:
    """Capitalised words outside of spans that do not begin a sentence."""
    known = {*_NO_NAMES, *common}
    found: list[str] = []
    place = 0
    for sentence in sentences(text):
        place = text.index(sentence, place)
        first = True
        for match in _WORD.finditer(sentence):
            start = place + match.start()
            inside = any(span.start <= start < span.end for span in spans)
            if match.group()[0].isupper() and not first and not inside:
                found += [match.group()] if match.group() not in known else []
            first = False
        place += len(sentence)
    return found
