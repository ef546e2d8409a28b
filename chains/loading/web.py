"""Pages of the web as sources read them: politely, once, and afterwards from the cache.

    web = Web(RequestLimits(), WebCache(folder), delay=1.0)
    page = web.fetch("https://example.org/guide", PAGES, robots=True)
    page.url, page.sha256, read_page(page).text

A URL is asked for once; later, and in later runs, its bytes come from the cache, faults included.
`refresh` asks again, with the validators of the copy at hand; without a network only the cache is
used.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal

from chains.loading import SUFFIXES, Reading, Unreadable, read_bytes
from chains.loading.fetching import Answer, Fetcher, RequestLimits, media_type, unpacked
from chains.loading.web_addresses import Address, Resolver, parse_url, resolve
from chains.loading.web_cache import Entry, WebCache
from chains.loading.web_robots import Manners

Refresh = Literal["failed"] | bool
"""False: what is known is used. `failed`: faults are tried again. True: all is asked for again."""

PAGES = {
    media: suffix
    for media, suffix in {
        "text/html": ".html",
        "application/xhtml+xml": ".html",
        "text/plain": ".txt",
        "text/markdown": ".md",
        "application/pdf": ".pdf",
    }.items()
    if suffix in SUFFIXES
}
"""Media types of pages that can be read, each with the ending of its files."""

PASSING = frozenset({"http_error", "timed_out", "tls", "unknown_host", "unreachable"})
"""Reasons that may be gone tomorrow."""


@dataclass(frozen=True, slots=True)
class Page:
    """What stands at a URL.

    Attributes:
        url: After redirects.
        body: Its bytes.
        sha256: Of them.
        suffix: The ending that files of its type have.
        charset: What the server says its encoding is, or nothing.
        modified: The day it last changed, as ISO 8601, or nothing.
    """

    url: str
    body: bytes
    sha256: str
    suffix: str
    charset: str
    modified: str


class Web:
    """Fetches pages.

    Args:
        limits: What a request may use.
        cache: Where pages are kept.
        delay: Seconds between two requests to a host.
        refresh: What is asked for although it is known.
        offline: Use the cache alone.
        resolver: Looks names up.
    """

    def __init__(
        self,
        limits: RequestLimits,
        cache: WebCache,
        *,
        delay: float = 1.0,
        refresh: Refresh = False,
        offline: bool = False,
        resolver: Resolver = resolve,
    ) -> None:
        self._limits = limits
        self._cache = cache
        self._refresh = refresh
        self._offline = offline
        self._manners = Manners(self._robots, delay)
        self._polite = Fetcher(limits, self._check_and_wait, resolver)
        self._plain = Fetcher(limits, self._manners.wait, resolver)
        self._settled: dict[str, Entry] = {}

    def fetch(self, url: str, types: Mapping[str, str] | None, *, robots: bool) -> Page:
        """The page at `url`.

        Args:
            url: An http or https URL.
            types: Media types that are taken, each with the ending of its files; None takes all.
            robots: Whether robots.txt is asked; it need not be for an API.

        Raises:
            Unreadable: As `Fetcher.get`; `robots`; `offline` for what is not in the cache.
        """
        address = parse_url(url)
        key = self._key(address, types, robots)
        entry = self._settled.get(key) or self._known_or_fetched(key, address, types, robots)
        self._settled[key] = entry
        if entry.reason:
            raise Unreadable(entry.reason, entry.detail)
        body = self._cache.body(entry)
        return Page(
            entry.url, body, entry.sha256, entry.suffix, entry.charset, _day(entry.modified)
        )

    def listing(self, url: str, types: Mapping[str, str] | None, *, robots: bool) -> bytes:
        """The bytes at `url`, unpacked where they are a gzip file.

        Raises:
            Unreadable: As `fetch`.
        """
        body = self.fetch(url, types, robots=robots).body
        return unpacked([body], self._limits.max_bytes) if body[:2] == b"\x1f\x8b" else body

    def forget_faults(self) -> None:
        """Try again in the next run what failed in this one and may be gone by then."""
        for key, entry in self._settled.items():
            if entry.reason in PASSING:
                self._cache.forget(key)

    def _known_or_fetched(
        self, key: str, address: Address, types: Mapping[str, str] | None, robots: bool
    ) -> Entry:
        known = self._cache.load(key)
        again = self._refresh is True or (self._refresh == "failed" and known and known.reason)
        if known and (self._offline or not again):
            return known
        if self._offline:
            return Entry(address.url, reason="offline", detail="not in the cache of earlier runs")
        try:
            answer = self._ask(address, types, robots, known)
        except Unreadable as bad:
            entry = Entry(address.url, reason=bad.reason, detail=bad.detail)
            if known is None or known.reason:
                self._cache.store(key, entry)  # a good copy is not lost to a bad day
            return entry
        if known and not answer.fresh:
            return known
        entry = _entry(answer)
        self._cache.store(key, entry, answer.body)
        return entry

    def _ask(
        self, address: Address, types: Mapping[str, str] | None, robots: bool, known: Entry | None
    ) -> Answer:
        validators = {}
        if known and known.sha256:
            pairs = {"If-None-Match": known.etag, "If-Modified-Since": known.modified}
            validators = {name: value for name, value in pairs.items() if value}
        fetcher = self._polite if robots else self._plain
        answer = fetcher.get(address.url, types, validators)
        if not answer.fresh and not validators:
            raise Unreadable("http_error", "status 304, which was not asked for")
        return answer

    def _check_and_wait(self, address: Address) -> None:
        self._manners.check(address)
        self._manners.wait(address)

    def _robots(self, url: str) -> str:
        return self.fetch(url, None, robots=False).body.decode("utf-8", "replace")

    def _key(self, address: Address, types: Mapping[str, str] | None, robots: bool) -> str:
        """Changes with all that decides what may be read, so that no other job's copy is taken."""
        limits = self._limits
        asked = [
            address.url,
            sorted(types.items()) if types else None,
            robots,
            limits.max_bytes,
            limits.max_redirects,
            sorted(limits.allow_hosts),
        ]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def read_page(page: Page, read: Callable[[bytes, str], Reading] = read_bytes) -> Reading:
    """The text of a page.

    Args:
        page: As fetched.
        read: What reads a file by its ending.

    Raises:
        Unreadable: As reading a file of its type.
    """
    return read(_as_utf8(page) if page.charset else page.body, f"page{page.suffix}")


def _as_utf8(page: Page) -> bytes:
    """The bytes in UTF-8 with a mark of it, where the server says they are in something else."""
    if page.suffix == ".pdf" or page.body[:3] == b"\xef\xbb\xbf":
        return page.body
    try:
        return b"\xef\xbb\xbf" + page.body.decode(page.charset).encode()
    except (LookupError, ValueError):  # servers are often wrong; the file's reader finds out
        return page.body


def _entry(answer: Answer) -> Entry:
    headers = answer.headers
    return Entry(
        answer.url,
        hashlib.sha256(answer.body).hexdigest(),
        answer.suffix,
        media_type(headers.get("content-type", ""))[1],
        headers.get("etag", ""),
        headers.get("last-modified", ""),
    )


def _day(header: str) -> str:
    try:
        return parsedate_to_datetime(header).date().isoformat()
    except (ValueError, TypeError):
        return ""
