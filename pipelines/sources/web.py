"""`web`: pages by their URLs, or all that a sitemap or a feed lists.

    - {kind: web, sitemap: "https://example.org/sitemap.xml", include: ["*/docs/*"], max_pages: 200}

    {"context": "Call before nine ...", "document": "https://example.org/docs/leave", "start": 0,
     "end": 812, "metadata": {"url": "https://example.org/docs/leave", "title": "Sick leave",
     "date": "2024-03-01", "language": "en", "sha256": "9f2c..."}}

Only the text that a page is about is taken, as for HTML files. What was fetched once is read from
the cache when the job is run again.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from chains.loading.base import Unreadable
from pipelines.sources.base import SOURCES, BadSeed
from pipelines.sources.fetched import Document, FetchedSource
from pipelines.sources.files import AnyPaths
from prompts.errors import UsageError

if TYPE_CHECKING:
    from chains.loading.web import Web
    from chains.loading.web_feeds import FeedItem

_DEEPEST = 3  # sitemaps that list sitemaps


@SOURCES.register
class WebPages(FetchedSource):
    """Pages of the web.

    Attributes:
        urls: Pages, one or a list.
        sitemap: The URL of a sitemap, or of an index of sitemaps; also as a text file or gzip.
        feed: The URL of an RSS or Atom feed, whose items' pages are read.
        include: Patterns such as `*/docs/*` of which a listed URL has to match one.
        exclude: Patterns of which it may match none.
        max_pages: The most pages that are taken from the sitemap, and from the feed.
        robots: Whether robots.txt is obeyed.
    """

    kind: Literal["web"] = "web"
    urls: AnyPaths | None = None
    sitemap: str = ""
    feed: str = ""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    max_pages: Annotated[int, Field(ge=1)] = 1000
    robots: bool = True

    @model_validator(mode="after")
    def _names_something(self) -> "WebPages":
        from chains.loading.web_addresses import parse_url

        if not self.places():
            raise ValueError("give 'urls', a 'sitemap' or a 'feed'")
        named = [("urls", url) for url in self.urls or ()]
        for key, url in [*named, ("sitemap", self.sitemap), ("feed", self.feed)]:
            if url:
                try:
                    parse_url(url)
                except Unreadable as bad:  # the whole of it may hold a password
                    fix = "write an http or https URL without a user name"
                    raise UsageError(bad.detail, fix=fix, key=key) from bad
        return self

    def places(self) -> list[str]:
        """All URLs that the job names."""
        return [url for url in [*(self.urls or ()), self.sitemap, self.feed] if url]

    def documents(self, web: "Web") -> Iterator[Document | BadSeed]:
        """Those of `urls`, then of the sitemap, then of the feed; each page once."""
        from chains.loading.web_addresses import parse_url

        seen: set[str] = set()
        for item in self._items(web):
            if isinstance(item, BadSeed):
                yield item
                continue
            try:
                url = parse_url(item.url).url
            except Unreadable as bad:
                yield BadSeed.of(bad, item.url)
                continue
            if url not in seen:
                seen.add(url)
                yield self._document(url, item, web)

    def _document(self, url: str, item: "FeedItem", web: "Web") -> Document | BadSeed:
        from chains.loading.web import PAGES

        try:
            page = web.fetch(url, PAGES, robots=self.robots)
        except Unreadable as bad:
            return BadSeed.of(bad, url)
        return Document(url, page, said={"title": item.title, "date": item.date})

    def _items(self, web: "Web") -> Iterator["FeedItem | BadSeed"]:
        from chains.loading.web_feeds import FeedItem

        for url in self.urls or ():
            yield FeedItem(url, "", "")
        if self.sitemap:
            yield from self._most(self._of_sitemap(web, self.sitemap, _DEEPEST, set()))
        if self.feed:
            yield from self._most(self._of_feed(web))

    def _most(self, items: Iterator["FeedItem | BadSeed"]) -> Iterator["FeedItem | BadSeed"]:
        """The first pages that the patterns let through, and faults among them."""
        fitting = (i for i in items if isinstance(i, BadSeed) or self._fits(i.url))
        return islice(fitting, self.max_pages)

    def _fits(self, url: str) -> bool:
        if any(fnmatchcase(url, pattern) for pattern in self.exclude):
            return False
        return not self.include or any(fnmatchcase(url, pattern) for pattern in self.include)

    def _of_sitemap(
        self, web: "Web", url: str, deepest: int, seen: set[str]
    ) -> Iterator["FeedItem | BadSeed"]:
        from chains.loading.web_feeds import LISTS, FeedItem, read_sitemap

        seen.add(url)
        try:
            listed = read_sitemap(web.listing(url, LISTS, robots=self.robots))
        except Unreadable as bad:
            yield BadSeed.of(bad, url)
            return
        for page in listed.pages:
            yield FeedItem(page, "", "")
        for inner in listed.sitemaps:
            if inner in seen:
                continue
            if deepest == 1:
                yield BadSeed(inner, "malformed", f"a sitemap below {_DEEPEST} others")
                return
            yield from self._of_sitemap(web, inner, deepest - 1, seen)

    def _of_feed(self, web: "Web") -> Iterator["FeedItem | BadSeed"]:
        from chains.loading.web_addresses import parse_url
        from chains.loading.web_feeds import LISTS, FeedItem, read_feed

        try:
            page = web.fetch(self.feed, LISTS, robots=self.robots)
            items = read_feed(page.body)
        except Unreadable as bad:
            yield BadSeed.of(bad, self.feed)
            return
        base = parse_url(page.url)
        for item in items:
            try:
                yield FeedItem(parse_url(item.url, base).url, item.title, item.date)
            except Unreadable as bad:
                yield BadSeed.of(bad, item.url)
