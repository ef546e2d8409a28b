"""`wikipedia`: articles as plain text, by title or by a search, from any MediaWiki.

    - {kind: wikipedia, titles: [Sick leave, Parental leave], language: en}

    {"context": "Sick leave is paid time off ...", "start": 0, "end": 640,
     "document": "https://en.wikipedia.org/wiki/Sick_leave",
     "metadata": {"url": "...", "title": "Sick leave", "date": "2024-03-01", "language": "en",
     "sha256": "9f2c...", "revision": 1210987654, ...}}

The interface is action=query of MediaWiki with its extension TextExtracts, which Wikipedia has. The
text of Wikipedia is under CC BY-SA 4.0, which asks for the articles to be named: keep `document`.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlencode

from pydantic import Field, model_validator

from chains.loading.base import Unreadable
from pipelines.sources.base import SOURCES, BadSeed
from pipelines.sources.fetched import Document, FetchedSource
from pipelines.sources.files import AnyPaths

if TYPE_CHECKING:
    from chains.loading.web import Page, Web

_TYPES = {"application/json": ".json"}
_AT_ONCE = 50  # results of a search that one answer may hold


@SOURCES.register
class Wikipedia(FetchedSource):
    """Articles of Wikipedia, or of another MediaWiki.

    Attributes:
        titles: Articles, one or a list; redirects are followed.
        search: What to search for; the best articles are read after those of `titles`.
        max_pages: The most articles of the search.
        language: Which Wikipedia.
        api: The `api.php` of another wiki, in place of Wikipedia's.
    """

    kind: Literal["wikipedia"] = "wikipedia"
    titles: AnyPaths | None = None
    search: str = ""
    max_pages: Annotated[int, Field(ge=1, le=10_000)] = 10
    language: Annotated[str, Field(pattern=r"^[a-z]+(-[a-z]+)*$")] = "en"
    api: Annotated[str, Field(pattern=r"^(https?://[^?#]+)?$")] = ""

    @model_validator(mode="after")
    def _names_something(self) -> "Wikipedia":
        if not self.places():
            raise ValueError("give 'titles' or a 'search'")
        return self

    def places(self) -> list[str]:
        """Titles and search."""
        return [*(self.titles or ()), *([self.search] if self.search else [])]

    def documents(self, web: "Web") -> Iterator[Document | BadSeed]:
        """The articles, each once."""
        seen: set[str] = set()
        for title in self._titles(web):
            if isinstance(title, BadSeed):
                yield title
                continue
            try:
                article = self._article(web, title)
            except Unreadable as bad:
                yield BadSeed.of(bad, title)
                continue
            if article.name not in seen:
                seen.add(article.name)
                yield article

    def _titles(self, web: "Web") -> Iterator[str | BadSeed]:
        yield from self.titles or ()
        left = self.max_pages if self.search else 0
        offset = 0
        while left > 0:
            try:
                answer, _ = self._ask(
                    web,
                    list="search",
                    srsearch=self.search,
                    srnamespace=0,
                    srlimit=min(left, _AT_ONCE),
                    sroffset=offset,
                )
                found = [str(each["title"]) for each in answer["query"]["search"]]
                offset = int(answer["continue"]["sroffset"]) if "continue" in answer else 0
            except Unreadable as bad:
                yield BadSeed.of(bad, self.search)
                return
            except (KeyError, TypeError, ValueError) as exc:
                yield BadSeed(self.search, "malformed", f"no answer to a search: {exc!r}")
                return
            yield from found[:left]
            left -= len(found)
            if not found or not offset:
                return

    def _article(self, web: "Web", title: str) -> Document:
        answer, page = self._ask(
            web,
            prop="extracts|info|revisions",
            inprop="url",
            rvprop="ids|timestamp",
            explaintext=1,
            redirects=1,
            titles=title,
        )
        try:
            article = answer["query"]["pages"][0]
            if article.get("missing") or article.get("invalid"):
                raise Unreadable("not_found", f"no article '{title}'")
            text, url = str(article["extract"]), str(article["fullurl"])
            revision = article["revisions"][0]
            said = {
                "title": article["title"],
                "date": str(revision["timestamp"])[:10],
                "language": article.get("pagelanguage"),
            }
            number = int(revision["revid"])
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as exc:
            raise Unreadable("malformed", f"no article in the answer: {exc!r}") from exc
        return Document(url, page, text, {**said, "url": url}, {"revision": number})

    def _ask(self, web: "Web", **parameters: Any) -> tuple[dict[str, Any], "Page"]:
        base = self.api or f"https://{self.language}.wikipedia.org/w/api.php"
        query = {"action": "query", "format": "json", "formatversion": 2, **parameters}
        page = web.fetch(f"{base}?{urlencode(query)}", _TYPES, robots=False)
        try:
            answer = json.loads(page.body)
        except (ValueError, RecursionError) as exc:
            raise Unreadable("malformed", f"no JSON: {exc}") from exc
        if not isinstance(answer, dict):
            raise Unreadable("malformed", "no JSON object")
        if "error" in answer:
            raise Unreadable("http_error", f"the wiki says: {str(answer['error'])[:300]}")
        return answer, page
