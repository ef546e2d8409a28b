"""A web site on a port of this machine, which answers as a test says and remembers what was asked.

with site({"/": page("text"), "/gone": (410, {}, b"")}) as here:
    here.url + "/"
    here.asked      # ["/robots.txt", "/"]
"""

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, Mapping[str, str], bytes]
Route = Reply | Callable[[BaseHTTPRequestHandler], Reply | None]
"""What is sent; a function that returns None has sent it itself."""


@dataclass
class Site:
    """What runs.

    Attributes:
        url: Its origin.
        asked: Paths in the order of requests.
        times: When each came.
        headers: Of each request.
    """

    url: str
    routes: dict[str, Route]
    asked: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def host(self) -> str:
        return self.url.partition("://")[2]


def page(text: str, media: str = "text/plain", **headers: str) -> Reply:
    """A page; `_` in the names of headers stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return 200, {"Content-Type": media, **named}, text.encode()


def moved(target: str, status: int = 302) -> Reply:
    return status, {"Location": target}, b""


@contextmanager
def site(routes: Mapping[str, Route], tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    running = Site("", dict(routes))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            running.asked.append(self.path)
            running.times.append(time.monotonic())
            running.headers.append({k.lower(): v for k, v in self.headers.items()})
            route = running.routes.get(self.path, (404, {}, b""))
            try:
                reply = route(self) if callable(route) else route
                if reply is not None:
                    self._send(*reply)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client has heard enough
            self.close_connection = True

        def _send(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
            self.send_response(status)
            if "Content-Length" not in headers and status != 304:
                self.send_header("Content-Length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def handle(self) -> None:
            with suppress(OSError):  # a handshake that the client broke off
                super().handle()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    running.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
