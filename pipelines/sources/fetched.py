"""What sources of the web have in common: how they fetch, and rows of what was fetched.

- {kind: web, urls: ["https://example.org/guide"], fetch: {delay: 2, allow_hosts: [wiki.local]}}

{"context": "Call before nine ...", "document": "https://example.org/guide", "start": 0,
 "end": 812, "metadata": {"url": "https://example.org/guide", "title": "Sick leave",
 "date": "2024-03-01", "language": "en", "sha256": "9f2c..."}}
"""

import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator

from chains.loading import SUFFIXES, Limits, Reading, Unreadable
from chains.loading.sandbox import Reader
from pipelines.rows import JSON, Row, digest
from pipelines.sources.base import BadSeed, Seed, Source, SourceView
from pipelines.sources.by_file import by_file
from pipelines.sources.documents import document_rows
from pipelines.sources.passages import AnySplit, Split, check_split, cutter, split_columns
from pipelines.sources.provenance import about_document, find_language
from pipelines.sources.stream import require_some
from prompts.errors import SourceError

if TYPE_CHECKING:
    from chains.loading.web import Page, Web

OFFLINE = "TEXTMILL_OFFLINE"
"""The environment variable that keeps sources to their cache; `--offline` sets it to 1."""

Host = Annotated[str, Field(min_length=1, pattern=r"^[^\s/@]+$")]


class Fetch(BaseModel):
    """How pages are fetched.

    Attributes:
        delay: Seconds between two requests to a host; a `Crawl-delay` in robots.txt may ask for
            more.
        timeout: Seconds for a whole answer.
        max_mb: Megabytes, after decompression, above which a page is rejected.
        allow_hosts: Hosts, or `host:port`, that may be private addresses of your network.
        contact: How the owner of a site reaches you; it is part of the user agent.
        cache: The folder that pages are kept in; left out, one in your cache folder.
        refresh: Ask again for what is in the cache: `true` for all, `failed` for faults alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    delay: Annotated[float, Field(ge=0, le=600)] = 1.0
    timeout: Annotated[float, Field(gt=0, le=3600)] = 30.0
    max_mb: Annotated[float, Field(gt=0, le=1000)] = 16.0
    allow_hosts: tuple[Host, ...] = ()
    contact: Annotated[str, Field(max_length=200, pattern=r"^[ -~]*$")] = ""
    cache: str = ""
    refresh: bool | str = False

    @field_validator("refresh")
    @classmethod
    def _refresh_is_known(cls, value: bool | str) -> bool | str:
        if value not in (True, False, "failed"):
            raise ValueError("write true, false or failed")
        return value


@dataclass(frozen=True, slots=True)
class Document:
    """A document that was fetched.

    Attributes:
        name: What rows call it: its URL.
        page: What was fetched.
        text: The document's text; None where `page` is a file that holds it.
        said: What is known of it beside what it says itself: title, date, language ...
        more: What its rows tell besides what rows of all documents do.
    """

    name: str
    page: "Page"
    text: str | None = None
    said: dict[str, JSON] = field(default_factory=dict)
    more: dict[str, JSON] = field(default_factory=dict)

    def reading(self, reader: "Reader") -> "Reading":
        """Its text, and what is known of it.

        Raises:
            Unreadable: As the format of its file.
        """
        from chains.loading.web import read_page

        own = Reading(self.text) if self.text is not None else read_page(self.page, reader.read)
        changed = {"date": self.page.modified, **own.metadata, "url": self.page.url}
        said = {name: value for name, value in self.said.items() if value}
        return replace(own, metadata={**changed, **said})

    def format(self) -> str:
        """The name of its format."""
        return "text" if self.text is not None else SUFFIXES[self.page.suffix].name


class FetchedSource(Source):
    """Documents that are fetched, whole or cut into passages.

    Attributes:
        split: How documents are cut; `none` makes one row a document.
        fetch: How they are fetched.
    """

    split: AnySplit = Split()
    fetch: Fetch = Fetch()

    _web: "Web | None" = PrivateAttr(None)

    def columns(self, view: SourceView) -> set[str]:
        """Those of `documents`; nothing is fetched for it."""
        check_split(self.split, view)
        return {"context", "document", "start", "end", "metadata"} | split_columns(self.split)

    def read(self, view: SourceView) -> Iterator[Seed | BadSeed]:
        """The passages of all documents, document by document."""
        web = self._opened(view)
        try:
            yield from require_some(self._read(web, view), self.places())
        except SourceError:
            web.forget_faults()
            raise

    def fingerprint(self, view: SourceView) -> str:
        """Changes with what is fetched and how it is cut; it is fetched for that, if need be."""
        found = [
            [each.key, each.reason]
            if isinstance(each, BadSeed)
            else [each.name, each.page.sha256, each.text, each.said, each.more]
            for each in self.documents(self._opened(view))
        ]
        return digest(self.model_dump(mode="json", exclude={"fetch"}), found)

    def report(
        self, rows: Iterable[Row], rejected: Iterable[Mapping[str, JSON]]
    ) -> dict[str, JSON]:
        """What became of each document."""
        return by_file(rows, rejected)

    @abstractmethod
    def documents(self, web: "Web") -> Iterator[Document | BadSeed]:
        """All documents in their order; the same ones each time, as what is fetched is kept."""

    @abstractmethod
    def places(self) -> list[str]:
        """Where from, for errors."""

    def _read(self, web: "Web", view: SourceView) -> Iterator[Seed | BadSeed]:
        cut = cutter(self.split, view)
        with Reader(Limits()) as reader:
            for document in self.documents(web):
                if isinstance(document, BadSeed):
                    yield document
                    continue
                try:
                    reading = document.reading(reader)
                    tongue = find_language(reading.text)
                    sha = document.page.sha256
                    about = about_document(reading, document.format(), sha, tongue)
                    yield from document_rows(
                        reading, document.name, {**about, **document.more}, cut
                    )
                except Unreadable as bad:
                    yield BadSeed.of(bad, document.name)

    def _opened(self, view: SourceView) -> "Web":
        """One for all readings of a run, so that `refresh` asks once."""
        if self._web is None:
            self._web = open_web(self.fetch, view)
        return self._web


def open_web(fetch: Fetch, view: SourceView) -> "Web":
    """What fetches by the settings of a job."""
    from chains.loading.fetching import RequestLimits
    from chains.loading.web import Web
    from chains.loading.web_cache import WebCache
    from chains.models.cache import cache_root

    agent = f"textmill ({fetch.contact})" if fetch.contact else "textmill"
    limits = RequestLimits(
        max_bytes=int(fetch.max_mb * 1_000_000),
        seconds=fetch.timeout,
        allow_hosts=frozenset(host.lower() for host in fetch.allow_hosts),
        agent=agent,
    )
    folder = _folder(fetch.cache, view) if fetch.cache else cache_root() / "web"
    offline = os.environ.get(OFFLINE, "") not in {"", "0"}
    refresh: Any = fetch.refresh
    return Web(limits, WebCache(folder), delay=fetch.delay, refresh=refresh, offline=offline)


def _folder(text: str, view: SourceView) -> Path:
    try:
        return view.path(text)
    except SourceError:  # not there yet: it begins in the working folder
        return Path(text).expanduser()
