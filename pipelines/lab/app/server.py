"""The page's server: the standard library's, for one user, behind a token.

    server = LabServer(desk, host="127.0.0.1", port=8765, token="4f2a...")
    server.url          # "http://127.0.0.1:8765/#4f2a..."
    server.serve_forever()

The page itself holds nothing; all data is below `/api/` and asks for the token in a header, which
no other site can send. The token stands behind `#` in the address, so that it is never sent as
part of one. Every request is checked for its Host and Origin first: a name that an attacker has
made lead here (DNS rebinding) is refused, and so is any other site.
"""

import hmac
import ipaddress
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pipelines.lab.app.desk import Desk
from pipelines.lab.app.runs import NotFound, describe, run_rows
from pipelines.rows import JSON
from prompts.errors import TextmillError, UsageError

PAGE = Path(__file__).parent / "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
TOKEN = "X-Textmill-Token"
LONGEST = 4 << 20  # bytes of a request's body
WAIT = 30  # seconds for a request to arrive

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Query = Mapping[str, str]


class LabServer(ThreadingHTTPServer):
    """Serves the page.

    Args:
        desk: Answers.
        host: Address to listen on.
        port: Port to listen on; 0 takes any free one.
        token: What requests for data must have in their header.

    Raises:
        UsageError: The port is taken, or the address is not one of this machine.
    """

    daemon_threads = True

    def __init__(self, desk: Desk, *, host: str, port: int, token: str) -> None:
        self.desk = desk
        self.token = token
        self.host = host
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), Handler)
        except (OSError, OverflowError) as exc:
            raise _not_free(host, port, exc) from exc
        self.port = int(self.server_address[1])

    @property
    def url(self) -> str:
        """Where the page is, with the token."""
        host = "127.0.0.1" if self.host == "0.0.0.0" else self.host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/#{self.token}"

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server, and not a name that was made to lead here."""
        parts = urlsplit(f"//{host}")
        try:
            name, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return False
        if port != self.port:
            return False
        return name in ("localhost", self.host) or (_is_address(name) and self._reached_by(name))

    def _reached_by(self, name: str) -> bool:
        if self.host in ("0.0.0.0", "::"):
            return True
        return name == "127.0.0.1" and self.host == "localhost"


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: LabServer
    server_version = "textmill"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = WAIT

    def do_GET(self) -> None:
        """Files of the page, and data."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """What writes a file or asks a model."""
        self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: addresses may hold what the user typed."""

    def _answer(self, act: Callable[[str, Query], None]) -> None:
        address = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(address.query).items()}
        try:
            if self._foreign():
                self._fail(HTTPStatus.FORBIDDEN, "this address is not for other sites")
            elif address.path.startswith("/api/") and not self._has_token():
                self._fail(HTTPStatus.FORBIDDEN, "the token is missing; open the printed address")
            else:
                act(address.path, query)
        except NotFound as exc:
            self._fail(HTTPStatus.NOT_FOUND, str(exc))
        except TextmillError as exc:
            self._fail(HTTPStatus.BAD_REQUEST, str(exc))
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _foreign(self) -> bool:
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        return not self.server.knows(host) or (origin is not None and origin != f"http://{host}")

    def _has_token(self) -> bool:
        given = self.headers.get(TOKEN, "").encode("utf-8", "replace")
        return hmac.compare_digest(given, self.server.token.encode())

    def _get(self, path: str, query: Query) -> None:
        desk = self.server.desk
        if path == "/api/state":
            self._send_json(desk.state())
        elif path == "/api/prompt":
            self._send_json(desk.prompt(query.get("name", "")))
        elif path == "/api/ratings":
            self._send_json({"ratings": len(desk.ratings), "variants": desk.ratings.wins()})
        elif path == "/api/preferences":
            lines = (json.dumps(each, ensure_ascii=False) for each in desk.ratings.preferences())
            text = "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")
            self._send(HTTPStatus.OK, "application/x-ndjson", text)
        elif path == "/api/run":
            self._send_json(describe(desk.runs, query.get("name", "")))
        elif path == "/api/rows":
            self._send_json(_rows(desk.runs, query))
        else:
            self._send_file("index.html" if path == "/" else path.removeprefix("/"))

    def _post(self, path: str, query: Query) -> None:
        desk, data = self.server.desk, self._body()
        if path == "/api/compare":
            self._send_events(desk.compare(data))
        elif path == "/api/render":
            self._send_json(desk.render(data))
        elif path == "/api/rate":
            self._send_json({"pair": desk.ratings.add(data).pair, "ratings": len(desk.ratings)})
        elif path == "/api/promote":
            self._send_json(desk.promote(data))
        elif path == "/api/stop":
            desk.stop()
            self._send_json({})
        else:
            raise NotFound("no such address")

    def _body(self) -> dict[str, Any]:
        if self.headers.get("Content-Type", "").partition(";")[0] != "application/json":
            self.close_connection = True
            raise UsageError("the body is not JSON", fix="send Content-Type: application/json")
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LONGEST:
            self.close_connection = True
            problem = "the body is longer than 4 MiB, or of no known length"
            raise UsageError(problem, fix="send less, with Content-Length")
        try:
            data = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as exc:
            raise UsageError("the body is not JSON", fix="send a JSON object") from exc
        if not isinstance(data, dict):
            raise UsageError("the body is not a JSON object", fix="send one")
        return data

    def _send_file(self, name: str) -> None:
        known = {file.name for file in PAGE.iterdir()}
        if name not in known:
            raise NotFound("no such address")
        file = PAGE / name
        self._send(HTTPStatus.OK, TYPES[file.suffix], file.read_bytes())

    def _send_json(self, value: JSON) -> None:
        text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        self._send(HTTPStatus.OK, "application/json", text)

    def _send_events(self, events: Iterator[dict[str, JSON]]) -> None:
        """Server-sent events; a page that is closed stops what runs."""
        self._begin(HTTPStatus.OK, "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            for event in events:
                text = json.dumps(event, ensure_ascii=False).encode("utf-8", "replace")
                self.wfile.write(b"data: " + text + b"\n\n")
                self.wfile.flush()
        except OSError:
            self.server.desk.stop()

    def _fail(self, status: HTTPStatus, problem: str) -> None:
        text = json.dumps({"error": problem}).encode()
        if self.command == "POST":  # what was not read must not be taken for the next request
            self.close_connection = True
        self._send(status, "application/json", text)

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self._begin(status, kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _begin(self, status: HTTPStatus, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in HEADERS.items():
            self.send_header(name, value)


def _rows(folder: Path, query: Query) -> dict[str, JSON]:
    start = query.get("start", "0")
    return run_rows(
        folder,
        query.get("name", ""),
        rejected=query.get("rejected") == "1",
        reason=query.get("reason", ""),
        text=query.get("text", ""),
        start=int(start) if start.isdecimal() and len(start) < 12 else 0,
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _not_free(host: str, port: int, exc: Exception) -> UsageError:
    """Names the next free port."""
    for other in range(port + 1, min(port + 200, 65_536)):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as free:
            try:
                free.bind((host, other))
            except OSError:
                continue
            return UsageError(f"port {port} is taken", fix=f"give --port {other}", key="--port")
    why = getattr(exc, "strerror", None) or str(exc)
    return UsageError(f"cannot listen on {host}: {why}", fix="give another --host", key="--host")
