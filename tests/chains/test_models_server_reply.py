"""What is read off a socket, against `http.client` on the same bytes."""

import http.client
import socket
import threading
import time

import pytest

from chains.models.server_http import Connection
from chains.models.server_reply import LARGEST, HttpReply, read_reply

OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = {
    "length": OK + b"Content-Length: 5\r\n\r\nBlue.",
    "other case and spaces": OK + b"content-LENGTH:5 \r\nX: y: z\r\n\r\nBlue.",
    "bare line ends": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nBlue.",
    "chunks": OK
    + b"Transfer-Encoding: chunked\r\n\r\n2\r\nBl\r\n3;a=b\r\nue.\r\n0\r\nT: x\r\n\r\n",
    "chunks and a length": OK
    + b"Content-Length: 99\r\nTransfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n0\r\n\r\n",
    "until the end": OK + b"\r\nBlue.",
    "old version": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nBlue.",
    "old version that stays": b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n"
    b"Content-Length: 0\r\n\r\n",
    "closing": OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nBlue.",
    "no body": b"HTTP/1.1 204 No Content\r\n\r\n",
    "to be continued": b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n"
    + OK
    + b"Content-Length: 1\r\n\r\nx",
    "busy": b"HTTP/1.1 429 Too Many\r\nRetry-After: 1.5\r\nContent-Length: 2\r\n\r\n{}",
    "no reason": b"HTTP/1.1 503\r\nContent-Length: 2\r\n\r\n{}",
    "twice": OK + b"Retry-After: 1\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n",
}
BROKEN = {
    "nothing": (b"", http.client.RemoteDisconnected),
    "no HTTP": (b"SSH-2.0-server\r\n", http.client.BadStatusLine),
    "no status": (b"HTTP/1.1 OK\r\n\r\n", http.client.BadStatusLine),
    "cut within the headers": (OK + b"Content-Len", http.client.IncompleteRead),
    "cut before their end": (OK + b"Content-Length: 0\r\n", http.client.IncompleteRead),
    "cut within the body": (OK + b"Content-Length: 9\r\n\r\nBlue.", http.client.IncompleteRead),
    "cut within a chunk": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nBlue.",
        http.client.IncompleteRead,
    ),
    "cut between chunks": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nBlue.\r\n",
        http.client.HTTPException,
    ),
    "a negative length": (OK + b"Content-Length: -5\r\n\r\nBlue.", http.client.HTTPException),
    "a length in words": (OK + b"Content-Length: five\r\n\r\nBlue.", http.client.HTTPException),
    "a huge chunk": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nBlue.",
        http.client.HTTPException,
    ),
    "a long header": (OK + b"X: " + b"x" * 70_000 + b"\r\n\r\n", http.client.LineTooLong),
    "many headers": (OK + b"X: y\r\n" * 300 + b"\r\n", http.client.HTTPException),
}


def received(raw: bytes, *, piece: int = 1 << 20, seconds: float = 5.0) -> HttpReply:
    """What is read where `raw` comes in pieces and the connection then ends."""
    near, far = socket.socketpair()
    with near, far, near.makefile("rb") as file:
        near.settimeout(seconds)
        sender = threading.Thread(target=_send, args=(far, raw, piece))
        sender.start()
        try:
            return read_reply(file, near, time.monotonic() + seconds)
        finally:
            near.shutdown(socket.SHUT_RDWR)
            sender.join()


def _send(far: socket.socket, raw: bytes, piece: int) -> None:
    try:
        for start in range(0, len(raw), piece):
            far.sendall(raw[start : start + piece])
        far.shutdown(socket.SHUT_WR)
    except OSError:  # who reads has given up
        pass


def by_the_library(raw: bytes) -> tuple[int, bytes, bool]:
    near, far = socket.socketpair()
    with near, far:
        far.sendall(raw)
        far.shutdown(socket.SHUT_WR)
        with http.client.HTTPResponse(near, method="POST") as response:
            response.begin()
            return response.status, response.read(), not response.will_close


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.parametrize("name", WHOLE)
def test_a_reply_is_read_as_the_library_reads_it(name: str, piece: int) -> None:
    reply = received(WHOLE[name], piece=piece)
    found = (reply.answer.status, reply.answer.body, reply.keeps)
    assert found == by_the_library(WHOLE[name])


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_reply_is_an_error_of_the_protocol(name: str) -> None:
    raw, error = BROKEN[name]
    with pytest.raises(error):
        received(raw)


@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        (b"1.5", 1.5, 1.5),
        (b"-3", 0, 0),
        (b"soon", None, None),
        (b"Fri, 01 Jan 2100 00:00:00 GMT", 1e9, 1e10),
    ],
)
def test_retry_after_is_seconds_or_a_date(
    header: bytes, least: float | None, most: float | None
) -> None:
    raw = b"HTTP/1.1 429 X\r\nRetry-After: " + header + b"\r\nContent-Length: 0\r\n\r\n"
    wait = received(raw).answer.wait
    if least is None or most is None:
        assert wait is None
    else:
        assert wait is not None
        assert least <= wait <= most


def test_a_reply_beyond_the_largest_is_given_up() -> None:
    head = OK + b"Content-Length: %d\r\n\r\n" % (2 * LARGEST)
    with pytest.raises(http.client.HTTPException, match="more than 32 MiB"):
        received(head + bytes(LARGEST + (1 << 20)), seconds=60)


def test_a_reply_that_trickles_ends_at_the_deadline() -> None:
    near, far = socket.socketpair()
    with near, far, near.makefile("rb") as file:
        far.sendall(OK + b"Content-Length: 9\r\n\r\nBl")
        near.settimeout(0.2)
        with pytest.raises(TimeoutError):
            read_reply(file, near, time.monotonic() + 0.2)


@pytest.mark.parametrize("key", ["sk-1\r\nX: y", "sk-\u20ac"])
def test_a_key_cannot_add_a_header(key: str) -> None:
    with pytest.raises(ValueError, match="the key has a character"):
        Connection("http://127.0.0.1:1/v1", key)


@pytest.mark.parametrize("base", ["http://127.0.0.1:1/v 1", "http://127.0.0.1:1/\u00fc"])
def test_an_address_cannot_add_to_the_request(base: str) -> None:
    with pytest.raises(http.client.InvalidURL):
        Connection(base, "none")
