"""`arxiv`: papers of arXiv by number or by a query: their abstracts, or the text of their PDFs.

    - {kind: arxiv, ids: ["1706.03762"], split: none}

    {"context": "The dominant sequence transduction models ...", "start": 0, "end": 1138,
     "document": "http://arxiv.org/abs/1706.03762v7", "metadata": {"url": "...", "title":
     "Attention Is All You Need", "date": "2017-06-12", "language": "en", "sha256": "51b0...",
     "authors": ["Ashish Vaswani", ...], "categories": ["cs.CL", "cs.LG"], ...}}

arXiv asks for three seconds between requests, and for its papers' own licences to be kept to: an
abstract is free to reuse, the text of a PDF mostly is not.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlencode

from pydantic import Field, model_validator

from chains.loading.base import Unreadable
from pipelines.rows import JSON
from pipelines.sources.base import SOURCES, BadSeed
from pipelines.sources.fetched import Document, Fetch, FetchedSource
from pipelines.sources.files import AnyPaths

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from chains.loading.web import Page, Web

_TYPES = {"application/atom+xml": ".xml", "application/xml": ".xml", "text/xml": ".xml"}
_PDF = {"application/pdf": ".pdf"}
_AT_ONCE = 100  # papers that one answer may hold
_ID = re.compile(r"(?:[a-z.-]+(?:\.[A-Z]{2})?/\d{7}|\d{4}\.\d{4,5})(?:v\d+)?", re.I)


class SlowFetch(Fetch):
    """As `Fetch`, with the pause that arXiv asks for."""

    delay: Annotated[float, Field(ge=0, le=600)] = 3.0


@dataclass(frozen=True, slots=True)
class _Paper:
    """What an entry says."""

    url: str
    abstract: str
    pdf: str
    said: dict[str, str]
    authors: list[str]
    categories: list[str]


@SOURCES.register
class Arxiv(FetchedSource):
    """Papers of arXiv.

    Attributes:
        ids: Numbers such as `1706.03762`, with `v1` behind them for a version; one or a list.
        query: A query of arXiv's, such as `cat:cs.CL AND ti:summarization`.
        max_papers: The most papers of the query.
        full: Take the text of the PDF in place of the abstract.
        fetch: As for `web`; `delay` is 3 seconds where it is not given.
        api: Where to ask.
    """

    kind: Literal["arxiv"] = "arxiv"
    ids: AnyPaths | None = None
    query: str = ""
    max_papers: Annotated[int, Field(ge=1, le=30_000)] = 10
    full: bool = False
    fetch: SlowFetch = SlowFetch()
    api: Annotated[str, Field(pattern=r"^https?://[^?#]+$")] = "https://export.arxiv.org/api/query"

    @model_validator(mode="after")
    def _names_something(self) -> "Arxiv":
        if not self.places():
            raise ValueError("give 'ids' or a 'query'")
        for number in self.ids or ():
            if not _ID.fullmatch(number):
                raise ValueError(f"'{number}' is no number of arXiv, such as 1706.03762")
        return self

    def places(self) -> list[str]:
        """Numbers and query."""
        return [*(self.ids or ()), *([self.query] if self.query else [])]

    def documents(self, web: "Web") -> Iterator[Document | BadSeed]:
        """The papers, each once."""
        seen: set[str] = set()
        for found in self._papers(web):
            if isinstance(found, BadSeed):
                yield found
                continue
            paper, page = found
            if paper.url in seen:
                continue
            seen.add(paper.url)
            try:
                yield self._document(web, paper, page)
            except Unreadable as bad:
                yield BadSeed.of(bad, paper.url)

    def _document(self, web: "Web", paper: _Paper, page: "Page") -> Document:
        said: dict[str, JSON] = {**paper.said, "url": paper.url}
        more: dict[str, JSON] = {"authors": paper.authors, "categories": paper.categories}
        if not self.full:
            return Document(paper.url, page, paper.abstract, said, more)
        return Document(paper.url, web.fetch(paper.pdf, _PDF, robots=True), None, said, more)

    def _papers(self, web: "Web") -> Iterator["tuple[_Paper, Page] | BadSeed"]:
        ids = self.ids or ()
        for begin in range(0, len(ids), _AT_ONCE):
            wanted = ids[begin : begin + _AT_ONCE]
            asked = {"id_list": ",".join(wanted), "max_results": len(wanted)}
            found = list(self._entries(web, asked, ",".join(wanted)))
            yield from found
            if any(isinstance(each, BadSeed) for each in found):
                continue
            numbers = [each[0].url for each in found if not isinstance(each, BadSeed)]
            for number in wanted:
                if not any(_is_of(url, number) for url in numbers):
                    yield BadSeed(number, "not_found", "arXiv has no such paper")
        start = 0
        while self.query and start < self.max_papers:
            count = min(_AT_ONCE, self.max_papers - start)
            asked = {"search_query": self.query, "start": start, "max_results": count}
            found = list(self._entries(web, asked, self.query))
            yield from found
            start += count
            if len(found) < count:
                return

    def _entries(
        self, web: "Web", asked: Mapping[str, object], key: str
    ) -> Iterator["tuple[_Paper, Page] | BadSeed"]:
        from chains.loading.web_feeds import local_name, parse_xml

        try:
            page = web.fetch(f"{self.api}?{urlencode(asked)}", _TYPES, robots=False)
            root = parse_xml(page.body)
        except Unreadable as bad:
            yield BadSeed.of(bad, key)
            return
        for entry in root:
            if local_name(entry) == "entry":
                try:
                    yield _paper(entry), page
                except Unreadable as bad:
                    yield BadSeed.of(bad, key)


def _paper(entry: "Element") -> _Paper:
    from chains.loading.web_feeds import child_text, local_name

    url = child_text(entry, "id")
    abstract = child_text(entry, "summary")
    if "/api/errors" in url:
        raise Unreadable("http_error", f"arXiv says: {abstract[:300]}")
    if not url or not child_text(entry, "title"):
        raise Unreadable("malformed", "an entry without number or title")
    links = [each for each in entry if local_name(each) == "link"]
    pdf = next((str(each.get("href")) for each in links if each.get("title") == "pdf"), "")
    said = {"title": child_text(entry, "title"), "date": child_text(entry, "published")[:10]}
    authors = [child_text(each, "name") for each in entry if local_name(each) == "author"]
    terms = (each.get("term") for each in entry if local_name(each) == "category")
    categories = [str(term) for term in terms if term]
    return _Paper(url, abstract, pdf or url.replace("/abs/", "/pdf/"), said, authors, categories)


def _is_of(url: str, number: str) -> bool:
    """Whether the address of a paper is that of a number, of any version where none is given."""
    found = url.partition("/abs/")[2]
    return found == number or re.sub(r"v\d+$", "", found) == number
