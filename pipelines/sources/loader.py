r"""`loader`: documents through any loader of `langchain_community`, by its class name.

    - {kind: loader, loader: CSVLoader, options: {file_path: faq.csv}, split: none}

    {"context": "q: When?\\na: Now.", "document": "faq.csv", "start": 0, "end": 16,
     "metadata": {"source": "faq.csv", "row": 0}}

`start` and `end` count characters of the loader's own document, which may be a row or a page of the
file. The loader's code runs with all the rights of the run: choose it as you would choose a plugin.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from chains.loading.base import Reading, Unreadable
from pipelines.rows import digest
from pipelines.sources.base import SOURCES, BadSeed, Seed, Source, SourceView
from pipelines.sources.passages import (
    AnySplit,
    Split,
    check_split,
    cutter,
    passages,
    split_columns,
)
from pipelines.sources.stream import require_some
from pipelines.sources.values import plain
from prompts.errors import SourceError

_PATHS = ("directory", "file", "file_path", "folder_path", "log_file", "path", "zip_path")
"""Options that name a file or folder unless they hold a URL; others are left alone."""


@SOURCES.register
class Loader(Source):
    """What a document loader of `langchain_community` gives.

    Attributes:
        loader: Its class, as `TextLoader` or `langchain_community.document_loaders.TextLoader`.
        options: The keyword arguments of the class. Paths are looked for as in the rest of the job
            and must exist.
        split: How documents are cut; `none` makes one row a document.
    """

    kind: Literal["loader"] = "loader"
    loader: Annotated[str, Field(min_length=1)]
    options: dict[str, Any] = {}
    split: AnySplit = Split()

    def columns(self, view: SourceView) -> set[str]:
        """`context`, `document`, `start`, `end` and `metadata`."""
        from chains.retrieval.community import find_loader

        check_split(self.split, view)
        find_loader(self.loader)
        self._resolve(view)
        return {"context", "document", "start", "end", "metadata"} | split_columns(self.split)

    def read(self, view: SourceView) -> Iterator[Seed | BadSeed]:
        """The passages of all documents, document by document."""
        yield from require_some(self._read(view), [self.loader])

    def fingerprint(self, view: SourceView) -> str:
        """Changes with what the loader gives; it is read through once for that."""
        content = hashlib.sha256()
        for text, metadata in self._documents(view):
            content.update(digest(text, metadata).encode())
        return digest(self.model_dump(mode="json", exclude={"options"}), content.hexdigest())

    def _read(self, view: SourceView) -> Iterator[Seed | BadSeed]:
        cut = cutter(self.split, view)
        _, roots = self._resolve(view)
        number = 0
        try:
            for text, metadata in self._documents(view):
                number += 1
                name = str(metadata.get("source") or self.loader)
                try:
                    for seed in passages(Reading(text), name, cut):
                        moving = seed.moving | {"metadata"}
                        yield Seed({**seed.data, "metadata": metadata}, seed.key, moving)
                except Unreadable as bad:
                    yield BadSeed.of(bad, f"{name}#{number}")
        except SourceError as exc:
            problem = exc.problem
            for root in roots:
                problem = problem.replace(f"{root}{os.sep}", "")
            yield BadSeed(f"{self.loader}#{number + 1}", "loader_failed", problem)

    def _documents(self, view: SourceView) -> Iterator[tuple[str, dict[str, Any]]]:
        from chains.retrieval.community import load_documents

        options, roots = self._resolve(view)
        for document in load_documents(self.loader, options):
            metadata = {str(k): _shown(v, roots) for k, v in document.metadata.items()}
            yield document.page_content, metadata

    def _resolve(self, view: SourceView) -> tuple[dict[str, Any], list[Path]]:
        """The options with their paths found, and the folders that names are relative to."""
        options = dict(self.options)
        roots: list[Path] = []
        for name in _PATHS:
            given = options.get(name)
            if isinstance(given, str) and "://" not in given:
                try:
                    found = view.path(given)
                except SourceError as exc:
                    raise SourceError(exc.problem, fix=exc.fix, key=f"options.{name}") from exc
                options[name] = str(found)
                root = found if found.is_dir() else found.parent
                roots += [root, root.resolve()]
        return options, roots


def _shown(value: Any, roots: list[Path]) -> Any:
    """`value` as JSON; a path below what the job names is shown from there, as on any machine."""
    if isinstance(value, str | Path):
        for root in roots:
            if Path(value).is_relative_to(root):
                return Path(value).relative_to(root).as_posix()
    try:
        return plain(value)
    except Unreadable:
        return str(value)
