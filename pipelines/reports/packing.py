"""The rows as the page's script takes them: small, whole in one JSON object, never above a size.

    {"columns": ["question", "answer"], "leads": [0, 1], "slices": [...], "measures": [...],
     "verdicts": [["grounded", "nothing_new"]], "events": [{"stage": "answer", ...}],
     "rows": [["9f2c...", "17.0", 0, ["When?", "Now."], [-0.2], [[0, {"attempt": 0}]]], ...]}

A row is id, order, family (0 where it is the id), cells, measures, history, and for a rejected row
the place of its verdict, attempts and evidence. What many events have in common (stage, prompt,
model, strategy) is written once. Where the page would be too large, texts are cut first, then rows
are left out; how far is in the page.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pipelines.reports.gathering import Gathered, Refused, Sample, cut
from pipelines.reports.layout import Layout
from pipelines.reports.scores import measures, ranked
from pipelines.rows import JSON, Row

T = TypeVar("T")

MOST_BYTES = 7_000_000
"""Of the data of a page."""

CELLS = (4_000, 2_000, 1_000, 500)
"""Characters of a text that a page shows: the first that makes the page small enough, or else the
last with fewer rows."""

_COMMON = ("stage", "prompt", "model", "strategy")
_LEFT_OUT = ("seed",)
_SPARE = 0.95  # of the bytes are aimed at when rows are left out


@dataclass(frozen=True, slots=True)
class Packed:
    """The data of a page.

    Attributes:
        data: As the script takes them.
        places: Row id -> its place among the rows.
        accepted: Accepted rows among them.
        cell: Characters that texts were cut to.
    """

    data: dict[str, JSON]
    places: dict[str, int]
    accepted: int
    cell: int


def pack(found: Gathered, layout: Layout, slices: Sequence[str]) -> Packed:
    """The largest part of what was gathered that fits a page."""
    rows, refused, cell = found.shown, found.refused, CELLS[0]
    data = _data(rows, refused, layout, slices, cell)
    for cell in CELLS[1:]:
        if _size(data) <= MOST_BYTES:
            break
        data = _data(rows, refused, layout, slices, cell)
    while (size := _size(data)) > MOST_BYTES and (rows or refused):
        share = _SPARE * MOST_BYTES / size
        rows = _fewer(rows, share, lambda row: row.id)
        refused = _fewer(refused, share, lambda item: item.row.id)
        data = _data(rows, refused, layout, slices, cell)
    places = {packed[0]: place for place, packed in enumerate(data["rows"])}
    return Packed(data, places, len(rows), cell)


def _fewer(items: list[T], share: float, key: Callable[[T], str]) -> list[T]:
    sample: Sample[T] = Sample(int(len(items) * share))
    for place, item in enumerate(items):
        sample.add(key(item), place, item)
    return sample.items()


def _size(data: Mapping[str, JSON]) -> int:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "surrogatepass")) + 5 * text.count("<")


def _data(
    rows: Sequence[Row],
    refused: Sequence[Refused],
    layout: Layout,
    slices: Sequence[str],
    cell: int,
) -> dict[str, Any]:
    everything = [*rows, *(item.row for item in refused)]
    measured = [measures(row) for row in everything]
    names = ranked(measured, layout)
    verdicts = list(dict.fromkeys(item.verdict for item in refused))
    events: dict[str, int] = {}
    packed: list[list[JSON]] = [
        [
            row.id,
            ".".join(map(str, row.order)),
            row.family if row.family != row.id else 0,
            [_cell(row.data.get(name), cell) for name in layout.columns],
            [each.get(name) for name in names],
            [_event(event, events, cell) for event in row.history],
        ]
        for row, each in zip(everything, measured, strict=True)
    ]
    for record, item in zip(packed[len(rows) :], refused, strict=True):
        evidence = {key: _cell(value, cell) for key, value in item.detail.items()}
        record.append([verdicts.index(item.verdict), item.attempts, evidence])
    return {
        "columns": layout.columns,
        "leads": [layout.columns.index(name) for name in layout.leads],
        "slices": [layout.columns.index(name) for name in slices],
        "measures": names,
        "verdicts": verdicts,
        "events": [json.loads(text) for text in events],
        "rows": packed,
    }


def _cell(value: JSON, most: int) -> JSON:
    """A text or number as it is, everything else as JSON text; long ones cut."""
    if value is None or isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return cut(text, most)


def _event(event: Mapping[str, JSON], known: dict[str, int], most: int) -> list[JSON]:
    common = json.dumps({key: event[key] for key in _COMMON if key in event}, ensure_ascii=False)
    rest = {
        key: _cell(value, most)
        for key, value in event.items()
        if key not in _COMMON and key not in _LEFT_OUT
    }
    place = known.setdefault(common, len(known))
    return [place, rest] if rest else [place]
