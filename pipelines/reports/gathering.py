"""Reading a run once: what the report counts over all rows, and the rows that it shows.

    found = gather(folder.rows(), folder.rejected())
    found.rows, len(found.shown)       # 250,000 and the 10,000 of them that the page can hold
    found.values["label"]              # Counter({"positive": 125_104, "negative": 124_896})

Rows to show are drawn by a hash of their id, so that the same run gives the same page, and a larger
run takes no more memory but for the ids of its families. Texts are measured up to 20,000
characters.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import heappush, heapreplace
from typing import Any, Generic, TypeVar

from pipelines.exporters.profile import Figures, Profile
from pipelines.rows import JSON, Row, canonical

MOST_ROWS = 10_000
"""Accepted rows that a page holds."""

MOST_REJECTED = 200
"""Rejected rows that a page holds for each stage and reason."""

MEASURED = 20_000
"""Characters of a text that are looked at."""

VALUES = 24  # different values from which on a column is no slice
_VALUE = 60  # characters of the longest value of a slice
T = TypeVar("T")
Verdict = tuple[str, str]
"""Stage and reason."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A rejected row.

    Attributes:
        row: As far as it got.
        verdict: Stage and reason.
        detail: The evidence.
        attempts: How often it was tried.
    """

    row: Row
    verdict: Verdict
    detail: Mapping[str, JSON]
    attempts: int


@dataclass(slots=True)
class Gathered:
    """What was found in a run.

    Attributes:
        rows: Accepted rows.
        shown: Those that the page shows, in order.
        refused: Rejected rows that the page shows, in the order of their stages.
        figures: Lengths, openings and repetition of each column with text.
        values: For each column that divides the rows into slices, its values with their rows.
        families: Source rows that accepted rows come from.
        tokens: Prompt tokens and generated tokens of all rows together, rejected ones included.
        cut: Texts that were measured by their beginning alone.
    """

    rows: int = 0
    shown: list[Row] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    figures: Mapping[str, Figures] = field(default_factory=dict)
    values: dict[str, Counter[str]] = field(default_factory=dict)
    families: int = 0
    tokens: tuple[int, int] = (0, 0)
    cut: int = 0


def gather(rows: Iterable[Row], rejected: Iterable[Mapping[str, JSON]]) -> Gathered:
    """Read a run's rows and rejected rows, each once."""
    found = Gathered()
    profile, slices, families = Profile(), _Slices(), set[str]()
    drawn: Sample[Row] = Sample(MOST_ROWS)
    tokens = Counter[str]()
    for row in rows:
        short = row if _fits(row) else _shortened(row)
        found.cut += sum(_long(value) for value in row.data.values())
        profile.add(short.data)
        slices.add(short.data)
        families.add(row.family)
        _count_tokens(tokens, row.history)
        drawn.add(row.id, found.rows, short)
        found.rows += 1
    found.shown, found.figures = drawn.items(), profile.columns()
    found.values, found.families = slices.found(), len(families)
    found.refused = _refused(rejected, tokens)
    found.tokens = (tokens["prompt"], tokens["generated"])
    return found


class Sample(Generic[T]):
    """At most `most` of the items that are added, drawn by a hash of their keys."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[bytes, int, T]] = []

    def add(self, key: str, place: int, item: T) -> None:
        """Take in an item; `place` is its own, and the items come back in that order."""
        draw = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        if len(self._heap) < self._most:
            heappush(self._heap, (draw, place, item))
        elif self._heap and (draw, place) > self._heap[0][:2]:
            heapreplace(self._heap, (draw, place, item))

    def items(self) -> list[T]:
        """What was drawn."""
        return [item for _, _, item in sorted(self._heap, key=lambda entry: entry[1])]


class _Slices:
    """Counts the values of columns that have few."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str] | None] = {}

    def add(self, data: Mapping[str, JSON]) -> None:
        for name, value in data.items():
            counts = self._counts.setdefault(name, Counter())
            if counts is None:
                continue
            shown = slice_of(value)
            if shown is None or (len(counts) == VALUES and shown not in counts):
                self._counts[name] = None
            else:
                counts[shown] += 1

    def found(self) -> dict[str, Counter[str]]:
        """Columns that divide the rows: two values or more, each on two rows or more on average."""
        return {
            name: counts
            for name, counts in self._counts.items()
            if counts and 2 <= len(counts) <= counts.total() / 2
        }


def slice_of(value: JSON) -> str | None:
    """The slice that a value stands for; None where it is a text, a list or a measure."""
    if isinstance(value, str):
        return value if len(value) <= _VALUE and "\n" not in value else None
    if value is None or isinstance(value, bool | int):
        return canonical(value)
    return None


def _refused(rejected: Iterable[Mapping[str, JSON]], tokens: Counter[str]) -> list[Refused]:
    samples: dict[Verdict, Sample[Refused]] = {}
    for place, record in enumerate(rejected):
        row = Row.from_json(record)
        _count_tokens(tokens, row.history)
        verdict = (str(record["stage"]), str(record["reason"]))
        item = Refused(_shortened(row), verdict, record["detail"], record["attempts"])
        samples.setdefault(verdict, Sample(MOST_REJECTED)).add(row.id, place, item)
    return [item for sample in samples.values() for item in sample.items()]


def _count_tokens(tokens: Counter[str], history: Iterable[Mapping[str, Any]]) -> None:
    for used in used_tokens(history):
        tokens["prompt"] += used[0]
        tokens["generated"] += used[1]


def used_tokens(history: Iterable[Mapping[str, Any]]) -> Iterator[tuple[int, int]]:
    """Prompt tokens and generated tokens of each model call in a history."""
    for event in history:
        used = event.get("tokens")
        if isinstance(used, list) and len(used) == 2 and all(isinstance(n, int) for n in used):
            yield used[0], used[1]


def _long(value: JSON) -> bool:
    return isinstance(value, str) and len(value) > MEASURED


def _fits(row: Row) -> bool:
    return not any(_long(v) or isinstance(v, list | dict) for v in row.data.values())


def _shortened(row: Row) -> Row:
    """The row with every text, however deep, cut to what is looked at; the rest is said in it."""
    return Row(row.id, row.order, row.family, {k: cut(v) for k, v in row.data.items()}, row.history)


def cut(value: JSON, most: int = MEASURED) -> JSON:
    """`value` with long texts cut, and how much was cut said in their place."""
    if isinstance(value, str):
        over = len(value) - most
        return value if over <= 0 else f"{value[:most]} [... {over:,} more characters]"
    if isinstance(value, Mapping):
        return {key: cut(item, most) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [cut(item, most) for item in value]
    return value
