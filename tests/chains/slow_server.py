"""A server in a process of its own, quick enough to measure clients by, that fails as it is told.

    python slow_server.py '{"latency": 0.05, "limit": 32, "faults": 1000}'

It prints its port. `GET /stats` tells what it has seen. Every second request fails, in turn with
429 (with and without Retry-After), 500, 503, a reset, a stall, a reply cut short and a web page,
until `faults` faults are used up; no prompt fails twice.
"""

import asyncio
import contextlib
import itertools
import json
import selectors
import sys
from collections import Counter
from typing import Any

KINDS = ("429", "429 wait", "500", "503", "reset", "stall", "cut", "page")


class Slow:
    def __init__(self, latency: float, limit: int, faults: int = 0) -> None:
        self.latency, self.limit, self.left = latency, limit, faults
        self.answered: Counter[str] = Counter()
        self.failed: set[str] = set()
        self.seen = 0
        self.injected: Counter[str] = Counter()
        self.kinds = itertools.cycle(KINDS)
        self.busy = self.peak = self.refused = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                size = next(
                    (int(h.split(":")[1]) for h in head if h.lower().startswith("content-length")),
                    0,
                )
                body = await reader.readexactly(size)
                if not await self.answer(head[0].split()[1], body, writer):
                    break
        writer.close()

    async def answer(self, path: str, body: bytes, writer: asyncio.StreamWriter) -> bool:
        if path.endswith("/models"):
            return await self.send(writer, {"data": [{"id": "m"}]})
        if path.endswith("/stats"):
            seen = {"answered": len(self.answered), "most": max(self.answered.values(), default=0)}
            rest = {"peak": self.peak, "refused": self.refused, "injected": self.injected}
            return await self.send(writer, {**seen, **rest})
        if self.busy >= self.limit:
            self.refused += 1
            return await self.send(writer, {"error": {"message": "too many"}}, status=429)
        self.busy += 1
        self.peak = max(self.peak, self.busy)
        try:
            return await self.work(json.loads(body), writer)
        finally:
            self.busy -= 1

    async def work(self, body: dict[str, Any], writer: asyncio.StreamWriter) -> bool:
        due = asyncio.get_running_loop().time() + self.latency
        prompt = body["messages"][-1]["content"]
        self.seen += 1
        if self.left and self.seen % 2 and prompt not in self.failed:
            self.left -= 1
            self.failed.add(prompt)
            return await self.fail(next(self.kinds), writer)
        await asyncio.sleep(due - asyncio.get_running_loop().time())
        self.answered[prompt] += 1
        message = {"role": "assistant", "content": f"{prompt}!"}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return await self.send(
            writer, {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}
        )

    async def fail(self, kind: str, writer: asyncio.StreamWriter) -> bool:
        self.injected[kind] += 1
        if kind == "stall":
            await asyncio.sleep(3600)
        if kind == "reset":
            writer.transport.abort()
            return False
        if kind == "cut":
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{"choices": [{')
            await writer.drain()
            return False
        if kind == "page":
            return await self.send(writer, None, text="<html>busy</html>")
        status = int(kind.split()[0])
        extra = "Retry-After: 0.01\r\n" if "wait" in kind else ""
        return await self.send(writer, {"error": {"message": kind}}, status=status, extra=extra)

    async def send(
        self,
        writer: asyncio.StreamWriter,
        value: Any,
        status: int = 200,
        extra: str = "",
        text: str = "",
    ) -> bool:
        data = (text or json.dumps(value)).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(data)}\r\n{extra}\r\n"
        writer.write(head.encode() + data)
        await writer.drain()
        return True


async def main() -> None:
    slow = Slow(**json.loads(sys.argv[1]))
    server = await asyncio.start_server(slow.serve, "127.0.0.1", 0, backlog=512)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def precise() -> asyncio.AbstractEventLoop:
    """A loop that sleeps as long as it is told: one over epoll rounds up to milliseconds."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=precise) as runner:
        runner.run(main())
