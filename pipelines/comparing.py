"""What is the same in a run and in the same run made once more, and where the first difference is.

report = Report()
compare_lines(report, "rows", before / "rows.jsonl", after / "rows.jsonl")
report.counts["rows"]     # Count(same=23, of=24)
report.differences        # [Difference("rows.jsonl", 3, "data.answer", '"Rain."', '"Snow."')]
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from chains.calls import Reply
from pipelines.exporters.layout import IMAGES
from pipelines.rows import JSON, canonical

CARD = "README.md"
"""Of a dataset: it tells of versions, so that it may differ where the data does not."""

NOTHING = "nothing"
"""Stands for what is not there."""


@dataclass(slots=True)
class Count:
    """How many of some things are the same."""

    same: int = 0
    of: int = 0

    def add(self, *, same: bool) -> None:
        """Count one more thing."""
        self.same += same
        self.of += 1


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where two things differ.

    Attributes:
        where: A file of the run folder, or a call.
        line: In that file, counted from 1; None where it has no lines.
        column: The field, such as `data.answer`; empty for the whole line or file.
        recorded: What the run has there, as JSON.
        found: What it was when it was made once more.
    """

    where: str
    line: int | None
    column: str
    recorded: str
    found: str


@dataclass(slots=True)
class Report:
    """What came of comparing.

    Attributes:
        counts: By what was compared: calls, rows, rejected rows, files of exports.
        differences: The first one of each file, and one for each call.
    """

    counts: dict[str, Count] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)

    def count(self, what: str) -> Count:
        """The count of those things, at zero when new."""
        return self.counts.setdefault(what, Count())

    def summary(self) -> str:
        """One line, such as `20 of 20 calls and 24 of 24 rows are the same bytes`."""
        parts = [f"{count.same} of {count.of} {what}" for what, count in self.counts.items()]
        *others, last = parts
        listed = f"{', '.join(others)} and {last}" if others else last
        return f"{listed} are the same bytes"

    def as_json(self) -> dict[str, JSON]:
        """The report as plain data."""
        return {
            "same": not self.differences,
            "counts": {what: asdict(count) for what, count in self.counts.items()},
            "differences": [asdict(difference) for difference in self.differences],
        }


def compare_lines(report: Report, what: str, before: Path, after: Path) -> None:
    """Compare two JSON Lines files line by line; one that is not there has none."""
    count = report.count(what)
    first: Difference | None = None
    for number, (old, new) in enumerate(zip_longest(_lines(before), _lines(after)), start=1):
        count.same += old == new
        count.of += old is not None
        if old != new and first is None:
            first = Difference(before.name, number, *_first_difference(_record(old), _record(new)))
    if first is not None:
        report.differences.append(first)


def compare_replies(
    report: Report, call: str, before: Sequence[Reply], after: Sequence[Reply]
) -> None:
    """Compare the replies to one call: texts, token counts, log-probabilities and all else."""
    pairs = zip_longest(map(asdict, before), map(asdict, after))
    found = next(((n, old, new) for n, (old, new) in enumerate(pairs) if old != new), None)
    report.count("calls").add(same=found is None)
    if found is not None:
        number, old, new = found
        column, was, now = _first_difference(old, new)
        report.differences.append(Difference(call, None, f"replies.{number}.{column}", was, now))


def compare_folders(report: Report, before: Path, after: Path) -> None:
    """Compare the files of an export, but for the card, which tells of versions, and its images."""
    for path in sorted(path for path in before.rglob("*") if path.is_file()):
        if path.name == CARD or path.relative_to(before).parts[0] == IMAGES:
            continue
        other = after / path.relative_to(before)
        same = other.is_file() and other.read_bytes() == path.read_bytes()
        report.count("files of exports").add(same=same)
        if not same:
            where = path.relative_to(before.parent).as_posix()
            sizes = [_size(path), _size(other)]
            report.differences.append(Difference(where, None, "", *sizes))


def _lines(path: Path) -> Iterator[bytes]:
    if path.exists():
        with path.open("rb") as file:
            yield from file


def _record(line: bytes | None) -> dict[str, JSON] | None:
    if line is None:
        return None
    record: dict[str, JSON] = json.loads(line)
    # The columns first: everything else of a row follows from them, as a rule.
    columns = {f"data.{column}": value for column, value in record.pop("data").items()}
    return {**columns, **record}


def _first_difference(old: dict[str, Any] | None, new: dict[str, Any] | None) -> tuple[str, ...]:
    """Name and both values, as JSON, of the first entry that differs."""
    if old is None or new is None:
        return "", *(NOTHING if side is None else canonical(side) for side in (old, new))
    names = [*old, *(name for name in new if name not in old)]
    name = next((n for n in names if n not in old or n not in new or old[n] != new[n]), "")
    shown = [canonical(side[name]) if name in side else NOTHING for side in (old, new)]
    return name, *shown


def _size(path: Path) -> str:
    return f"{path.stat().st_size} bytes" if path.is_file() else NOTHING
