"""The part of the Hub's HTTP interface that pushing a dataset needs, on a port of this machine."""

import base64
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LARGE = (".parquet", ".png")  # what the Hub keeps as large files
TOKEN = "hf_aSecretThatNobodyMaySee"
Answer = tuple[int, Any]


@dataclass
class Hub:
    """What the fake holds, and what was asked of it.

    Attributes:
        repos: Repository -> branch -> path -> content.
        visibility: Repository -> private or public.
        objects: Large files that have arrived, by SHA-256, committed or not.
        calls: How often each sort of request was made.
        fail: Asked before every request with its sort; an answer is sent instead of the real one.
    """

    url: str = ""
    repos: dict[str, dict[str, dict[str, bytes]]] = field(default_factory=dict)
    visibility: dict[str, str] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    fail: Callable[[str], Answer | None] = lambda sort: None

    def answer(self, method: str, path: str, body: bytes) -> Answer:
        """What the Hub says to a request."""
        for pattern, handler in ROUTES:
            match = re.fullmatch(pattern, f"{method} {path}")
            if match:
                sort = handler.__name__
                self.calls[sort] += 1
                return self.fail(sort) or handler(self, body, **match.groupdict())
        return 404, {"error": f"no route for {method} {path}"}


def create(hub: Hub, body: bytes) -> Answer:
    wanted = json.loads(body)
    name = f"{wanted['organization']}/{wanted['name']}"
    url = {"url": f"{hub.url}/datasets/{name}"}
    if name in hub.repos:
        return 409, {**url, "error": "You already created this dataset repo"}
    hub.repos[name] = {"main": {}}
    hub.visibility[name] = wanted.get("visibility", "public")
    return 200, url


def branch(hub: Hub, body: bytes, repo: str, revision: str) -> Answer:
    if revision in hub.repos[repo]:
        return 409, {"error": "exists"}
    hub.repos[repo][revision] = dict(hub.repos[repo]["main"])
    return 200, {}


def tree(hub: Hub, body: bytes, repo: str, revision: str) -> Answer:
    found = []
    for path, content in hub.repos[repo][revision].items():
        entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content)}
        entry["oid"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        if path.endswith(LARGE):
            sha = hashlib.sha256(content).hexdigest()
            entry |= {"oid": "0" * 40}
            entry["lfs"] = {"oid": sha, "size": len(content), "pointerSize": 130}
        found.append(entry)
    return 200, found


def preupload(hub: Hub, body: bytes, repo: str, revision: str) -> Answer:
    modes = [
        {
            "path": file["path"],
            "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
            "shouldIgnore": False,
        }
        for file in json.loads(body)["files"]
    ]
    return 200, {"files": modes}


def batch(hub: Hub, body: bytes, repo: str) -> Answer:
    objects = []
    for wanted in json.loads(body)["objects"]:
        entry = dict(wanted)
        if wanted["oid"] not in hub.objects:
            entry["actions"] = {"upload": {"href": f"{hub.url}/objects/{wanted['oid']}"}}
        objects.append(entry)
    return 200, {"transfer": "basic", "objects": objects}


def upload(hub: Hub, body: bytes, oid: str) -> Answer:
    assert hashlib.sha256(body).hexdigest() == oid
    hub.objects[oid] = body
    return 200, {}


def validate(hub: Hub, body: bytes) -> Answer:
    return 200, {"errors": [], "warnings": []}


def commit(hub: Hub, body: bytes, repo: str, revision: str) -> Answer:
    files = dict(hub.repos[repo][revision])
    for line in map(json.loads, body.splitlines()):
        value = line["value"]
        if line["key"] == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif line["key"] == "lfsFile":
            files[value["path"]] = hub.objects[value["oid"]]
        elif line["key"] == "deletedFile":
            del files[value["path"]]
    hub.repos[repo][revision] = files
    return 200, {"commitUrl": f"{hub.url}/datasets/{repo}/commit/1f2e", "commitOid": "1f2e"}


REPO = r"(?P<repo>[^/]+/[^/]+)"
ROUTES: list[tuple[str, Callable[..., Answer]]] = [
    (r"POST /api/repos/create", create),
    (rf"POST /api/datasets/{REPO}/branch/(?P<revision>[^/]+)", branch),
    (rf"GET /api/datasets/{REPO}/tree/(?P<revision>[^/]+)", tree),
    (rf"POST /api/datasets/{REPO}/preupload/(?P<revision>[^/]+)", preupload),
    (rf"POST /datasets/{REPO}\.git/info/lfs/objects/batch", batch),
    (r"PUT /objects/(?P<oid>\w+)", upload),
    (r"POST /api/validate-yaml", validate),
    (rf"POST /api/datasets/{REPO}/commit/(?P<revision>[^/]+)", commit),
]


@contextmanager
def served() -> Iterator[Hub]:
    """The fake, listening."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            known = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            if known or path.startswith("/objects/"):
                status, said = hub.answer(self.command, path, body)
            else:
                status, said = 401, {"error": "Invalid username or password."}
            data = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = handle_any

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that is killed hangs up; say nothing."""

    server = Server(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
