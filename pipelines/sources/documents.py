"""`documents`: text files, whole or cut into passages that say where they stand.

    - {kind: documents, path: handbook, split: {tokens: 200, overlap: 20}}

    {"context": "Twenty days a year ...", "document": "leave/holidays.md", "start": 19, "end": 812}

`start` and `end` count characters of the decoded document, and text[start:end] is `context` to the
letter. A row is identified by its document and its text, not by its span: text that is put into one
document changes no id in another, and in its own only those of passages that now read differently.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from chains.loading import SUFFIXES, Unreadable, read_bytes
from pipelines.rows import digest
from pipelines.sources.base import SOURCES, BadSeed, Seed, Source, SourceView
from pipelines.sources.files import AnyPaths, find_files, hash_files, read_file
from pipelines.sources.passages import AnySplit, Split, check_split, cutter, passages
from pipelines.sources.stream import first_file, require_some


@SOURCES.register
class Documents(Source):
    """Text and Markdown files.

    Attributes:
        path: A file, a folder, a glob pattern, or a list of them. A folder is read with all below
            it but hidden files; files of other types are listed as rejected.
        split: How documents are cut; `none` makes one row a document.
        max_mb: Megabytes above which a file is rejected.
    """

    kind: Literal["documents"] = "documents"
    path: AnyPaths
    split: AnySplit = Split()
    max_mb: Annotated[float, Field(gt=0)] = 64

    def columns(self, view: SourceView) -> set[str]:
        """`context`, `document`, `start` and `end`."""
        check_split(self.split, view)
        first_file(find_files(self.path, view, SUFFIXES), self.path)
        return {"context", "document", "start", "end"}

    def read(self, view: SourceView) -> Iterator[Seed | BadSeed]:
        """The passages of all documents, document by document."""
        yield from require_some(self._read(view), self.path)

    def fingerprint(self, view: SourceView) -> str:
        """Changes with the files' names and bytes and with how they are cut."""
        settings = self.model_dump(mode="json", exclude={"path"})
        return digest(settings, hash_files(find_files(self.path, view, SUFFIXES)))

    def _read(self, view: SourceView) -> Iterator[Seed | BadSeed]:
        cut = cutter(self.split, view)
        for file in find_files(self.path, view, SUFFIXES):
            if isinstance(file, BadSeed):
                yield file
                continue
            try:
                data = read_file(file.path, most=int(self.max_mb * 1_000_000))
                yield from passages(read_bytes(data, file.name), file.name, cut)
            except Unreadable as bad:
                yield BadSeed.of(bad, file.name)
