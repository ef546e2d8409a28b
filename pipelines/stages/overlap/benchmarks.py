"""Evaluation sets: where their items are read from, and the texts of these that are looked for.

    sets: {gsm8k: {path: gsm8k/test.jsonl, columns: [question, answer]},
           mine: {kind: hf_dataset, path: ./my-benchmark, split: test, columns: [prompt]}}

    ->  Part("gsm8k", "1", "question", "Janet's ducks lay 16 eggs ...", ["janet's", "ducks", ...])
        Part("gsm8k", "1", "answer", "Janet sells 16 - 3 - 4 ...", ["janet", "sells", "16", ...])

A set is read by the sources `records` and `hf_dataset`, with their keys.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field, SerializeAsAny

from pipelines.sources import SOURCES, BadSeed, Source
from pipelines.sources.files import PathView
from pipelines.stages.columns import strings
from pipelines.stages.overlap.words import words
from pipelines.stages.sets import KINDS, SetPlaces
from prompts.errors import SourceError, TextmillError, UsageError
from prompts.registry import described, dotted

_log = logging.getLogger(__name__)


class Part(NamedTuple):
    """One text of an item.

    Attributes:
        set: The set's name in the job.
        item: What `key` names the item by, else its number in the set, from 1.
        column: The column the text is from.
        text: The text.
        words: Its words as they are compared.
    """

    set: str
    item: str
    column: str
    text: str
    words: list[str]


def _build(value: Any) -> Any:
    if not isinstance(value, Mapping):
        fix = "write {NAME: {path: FILE, columns: [question, answer]}}"
        raise UsageError(f"'sets' is a mapping, found {described(value)}", fix=fix, key="sets")
    return {str(name): _source(item, f"sets.{name}") for name, item in value.items()}


def _source(item: Any, key: str) -> Any:
    if isinstance(item, Source) or not isinstance(item, Mapping):
        return item
    kind = item.get("kind", KINDS[0])
    if kind not in KINDS:
        fix = f"use one of: {', '.join(KINDS)}"
        raise UsageError(f"a set cannot be read from '{kind}'", fix=fix, key=dotted(key, "kind"))
    return SOURCES.build({**item, "kind": kind}, key=key)


AnySets = Annotated[
    dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")], SerializeAsAny[Source]],
    Field(min_length=1),
    BeforeValidator(_build),
]
"""Annotation of a field that takes evaluation sets by their names."""


def check_sets(sets: Mapping[str, Source], view: PathView) -> None:
    """There is something to read in each, with the columns it names.

    Raises:
        SourceError: With the set in its key.
    """
    for name, source in sets.items():
        try:
            source.columns(SetPlaces(view))
        except TextmillError as exc:
            raise _about(name, source, exc) from exc


def read_sets(sets: Mapping[str, Source], view: PathView, *, least: int) -> list[Part]:
    """The texts of all items that have at least `least` words; a warning counts the others.

    Raises:
        SourceError: A set has none, or cannot be read.
    """
    parts: list[Part] = []
    for name, source in sets.items():
        try:
            parts += _read_set(name, source, SetPlaces(view), least)
        except TextmillError as exc:
            raise _about(name, source, exc) from exc
    return parts


def _read_set(name: str, source: Source, view: SetPlaces, least: int) -> Sequence[Part]:
    parts: list[Part] = []
    lost: list[str] = []
    items = 0
    for items, seed in enumerate(source.read(view), 1):
        if isinstance(seed, BadSeed):
            lost.append(f"{seed.key}: {seed.reason}")
            continue
        mine = [part for part in _parts(name, seed.key or str(items), seed.data) if part.words]
        long = [part for part in mine if len(part.words) >= least]
        parts += long
        if not long:
            lost.append(f"item {seed.key or items}: fewer than {least} words")
    if not parts:
        fix = "name other columns, or lower min_words"
        raise SourceError(f"no item has a text of {least} words", fix=fix)
    if lost:
        _log.warning("%s: %d of %d items are not looked for (%s)", name, len(lost), items, lost[0])
    return parts


def _parts(name: str, item: str, data: Mapping[str, Any]) -> Iterator[Part]:
    for column, value in data.items():
        for text in strings(value):
            yield Part(name, item, column, text, words(text))


def _about(name: str, source: Source, exc: TextmillError) -> TextmillError:
    """The same error with the set it is about, and what a dataset folder needs."""
    if exc.file is None:
        exc.key = dotted("sets", name, exc.key)
    if source.kind == KINDS[0] and "unsupported_type" in exc.problem:
        exc.fix = f"{exc.fix}; for the folder of a Hugging Face dataset add 'kind: {KINDS[1]}'"
    return exc
