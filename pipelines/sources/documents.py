"""`documents`: files of many formats, whole or cut into passages that say where they stand.

    - {kind: documents, path: handbook, split: {tokens: 200, overlap: 20}}

    {"context": "Twenty days a year ...", "document": "leave/holidays.pdf", "start": 19, "end": 812,
     "metadata": {"format": "pdf", "pages": ["1", "2"], "language": "en", "sha256": "9f2c...", ...}}

`start` and `end` count characters of the document's text, and text[start:end] is `context` to the
letter. A row is identified by its document and its text, not by its span: text that is put into one
document changes no id in another, and in its own only those of passages that now read differently.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import Field, field_validator

from chains.loading import FORMATS, SUFFIXES, Limits, Reading, Unreadable
from chains.loading.sandbox import Reader
from pipelines.normalising import normalised
from pipelines.rows import JSON, Row, digest
from pipelines.sources.base import SOURCES, BadSeed, Seed, Source, SourceView
from pipelines.sources.by_file import by_file
from pipelines.sources.covering import Sample, sampled
from pipelines.sources.files import AnyPaths, File, find_files, hash_files, read_file
from pipelines.sources.passages import (
    AnySplit,
    Cut,
    Split,
    check_split,
    cutter,
    passages,
    split_columns,
)
from pipelines.sources.provenance import about_document, find_language, pages
from pipelines.sources.stream import first_file, require_some

_NAMES = tuple(found.name for found in FORMATS)


@SOURCES.register
class Documents(Source):
    """Files of text, Markdown, HTML, PDF, Office and the like.

    Attributes:
        path: A file, a folder, a glob pattern, or a list of them. A folder is read with all below
            it but hidden files; files of other types are listed as rejected.
        split: How documents are cut; `none` makes one row a document.
        types: The formats to read, such as `pdf`; others are passed over as if a pattern had left
            them out. Empty for all.
        duplicates: `reject` a document that reads like an earlier one, or `keep` it.
        max_mb: Megabytes above which a file is rejected.
        max_seconds: That the reader of one file may take.
        max_pages: Pages, slides, sheets or chapters that are read of one file.
        sample: Which of the passages are taken; left out, all in their order. Holds the source in
            memory.
    """

    kind: Literal["documents"] = "documents"
    path: AnyPaths
    split: AnySplit = Split()
    types: tuple[str, ...] = ()
    duplicates: Literal["reject", "keep"] = "reject"
    max_mb: Annotated[float, Field(gt=0)] = 64
    max_seconds: Annotated[float, Field(gt=0, le=3600)] = 60
    max_pages: Annotated[int, Field(ge=1)] = 5000
    sample: Sample | None = None

    @field_validator("types")
    @classmethod
    def _known_types(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        for name in types:
            if name not in _NAMES:
                raise ValueError(f"no format '{name}'; there are {', '.join(_NAMES)}")
        return types

    def columns(self, view: SourceView) -> set[str]:
        """`context`, `document`, `start`, `end` and `metadata`."""
        check_split(self.split, view)
        first_file(self._files(view), self.path)
        return {"context", "document", "start", "end", "metadata"} | split_columns(self.split)

    def read(self, view: SourceView) -> Iterator[Seed | BadSeed]:
        """The passages of all documents, document by document, or a sample of them."""
        items = self._read(view)
        if self.sample is not None:
            items = sampled(items, self.sample, view.seed)
        yield from require_some(items, self.path)

    def fingerprint(self, view: SourceView) -> str:
        """Changes with the files' names and bytes and with how they are cut."""
        settings = self.model_dump(mode="json", exclude={"path"})
        return digest(settings, hash_files(self._files(view), most=self._most()))

    def _most(self) -> int:
        """Bytes that a file may hold."""
        return int(self.max_mb * 1_000_000)

    def report(
        self, rows: Iterable[Row], rejected: Iterable[Mapping[str, JSON]]
    ) -> dict[str, JSON]:
        """What became of each file."""
        return by_file(rows, rejected)

    def _files(self, view: SourceView) -> Iterator[File | BadSeed]:
        for found in find_files(self.path, view, SUFFIXES):
            name = found.key if isinstance(found, BadSeed) else found.name
            if not self.types or _format(name) in self.types:
                yield found

    def _read(self, view: SourceView) -> Iterator[Seed | BadSeed]:
        cut = cutter(self.split, view)
        seen: dict[str, str] = {}
        with Reader(Limits(seconds=self.max_seconds, pages=self.max_pages)) as reader:
            for file in self._files(view):
                if isinstance(file, BadSeed):
                    yield file
                    continue
                try:
                    data = read_file(file.path, most=self._most())
                    reading = reader.read(data, file.name)
                    self._refuse_twin(reading, file.name, seen)
                    sha = hashlib.sha256(data).hexdigest()
                    tongue = find_language(reading.text)
                    about = about_document(reading, _format(file.name), sha, tongue)
                    yield from document_rows(reading, file.name, about, cut)
                except Unreadable as bad:
                    yield BadSeed.of(bad, file.name)

    def _refuse_twin(self, reading: Reading, name: str, seen: dict[str, str]) -> None:
        """Note the text of a document.

        Raises:
            Unreadable: `duplicate_document`, where an earlier one reads the same.
        """
        if self.duplicates == "keep" or not reading.text.strip():
            return
        twin = seen.setdefault(digest(normalised(reading.text)), name)
        if twin != name:
            raise Unreadable("duplicate_document", f"reads like '{twin}'")


def document_rows(
    reading: Reading, name: str, about: Mapping[str, JSON], cut: Cut
) -> Iterator[Seed | BadSeed]:
    """The passages of a document, then its parts that gave no text."""
    for seed in passages(reading, name, cut):
        data = seed.data
        own = data.get("metadata", {})
        metadata = {**about, "pages": pages(reading, data["start"], data["end"]), **own}
        yield Seed({**data, "metadata": metadata}, seed.key, seed.moving | {"metadata"})
    for fault in reading.faults:
        yield BadSeed(f"{name}#{fault.place}", fault.reason, fault.detail)


def _format(name: str) -> str:
    """The format that a file's ending stands for; empty where none does."""
    found = SUFFIXES.get(PurePath(name).suffix.lower())
    return found.name if found else ""
