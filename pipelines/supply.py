"""Seed rows in one stream over all sources and passes: ids, positions, and what could not be read.

for item in supply(loaded, passes=None):
    item.source, item.outcome     # "documents", Row(id="41aa...", order=(17,), ...) or a Rejection
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from pipelines.job import LoadedJob
from pipelines.occurrences import Occurrences
from pipelines.rows import JSON, Outcome, Rejection, Row, digest
from pipelines.soundness import flaw
from pipelines.sources import BadSeed, Seed, Source, seeds
from prompts.errors import TextmillError
from prompts.registry import dotted


@dataclass(frozen=True, slots=True)
class Item:
    """One thing a source gave: a row, or something that could not become one."""

    source: str
    kind: str
    outcome: Outcome

    @property
    def row(self) -> Row:
        """The row, or the stand-in for what could not become one."""
        return self.outcome.row if isinstance(self.outcome, Rejection) else self.outcome


def source_names(sources: tuple[Source, ...]) -> list[str]:
    """A name for each source: its kind, numbered from the second of a kind on."""
    seen: Counter[str] = Counter()
    names = []
    for source in sources:
        seen[source.kind] += 1
        count = seen[source.kind]
        names.append(f"source:{source.kind}" if count == 1 else f"source:{source.kind}.{count}")
    return names


def supply(loaded: LoadedJob, passes: int | None) -> Iterator[Item]:
    """All items of all sources in order, `passes` times over; None for without end.

    A row's id is a hash of its content, its key, how many equal ones came before, and the pass.
    What cannot be read is reported in the first pass only. Ends after a pass that gave no row.
    """
    position = 0
    number = 0
    while passes is None or number < passes:
        found = False
        for item in _one_pass(loaded, number, position):
            found = found or isinstance(item.outcome, Row)
            yield item
            position += 1
        if not found:
            return
        number += 1


def _one_pass(loaded: LoadedJob, number: int, position: int) -> Iterator[Item]:
    """All items of one pass; the first stands at `position`."""
    with closing(Occurrences()) as occurrences:
        for name, source in zip(source_names(loaded.job.sources), loaded.job.sources, strict=True):
            for seed in _read(loaded, source):
                if isinstance(seed, BadSeed) and number > 0:
                    continue
                outcome = _outcome(seed, position, occurrences, number, name)
                yield Item(name, source.kind, outcome)
                position += 1


@contextmanager
def naming_source(loaded: LoadedJob, source: Source) -> Iterator[None]:
    """An error of the source is given its key, and the file and the line of the job."""
    try:
        yield
    except TextmillError as exc:
        index = next(i for i, s in enumerate(loaded.job.sources) if s is source)
        if exc.file is None and not exc.key.startswith("sources."):
            exc.key = dotted("sources", index, exc.key)
        raise loaded.located(exc) from exc


def _read(loaded: LoadedJob, source: Source) -> Iterator[Seed | BadSeed]:
    with naming_source(loaded, source):
        yield from seeds(source, loaded)


def _outcome(
    seed: Seed | BadSeed, position: int, occurrences: Occurrences, number: int, name: str
) -> Outcome:
    if isinstance(seed, BadSeed):
        content = digest("unreadable", seed.key, seed.reason)
        identity = digest(content, occurrences.next(content), number)
        row = Row(identity, (position,), identity, {"key": _clean(seed.key)[0]})
        return Rejection(row, seed.reason, {"found": _clean(seed.detail)[0]}, stage=name)
    if found := flaw(seed.data, halves=False):
        return _outcome(BadSeed(seed.key, "not_json", found), position, occurrences, number, name)
    data, replaced = _clean(seed.data)
    content = (replace(seed, data=data) if replaced else seed).identity()
    identity = digest(content, occurrences.next(content), number)
    event: dict[str, JSON] = {"stage": name, "pass": number}
    if seed.key:
        event["key"] = _clean(seed.key)[0]
    if replaced:
        event["surrogates_replaced"] = replaced
    return Row(identity, (position,), identity, data, (event,))


def _clean(value: Any) -> tuple[Any, int]:
    """`value` with lone surrogates, which no file takes, replaced by U+FFFD; and how many."""
    if isinstance(value, str):
        if value.isascii():
            return value, 0
        count = sum(1 for char in value if "\ud800" <= char <= "\udfff")
        text = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in value)
        return text, count
    if isinstance(value, dict):
        pairs = [(_clean(key), _clean(item)) for key, item in value.items()]
        return {k[0]: v[0] for k, v in pairs}, sum(k[1] + v[1] for k, v in pairs)
    if isinstance(value, list):
        items = [_clean(item) for item in value]
        return [item for item, _ in items], sum(count for _, count in items)
    return value, 0
