"""Places in a text where something was found, and what is done about them.

- {kind: pii, action: mask}

"Mail jo@example.org"  ->  "Mail [EMAIL]"
history: {"stage": "pii", "action": "mask", "found": {"email": 1},
"spans": [["text", 5, 19, "email"]]}
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.stages.base import Context, Stage, rejected_by

Action = Literal["reject", "mask", "replace", "flag"]


class Span(NamedTuple):
    """Characters `start` to `end` of a text, and what they are."""

    start: int
    end: int
    kind: str


Rewrite = Callable[[str, list[Span]], str]


class Redacting(Stage):
    """Looks for spans in the texts of a row and rejects, masks, replaces or flags them.

    Attributes:
        fields: The columns to look at, with the texts inside of lists and objects; left out, all.
        action: `reject` the row; `mask` with `[KIND]`; `replace` with made-up data; or `flag`.
        adds: With `flag`, the column for the counts by kind; left out, the stage's kind.
        scope: With `replace`, within what equal data get equal stand-ins.
    """

    fields: tuple[str, ...] = ()
    action: Action = "reject"
    adds: str = ""
    scope: Literal["run", "family"] = "run"

    def columns_needed(self) -> set[str]:
        """The columns that are named."""
        return set(self.fields)

    def columns_added(self) -> set[str]:
        """The column of counts, where the stage flags."""
        return {self.adds or self.kind} if self.action == "flag" else set()

    def find(self, text: str) -> list[Span]:
        """What is found in a text, in order, without overlaps."""
        raise NotImplementedError

    def stand_in(self, kind: str, value: str, key: str) -> str:
        """Made-up data for `value`, a function of it and `key` alone."""
        raise NotImplementedError

    def fault(self, detail: Mapping[str, JSON]) -> Fault:
        """Why a row with such data is rejected."""
        raise NotImplementedError

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Look at each row; one that makes the stage raise is rejected."""
        for row in rows:
            try:
                outcome = self._apply(row, context)
            except Exception as exc:
                outcome = rejected_by(exc, row)
            yield outcome

    def _apply(self, row: Row, context: Context) -> Outcome:
        missing = [column for column in self.fields if column not in row.data]
        if missing:
            found = {"column": missing[0], "columns": sorted(row.data)}
            return Rejection(row, "missing_column", found)
        columns = self.fields or tuple(row.data)
        spans = {
            path: spans
            for column in columns
            for path, text in texts(row.data[column], column)
            if (spans := self.find(text))
        }
        event = self._event(spans)
        if self.action == "flag":
            return row.with_data({self.adds or self.kind: event["found"]}, event if spans else None)
        if not spans:
            return row
        if self.action == "reject":
            fault = self.fault({key: event[key] for key in ("found", "spans")})
            return Rejection(row, fault.reason, fault.detail)
        rewrite = self._rewriting(row, context)
        changed = {
            column: rewritten(row.data[column], column, spans, rewrite) for column in columns
        }
        return row.with_data(changed, event)

    def _event(self, spans: Mapping[str, list[Span]]) -> dict[str, JSON]:
        """Kinds, counts and places, and never the data."""
        counts = Counter(span.kind for found in spans.values() for span in found)
        places = [[path, *span] for path, found in spans.items() for span in found]
        found = dict(sorted(counts.items()))
        return {"stage": self.name, "action": self.action, "found": found, "spans": places}

    def _rewriting(self, row: Row, context: Context) -> Rewrite:
        owner = row.family if self.scope == "family" else ""
        key = str(context.seed(Row(owner, (), owner, {})))
        if self.action == "mask":
            return lambda text, spans: put(text, spans, lambda kind, _: f"[{kind.upper()}]")
        return lambda text, spans: put(
            text, spans, lambda kind, value: self.stand_in(kind, value, key)
        )


def without_overlaps(spans: Iterable[Span]) -> list[Span]:
    """The spans in the order of the text; of two that overlap, the one that came first."""
    kept: list[Span] = []
    for span in spans:
        if all(span.end <= other.start or other.end <= span.start for other in kept):
            kept.append(span)
    return sorted(kept)


def put(text: str, spans: Iterable[Span], stand_in: Callable[[str, str], str]) -> str:
    """`text` with each span replaced by what `stand_in(kind, value)` gives."""
    parts: list[str] = []
    at = 0
    for span in spans:
        parts += [text[at : span.start], stand_in(span.kind, text[span.start : span.end])]
        at = span.end
    return "".join([*parts, text[at:]])


def texts(value: JSON, path: str) -> Iterator[tuple[str, str]]:
    """All texts in a value with their places, such as `messages.0.content`; keys are none."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from texts(item, f"{path}.{index}")


def rewritten(value: JSON, path: str, spans: Mapping[str, list[Span]], rewrite: Rewrite) -> JSON:
    """The value with the texts at the places of `spans` rewritten."""
    if isinstance(value, str):
        return rewrite(value, spans[path]) if path in spans else value
    if isinstance(value, Mapping):
        return {key: rewritten(v, f"{path}.{key}", spans, rewrite) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [rewritten(v, f"{path}.{i}", spans, rewrite) for i, v in enumerate(value)]
    return value
