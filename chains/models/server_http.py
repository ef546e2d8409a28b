"""One keep-alive connection to a server: a JSON body goes out, status and bytes come back.

    connection = Connection("http://127.0.0.1:8000/v1", key="none")
    answer = connection.send("POST", "/chat/completions", b"{...}", deadline=600.0)
    answer.status, answer.body                    # 200, b'{"choices": ...}'

Written over `http.client` because it costs a quarter of a millisecond of CPU a call: the client of
langchain-openai costs 2.4 ms, which holds one process to some 400 calls a second, whatever the
server could do. `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are honoured.
"""

import http.client
import json
import socket
import ssl
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

LARGEST = 32 << 20
"""Bytes of a reply that are read at most."""

_PIECE = 1 << 16
_CONNECT = 10.0  # seconds for the connection alone


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said.

    Attributes:
        status: HTTP status.
        body: The bytes of the body, whole.
        wait: Seconds of Retry-After; None where the server names none.
    """

    status: int
    body: bytes
    wait: float | None = None

    def json(self) -> Any:
        """The body as JSON. Raises ValueError where it is none."""
        try:
            return json.loads(self.body)
        except RecursionError as exc:
            raise ValueError("nested too deeply") from exc


class Connection:
    """A connection that is opened when needed and kept; for one thread at a time.

    Args:
        base: Base address, such as http://127.0.0.1:8000/v1.
        key: Sent as a bearer token.
    """

    def __init__(self, base: str, key: str) -> None:
        parts = urlsplit(base)
        self._parts = parts
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._open: http.client.HTTPConnection | None = None
        self._used = False

    def send(self, method: str, path: str, body: bytes | None, deadline: float) -> Answer:
        """Send a request and read the whole reply.

        Args:
            method: HTTP method.
            path: Behind the base address.
            body: JSON, or None.
            deadline: Seconds from now until the last byte must be there.

        Raises:
            OSError: No connection, a reset, or the deadline (TimeoutError).
            http.client.HTTPException: The reply is cut short, too large or no HTTP.
        """
        end = time.monotonic() + deadline
        reused = self._used
        try:
            return self._exchange(method, path, body, end)
        except (http.client.RemoteDisconnected, ConnectionError):
            self.close()
            if not reused:
                raise
        except BaseException:
            self.close()
            raise
        try:  # the server had closed a connection that lay idle: nothing was answered on it
            return self._exchange(method, path, body, end)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; one that is waiting for its reply, in another thread, fails."""
        open_, self._open, self._used = self._open, None, False
        if open_ is not None:
            if open_.sock is not None:
                with suppress(OSError):
                    open_.sock.shutdown(2)
            open_.close()

    def _exchange(self, method: str, path: str, body: bytes | None, end: float) -> Answer:
        if self._open is None:
            self._open, self._used = self._connect(), False
        line, sock = self._open, self._open.sock
        sock.settimeout(_left(end))
        line.request(method, self._target(path), body=body, headers=self._headers)
        with line.getresponse() as response:
            body = _read(response, sock, end)
        self._used = True
        if response.will_close:
            self.close()
        return Answer(response.status, body, _seconds(response.getheader("Retry-After")))

    def _connect(self) -> http.client.HTTPConnection:
        host, port, secure = self._parts.hostname or "", self._parts.port, self._secure()
        proxy = urlsplit(_proxy(self._parts.scheme, host))
        if proxy.hostname:
            near = (proxy.hostname, proxy.port or 80)
        else:
            near = (host, port or (443 if secure else 80))
        line = (
            http.client.HTTPSConnection(*near, timeout=_CONNECT, context=_tls())
            if secure
            else http.client.HTTPConnection(*near, timeout=_CONNECT)
        )
        if proxy.hostname and secure:
            line.set_tunnel(host, port or 443)
        line.connect()
        return line

    def _secure(self) -> bool:
        return self._parts.scheme == "https"

    def _target(self, path: str) -> str:
        whole = f"{self._prefix}{path}"
        if not self._secure() and _proxy("http", self._parts.hostname or ""):
            return f"http://{self._parts.netloc.rpartition('@')[2]}{whole}"
        return whole


def _read(response: http.client.HTTPResponse, sock: socket.socket, end: float) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := response.read1(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST:
            raise http.client.HTTPException(f"a reply of more than {LARGEST >> 20} MiB")
        sock.settimeout(_left(end))
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(pieces)


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left


@cache
def _proxy(scheme: str, host: str) -> str:
    """The address of the proxy for a host; empty where there is none."""
    if urllib.request.proxy_bypass(host):
        return ""
    return urllib.request.getproxies().get(scheme, "")


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _seconds(header: str | None) -> float | None:
    """Retry-After, which is a number of seconds or a date."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
