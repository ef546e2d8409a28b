"""One batch out of many callers: calls from any number of threads are answered together.

    coalescer = Coalescer(model.answer)
    future = coalescer.submit(call)              # from as many threads as there are
    replies = future.result()

One worker thread waits until no further call has come for a moment, then hands over all it has.
Timing so decides who shares a batch; it can decide nothing else, because a call's reply does not
depend on its neighbours.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future

from chains.calls import Call, Reply

Answer = Callable[[Sequence[Call]], Iterator[list[tuple[int, list[Reply]]]]]

PAUSE = 0.02
"""Seconds without a new call after which a batch is complete."""


class Coalescer:
    """Collects calls into batches.

    Args:
        answer: As in `chains.calls.Model`.
        limit: Calls of one batch at most.
        idle: Seconds without work after which the worker thread ends; the next call starts another.
    """

    def __init__(self, answer: Answer, limit: int = 4096, idle: float = 5.0) -> None:
        self._answer = answer
        self._limit = limit
        self._idle = idle
        self._waiting: queue.Queue[tuple[Call, Future[list[Reply]]]] = queue.Queue()
        self._lock = threading.Lock()
        self._worker: threading.Thread | None = None

    def submit(self, call: Call) -> "Future[list[Reply]]":
        """Put a call into the next batch."""
        future: Future[list[Reply]] = Future()
        with self._lock:
            self._waiting.put((call, future))
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, daemon=True, name="coalescer")
                self._worker.start()
        return future

    def _work(self) -> None:
        while batch := self._collect():
            self._settle(batch)

    def _collect(self) -> list[tuple[Call, "Future[list[Reply]]"]]:
        """The calls of the next batch; none when the worker is to end."""
        try:
            batch = [self._waiting.get(timeout=self._idle)]
        except queue.Empty:
            with self._lock:
                if self._waiting.empty():
                    self._worker = None
                    return []
            batch = [self._waiting.get()]
        while len(batch) < self._limit:
            try:
                batch.append(self._waiting.get(timeout=PAUSE))
            except queue.Empty:
                break
        return batch

    def _settle(self, batch: list[tuple[Call, "Future[list[Reply]]"]]) -> None:
        futures = [future for _, future in batch]
        try:
            for finished in self._answer([call for call, _ in batch]):
                for index, replies in finished:
                    futures[index].set_result(replies)
        except BaseException as exc:
            for future in futures:
                if not future.done():
                    future.set_exception(exc)
