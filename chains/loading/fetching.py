"""One guarded request: whatever stands at a URL, it can neither reach inside nor hold up a run.

    fetcher = Fetcher(RequestLimits(max_bytes=16_000_000, seconds=30))
    answer = fetcher.get("https://example.org/guide", {"text/html": ".html"})
    answer.url, answer.suffix, answer.body        # where redirects led, ".html", b"<html>..."

Only http and https; the connection goes to the address that was checked (see `web_addresses`), also
after each redirect; bytes are counted after decompression and time from the first packet to the
last. Proxies that the environment names are used; such a proxy looks names up itself, so that what
is checked here is then the address that this machine would have found.
"""

import ssl
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from functools import lru_cache
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from chains.loading.base import Unreadable
from chains.loading.web_addresses import (
    Address,
    Resolver,
    is_allowed,
    parse_url,
    reachable,
    resolve,
)

if TYPE_CHECKING:
    import httpcore

_MOVED = {301, 302, 303, 307, 308}
_GONE = {404, 410}
_BUSY = {429, 500, 502, 503, 504}
_TRIES = 3
_LONGEST_WAIT = 30.0  # seconds that a server may ask for before the next try


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What a request may use.

    Attributes:
        max_bytes: Of a body, after decompression.
        seconds: For one answer, redirects left out, from connecting to its last byte.
        max_redirects: Hops that are followed.
        allow_hosts: Hosts, or `host:port`, that need not be public.
        agent: What the request says it comes from.
    """

    max_bytes: int = 16_000_000
    seconds: float = 30
    max_redirects: int = 5
    allow_hosts: frozenset[str] = frozenset()
    agent: str = "textmill"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server sent.

    Attributes:
        url: Where it stands, after redirects.
        body: Its bytes, decompressed; empty where `fresh` is not set.
        suffix: The ending that files of its type have, such as `.html`.
        headers: Lower-case names.
        fresh: False where the server says that the copy at hand is still good.
    """

    url: str
    body: bytes
    suffix: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    fresh: bool = True


class Fetcher:
    """Makes requests within limits.

    Args:
        limits: What each may use.
        before: Called with the address of every request, also of each redirect's, before it is
            made: the place to wait, or to refuse by `Unreadable`.
        resolver: Looks names up.
        pause: Waits before a request is tried again.
    """

    def __init__(
        self,
        limits: RequestLimits,
        before: Callable[[Address], None] = lambda address: None,
        resolver: Resolver = resolve,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limits = limits
        self._before = before
        self._resolver = resolver
        self._pause = pause

    def get(
        self, url: str, types: Mapping[str, str] | None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """The answer to a GET, redirects followed; a busy server is asked up to three times.

        Args:
            url: What to ask for.
            types: Media types that are taken, each with the ending of its files; None takes all.
            headers: Further ones, such as `If-None-Match`.

        Raises:
            Unreadable: `bad_url`, `http_error`, `not_found`, `private_address`, `redirects`,
                `timed_out`, `tls`, `too_large`, `unknown_host`, `unreachable`, `wrong_type`.
        """
        address = parse_url(url)
        for _ in range(self._limits.max_redirects + 1):
            found = self._tried(address, types, headers or {})
            if isinstance(found, Answer):
                return found
            address = found
        detail = f"more than {self._limits.max_redirects}, the last to {address.url}"
        raise Unreadable("redirects", detail)

    def _tried(
        self, address: Address, types: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> Answer | Address:
        for attempt in range(1, _TRIES + 1):
            try:
                return self._request(address, types, headers)
            except _BusyError as exc:
                if attempt == _TRIES:
                    raise Unreadable("http_error", f"status {exc.status}") from exc
                self._pause(min(exc.wait or float(attempt), _LONGEST_WAIT))
        raise AssertionError

    def _request(
        self, address: Address, types: Mapping[str, str] | None, headers: Mapping[str, str]
    ) -> Answer | Address:
        import httpcore

        self._before(address)
        with _explained(address), self._pool(address) as pool:
            sent = [("Host", address.place), ("User-Agent", self._limits.agent)]
            sent += [("Accept-Encoding", "gzip"), *headers.items()]
            url = httpcore.URL(
                scheme=address.scheme, host=address.host, port=address.port, target=address.target
            )
            with pool.stream("GET", url, headers=sent) as response:
                return self._answer(address, response, types)

    def _answer(
        self, address: Address, response: "httpcore.Response", types: Mapping[str, str] | None
    ) -> Answer | Address:
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in response.headers}
        status = response.status
        if status == 304:
            return Answer(address.url, b"", headers=headers, fresh=False)
        if status in _MOVED and "location" in headers:
            return parse_url(
                headers["location"].encode("latin-1").decode("utf-8", "replace"), address
            )
        if status in _GONE:
            raise Unreadable("not_found", f"status {status}")
        if status in _BUSY:
            raise _BusyError(status, _seconds(headers.get("retry-after", "")))
        if not 200 <= status < 300:
            raise Unreadable("http_error", f"status {status}")
        suffix = _suffix(address, headers.get("content-type", ""), types)
        body = self._body(response.iter_stream(), headers)
        return Answer(address.url, body, suffix, headers)

    def _body(self, chunks: Iterable[bytes], headers: Mapping[str, str]) -> bytes:
        most = self._limits.max_bytes
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > most:
            raise Unreadable("too_large", f"{length} bytes, at most {most} are read")
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding in {"gzip", "x-gzip"}:
            return unpacked(chunks, most)
        if encoding not in {"identity", ""}:
            raise Unreadable(
                "http_error", f"content encoding '{encoding}', which was not asked for"
            )
        body = bytearray()
        for chunk in chunks:
            body += chunk
            if len(body) > most:
                raise Unreadable("too_large", f"more than {most} bytes")
        return bytes(body)

    def _pool(self, address: Address) -> "httpcore.ConnectionPool":
        import httpcore

        from chains.loading.web_connections import Connections

        deadline = time.monotonic() + self._limits.seconds
        proxy = _proxy(address)
        context = _trusted() if address.scheme == "https" or proxy else None
        if proxy:
            self._check_before_proxy(address)
            connections = Connections(deadline, None)
            return httpcore.ConnectionPool(
                context, proxy=httpcore.Proxy(proxy), network_backend=connections
            )
        addresses = reachable(address, self._limits.allow_hosts, self._resolver)
        return httpcore.ConnectionPool(context, network_backend=Connections(deadline, addresses))

    def _check_before_proxy(self, address: Address) -> None:
        """Refuse what this machine knows to be private; a name it does not know is the proxy's."""
        if is_allowed(address, self._limits.allow_hosts):
            return
        try:
            reachable(address, self._limits.allow_hosts, self._resolver)
        except Unreadable as bad:
            if bad.reason != "unknown_host":
                raise


def unpacked(chunks: Iterable[bytes], most: int) -> bytes:
    """What gzip data hold, all members of it, never holding more than `most` bytes.

    Raises:
        Unreadable: `too_large`, or `http_error` for data that are damaged or cut.
    """
    body = bytearray()
    decoder = zlib.decompressobj(wbits=31)
    for chunk in chunks:
        rest = chunk
        while rest:
            try:
                if decoder.eof:
                    decoder = zlib.decompressobj(wbits=31)
                body += decoder.decompress(rest, most + 1 - len(body))
            except zlib.error as exc:
                raise Unreadable("http_error", f"damaged gzip: {exc}") from exc
            if len(body) > most:
                raise Unreadable("too_large", f"more than {most} bytes when decompressed")
            rest = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
    if not decoder.eof:
        raise Unreadable("http_error", "gzip data that end too soon")
    return bytes(body)


def media_type(header: str) -> tuple[str, str]:
    """Media type and charset of a `Content-Type`, lower case; empty where it says none."""
    message = Message()
    message["content-type"] = header or "application/octet-stream"
    return message.get_content_type() if header else "", message.get_content_charset() or ""


class _BusyError(Exception):
    def __init__(self, status: int, wait: float) -> None:
        super().__init__(status)
        self.status = status
        self.wait = wait


def _suffix(address: Address, header: str, types: Mapping[str, str] | None) -> str:
    """The ending for a media type; a server that tells none is judged by the path's ending."""
    if types is None:
        return ""
    found, _ = media_type(header)
    if found in types:
        return types[found]
    ending = PurePosixPath(address.target.partition("?")[0]).suffix.lower()
    if found in {"", "application/octet-stream"} and ending in types.values():
        return ending
    listing = ", ".join(sorted(types))
    raise Unreadable("wrong_type", f"{found or 'no content type'}; taken are {listing}")


def _seconds(header: str) -> float:
    """What `Retry-After` asks for, where it counts seconds."""
    return float(header) if header.strip().isdecimal() else 0.0


def _proxy(address: Address) -> str:
    """The proxy that the environment names for an address; empty for none."""
    if urllib.request.proxy_bypass(address.place):
        return ""
    found = urllib.request.getproxies()
    return found.get(address.scheme) or found.get("all") or ""


@lru_cache(maxsize=1)
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


@contextmanager
def _explained(address: Address) -> Iterator[None]:
    """Turns what a connection can raise into `Unreadable`."""
    import httpcore

    try:
        yield
    except (httpcore.TimeoutException, TimeoutError) as exc:
        raise Unreadable("timed_out", f"no whole answer from {address.place}") from exc
    except (httpcore.ProtocolError, httpcore.ProxyError) as exc:
        raise Unreadable("http_error", f"no proper answer: {exc}") from exc
    except (httpcore.NetworkError, OSError) as exc:
        tls = any(isinstance(each, ssl.SSLError) for each in _causes(exc))
        detail = f"{address.place}: {str(exc) or type(exc).__name__}"
        raise Unreadable("tls" if tls else "unreachable", detail) from exc


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__
