"""Lists of pages: sitemaps, and the feeds RSS and Atom.

    read_sitemap(data)      # Sitemap(pages=["https://example.org/a", ...], sitemaps=[])
    read_feed(data)         # [FeedItem("https://example.org/news/1", "Title", "2024-03-01")]

They come from strangers: a document type declaration, and so every entity, is refused before it is
expanded, and nothing outside is loaded (defusedxml).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from chains.loading.base import Unreadable

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LISTS = {
    "application/atom+xml": ".xml",
    "application/gzip": ".gz",
    "application/rss+xml": ".xml",
    "application/x-gzip": ".gz",
    "application/xml": ".xml",
    "text/plain": ".txt",
    "text/xml": ".xml",
}
"""Media types of sitemaps and feeds, each with the ending of its files."""


@dataclass(frozen=True, slots=True)
class Sitemap:
    """What a sitemap lists.

    Attributes:
        pages: URLs of pages, in the order of the file.
        sitemaps: URLs of further sitemaps, where the file is an index.
    """

    pages: list[str]
    sitemaps: list[str]


@dataclass(frozen=True, slots=True)
class FeedItem:
    """What a feed says of a page.

    Attributes:
        url: As the feed writes it, perhaps relative.
        title: Plain text, or nothing.
        date: The day, as ISO 8601, or nothing.
    """

    url: str
    title: str
    date: str


def parse_xml(data: bytes) -> "Element":
    """The root of an XML document without a document type.

    Raises:
        Unreadable: `xml_entities` for a document type or entities, `malformed` for what is no XML.
    """
    from xml.etree.ElementTree import ParseError

    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root: Element = fromstring(data, forbid_dtd=True)
    except DefusedXmlException as exc:
        raise Unreadable("xml_entities", "a document type declaration, which is refused") from exc
    except (ParseError, ValueError, LookupError) as exc:
        raise Unreadable("malformed", f"no XML: {exc}") from exc
    return root


def read_sitemap(data: bytes) -> Sitemap:
    """The URLs of a sitemap, of an index of sitemaps, or of a text file with one a line.

    Raises:
        Unreadable: As `parse_xml`; `malformed` for XML of another kind.
    """
    if not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        lines = data.decode("utf-8", "replace").lstrip("\ufeff").split("\n")
        return Sitemap([line.strip() for line in lines if line.strip()], [])
    root = parse_xml(data)
    found = [child_text(entry, "loc") for entry in root if local_name(entry) in {"url", "sitemap"}]
    urls = [url for url in found if url]
    if local_name(root) == "urlset":
        return Sitemap(urls, [])
    if local_name(root) == "sitemapindex":
        return Sitemap([], urls)
    raise Unreadable("malformed", f"no sitemap: its root is '{local_name(root)}'")


def read_feed(data: bytes) -> list[FeedItem]:
    """The items of an RSS or Atom feed that link to a page.

    Raises:
        Unreadable: As `parse_xml`; `malformed` for XML of another kind.
    """
    root = parse_xml(data)
    if local_name(root) not in {"rss", "RDF", "feed"}:
        raise Unreadable("malformed", f"no feed: its root is '{local_name(root)}'")
    entries = (each for each in root.iter() if local_name(each) in {"item", "entry"})
    items = [FeedItem(_link(e), child_text(e, "title"), _date(e)) for e in entries]
    return [item for item in items if item.url]


def local_name(element: "Element") -> str:
    """An element's name without its namespace."""
    tag: Any = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def child_text(element: "Element", name: str) -> str:
    """The text of the first child of that name that has any, white space put together."""
    return next((text for text in _texts(element, name) if text), "")


def _texts(element: "Element", name: str) -> Iterator[str]:
    return (" ".join("".join(e.itertext()).split()) for e in element if local_name(e) == name)


def _link(entry: "Element") -> str:
    """RSS writes it as text, Atom as an attribute of the link that is the page itself."""
    for child in entry:
        if local_name(child) == "link":
            if child.get("href") and child.get("rel", "alternate") == "alternate":
                return str(child.get("href"))
            if child.text and child.text.strip():
                return child.text.strip()
    return ""


def _date(entry: "Element") -> str:
    for name in ("published", "pubDate", "date", "updated"):
        text = child_text(entry, name)
        for parse in (datetime.fromisoformat, parsedate_to_datetime):
            try:
                return parse(text).date().isoformat()
            except (ValueError, TypeError):
                continue
    return ""
