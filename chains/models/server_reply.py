"""One HTTP/1.1 reply read off a socket: status, the headers that matter, and the whole body.

    reply = read_reply(file, sock, end)     # HTTP/1.1 200 OK ... {"choices": ...}
    reply.answer.status, reply.answer.body, reply.keeps       # 200, b'{"choices": ...}', True

`http.client` reads headers with the parser for e-mail, which is most of what a call costs it. Here
four headers are looked at (RFC 9112): how long the body is, whether it comes in chunks, whether the
connection stays, and how long a busy server asks to wait.
"""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from io import BufferedReader
from typing import Any

LARGEST = 32 << 20
"""Bytes of a reply that are read at most."""

_PIECE = 1 << 16
_LINE = 1 << 16  # bytes of a header at most
_LINES = 200  # headers at most


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


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A reply, and whether the connection may be used again.

    Attributes:
        answer: What was said.
        keeps: Whether the server keeps the connection.
    """

    answer: Answer
    keeps: bool


def read_reply(file: BufferedReader, sock: socket.socket, end: float) -> HttpReply:
    """Read a whole reply.

    Args:
        file: The socket's buffered reader.
        sock: The socket, for its timeout.
        end: When the last byte must be there, in seconds of the monotonic clock.

    Raises:
        OSError: The connection was reset, or the deadline has passed (TimeoutError).
        http.client.HTTPException: The reply is cut short, too large or no HTTP.
    """
    version, status = _status(_line(file))
    headers = _headers(file)
    while 100 <= status < 200:
        version, status = _status(_line(file))
        headers = _headers(file)
    coding = headers.get(b"transfer-encoding", b"").lower()
    connection = headers.get(b"connection", b"").lower()
    keeps = b"close" not in connection and (version != b"HTTP/1.0" or b"keep-alive" in connection)
    if status in {204, 304}:
        pieces: Iterator[bytes] = iter(())
    elif b"chunked" in coding:
        pieces = _chunks(file)
    elif (length := headers.get(b"content-length")) is not None:
        pieces = _exactly(file, _number(length, 10))
    else:
        pieces, keeps = iter(lambda: file.read(_PIECE), b""), False
    body = _bounded(pieces, sock, end)
    return HttpReply(Answer(status, body, _seconds(headers.get(b"retry-after"))), keeps)


def seconds_left(end: float) -> float:
    """Until a moment of the monotonic clock; TimeoutError where it has passed."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left


def _line(file: BufferedReader) -> bytes:
    line = file.readline(_LINE + 1)
    if len(line) > _LINE:
        raise http.client.LineTooLong("header line")
    return line


def _status(line: bytes) -> tuple[bytes, int]:
    if not line:
        raise http.client.RemoteDisconnected("the server closed the connection without a reply")
    version, _, rest = line.partition(b" ")
    code = rest[:3]
    if not version.startswith(b"HTTP/1.") or not code.isdigit() or len(code) < 3:
        raise http.client.BadStatusLine(line[:40].decode("latin-1"))
    return version, int(code)


def _headers(file: BufferedReader) -> dict[bytes, bytes]:
    """By lower-case names; of one that comes twice, the first."""
    headers: dict[bytes, bytes] = {}
    for _ in range(_LINES):
        line = _line(file)
        if line in {b"\r\n", b"\n"}:
            return headers
        if not line.endswith(b"\n"):
            raise http.client.IncompleteRead(b"")
        name, _, value = line.partition(b":")
        headers.setdefault(name.strip().lower(), value.strip())
    raise http.client.HTTPException(f"more than {_LINES} headers")


def _exactly(file: BufferedReader, size: int) -> Iterator[bytes]:
    while size:
        piece = file.read1(min(size, _PIECE))
        if not piece:
            raise http.client.IncompleteRead(b"", size)
        size -= len(piece)
        yield piece


def _chunks(file: BufferedReader) -> Iterator[bytes]:
    while size := _number(_line(file).partition(b";")[0], 16):
        yield from _exactly(file, size)
        _line(file)
    _headers(file)  # what follows the last chunk


def _number(text: bytes, base: int) -> int:
    try:
        number = int(text, base)
    except ValueError:
        number = -1
    if number < 0:
        shown = text[:20].decode("latin-1").strip()
        raise http.client.HTTPException(f"'{shown}' is not the length of a reply")
    return number


def _bounded(pieces: Iterator[bytes], sock: socket.socket, end: float) -> bytes:
    found: list[bytes] = []
    size = 0
    for piece in pieces:
        found.append(piece)
        size += len(piece)
        if size > LARGEST:
            raise http.client.HTTPException(f"a reply of more than {LARGEST >> 20} MiB")
        sock.settimeout(seconds_left(end))
    return b"".join(found)


def _seconds(header: bytes | None) -> float | None:
    """Retry-After, which is a number of seconds or a date."""
    if header is None:
        return None
    text = header.decode("latin-1")
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
