"""A small OpenAI-compatible server on 127.0.0.1 that does as it is told."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, Any]
"""Status, and a JSON value or a text."""

GOOD_KEY = "sk-good-key-123456"


class Server(ThreadingHTTPServer):
    """Takes many connections at once; the usual five that may wait are reset on a busy machine."""

    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gives up hangs up; say nothing."""


class FakeServer:
    """What the server does and has seen.

    Attributes:
        chat: Makes the answer of one chat request from its body.
        models: Names that are served.
        prefix: Path before /models and /chat/completions.
        requests: Bodies of the chat requests.
        busy: Largest number of requests that were in work at once.
    """

    def __init__(self) -> None:
        self.chat: Callable[[dict[str, Any]], Answer] = lambda body: (200, completion("Blue."))
        self.models: Any = ["qwen3", "llama3"]
        self.prefix = "/v1"
        self.window: int | None = None
        self.meta: Any = None
        self.needs_key = False
        self.requests: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.address = ""
        self.busy = 0
        self._working = 0
        self._lock = threading.Lock()

    def answer(self, path: str, body: dict[str, Any] | None, key: str) -> Answer:
        self.paths.append(path)
        if self.needs_key and key != f"Bearer {GOOD_KEY}":
            return 401, {"error": {"message": f"Incorrect API key provided: {key}"}}
        if path == f"{self.prefix}/models":
            if isinstance(self.models, str):
                return 200, self.models
            told = {"max_model_len": self.window, "meta": self.meta}
            entries = [{"id": name, **told} for name in self.models]
            return 200, {"object": "list", "data": entries}
        if path == f"{self.prefix}/chat/completions" and body is not None:
            with self._lock:
                self.requests.append(body)
                self._working += 1
                self.busy = max(self.busy, self._working)
            try:
                return self.chat(body)
            finally:
                with self._lock:
                    self._working -= 1
        return 404, {"error": {"message": f"no such path {path}"}}


def completion(text: str, reason: str = "stop") -> dict[str, Any]:
    return {
        "id": "chat-1",
        "object": "chat.completion",
        "created": 0,
        "model": "qwen3",
        "choices": [
            {
                "index": 0,
                "finish_reason": reason,
                "message": {"role": "assistant", "content": text},
            }
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
    }


@contextmanager
def serving(*, keep_alive: bool = False) -> Iterator[FakeServer]:
    fake = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1" if keep_alive else "HTTP/1.0"

        def do_GET(self) -> None:
            self._send(fake.answer(self.path, None, self.headers.get("Authorization", "")))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(fake.answer(self.path, body, self.headers.get("Authorization", "")))

        def _send(self, answer: Answer) -> None:
            status, content = answer
            text = content if isinstance(content, str) else json.dumps(content)
            kind = "text/html" if isinstance(content, str) else "application/json"
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: Any) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=lambda: server.serve_forever(0.02), daemon=True)
    thread.start()
    fake.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
