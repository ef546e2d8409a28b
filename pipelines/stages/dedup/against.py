"""Sets of texts that rows are compared with from the start: seeds, an earlier run, a dataset.

    against: seeds.jsonl
    against: {seeds: {path: seeds.jsonl, columns: {question: instruction}}, earlier: runs/one}

    ->  Known(id="17", family="", text="Name three rivers.", of="seeds")

A set is read by the sources `records` and `hf_dataset`, with their keys. Of the rows of a run, told
by their `id`, `order`, `family`, `data` and `history`, the columns are those of `data`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializeAsAny

from pipelines.rows import JSON
from pipelines.sources import SOURCES, Records, Seed, Source
from pipelines.sources.files import PathView
from pipelines.stages.sets import KINDS, SetPlaces
from pipelines.stages.sets import fingerprint_sets as sets_fingerprint
from prompts.errors import SourceError, TextmillError, UsageError, unknown
from prompts.registry import described, dotted

ROWS = "rows.jsonl"  # of a run folder
RUN_KEYS = {"id", "order", "family", "data", "history"}


def _named(value: Any) -> Any:
    """One path or a list of them as a mapping; the paths are the names."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list | tuple) and all(isinstance(path, str) for path in value):
        value = {path: path for path in value}
    if not isinstance(value, Mapping):
        fix = "write a path, a list of paths, or {NAME: {path: FILE, columns: {question: q}}}"
        raise UsageError(f"'against' names sets, found {described(value)}", fix=fix, key="against")
    return {str(name): _source(item, f"against.{name}") for name, item in value.items()}


def _source(item: Any, key: str) -> Any:
    if isinstance(item, Source):
        return item
    data = {"path": item} if isinstance(item, str) else item
    if not isinstance(data, Mapping):
        fix = "write its path, or {path: FILE, columns: {question: q}}"
        raise UsageError(f"a set is a path or a mapping, found {described(item)}", fix=fix, key=key)
    kind = data.get("kind", KINDS[0])
    if kind not in KINDS:
        raise unknown("kind of set", str(kind), list(KINDS), key=dotted(key, "kind"))
    return SOURCES.build({**data, "kind": kind}, key=key)


AnySets = Annotated[
    dict[Annotated[str, Field(min_length=1)], SerializeAsAny[Source]], BeforeValidator(_named)
]
"""Annotation of a field that takes sets by their names."""


class _Places(SetPlaces):
    """The path of a run folder leads to its rows."""

    def path(self, text: str) -> Path:
        found = super().path(text)
        return found / ROWS if (found / ROWS).is_file() else found


def check_sets(sets: Mapping[str, Source], columns: tuple[str, ...], view: PathView) -> None:
    """There is something to read in each set, and it has the columns that are compared.

    Raises:
        TextmillError: With the set in its key.
    """
    for name, source in sets.items():
        try:
            _check_set(source, columns, _Places(view))
        except TextmillError as exc:
            raise _about(name, exc) from exc


def fingerprint_sets(sets: Mapping[str, Source], view: PathView) -> str:
    """Changes with the sets' names, files and settings; empty where there are none."""
    return sets_fingerprint(sets, _Places(view))


def read_sets(sets: Mapping[str, Source], view: PathView) -> Iterator[tuple[str, str, Seed]]:
    """All readable records: the set's name, what names the record in it, and the record.

    That is the `id` of a run's row, else the value of the set's `key`, else its number from 1.

    Raises:
        TextmillError: A set cannot be read at all.
    """
    for name, source in sets.items():
        try:
            for number, (known, seed) in enumerate(_records(source, _Places(view)), 1):
                yield name, known or seed.key or str(number), seed
        except TextmillError as exc:
            raise _about(name, exc) from exc


def _check_set(source: Source, columns: tuple[str, ...], view: _Places) -> None:
    if _is_run(source, view):
        first = next(_records(source, view), None)
        found = set(first[1].data) if first else set(columns)
    else:
        found = source.columns(view) or set()
    missing = [column for column in columns if column not in found]
    if missing:
        fix = f"add 'columns: {{{missing[0]}: NAME}}' with one of its columns: "
        names = ", ".join(sorted(found))
        raise SourceError(f"no column '{missing[0]}'", fix=fix + names)


def _records(source: Source, view: _Places) -> Iterator[tuple[str, Seed]]:
    """The records, each with its id where it is a run's row; what cannot be read is left out."""
    if not _is_run(source, view):
        yield from (("", seed) for seed in source.read(view) if isinstance(seed, Seed))
        return
    choice: Mapping[str, str] | None = getattr(source, "choice", None)
    for seed in _bare(source).read(view):
        if isinstance(seed, Seed):
            data: dict[str, JSON] = seed.data["data"]
            names = choice or dict.fromkeys(data)
            chosen = {new: data[old or new] for new, old in names.items() if (old or new) in data}
            yield seed.data["id"], Seed(chosen)


def _is_run(source: Source, view: _Places) -> bool:
    return isinstance(source, Records) and (_bare(source).columns(view) or set()) >= RUN_KEYS


def _bare(source: Source) -> Source:
    """The source without a choice among the columns."""
    return source.model_copy(update={"choice": None, "key": ""})


def _about(name: str, exc: TextmillError) -> TextmillError:
    """The same error with the set it is about."""
    if exc.file is None:
        exc.key = dotted("against", name, exc.key)
    return exc
