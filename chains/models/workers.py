"""A model in several processes: each holds the weights and answers a share of the calls.

    pool = WorkerPool(ModelSpec(model="embedded"), workers=2)
    for finished in pool.answer(calls):        # [(3, [Reply("Blue.", "stop")]), ...]
        ...
    pool.close()

A reply depends on its call alone, so neither who answers it nor when can change a byte. On the CPU
workers share out the cores; with CUDA each has a GPU of its own.
"""

import atexit
import itertools
import logging
import os
from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait
from typing import Any

from chains.calls import Call, Message, Reply
from chains.models.files import ModelFiles, inspect
from chains.models.identity import local_fingerprint
from chains.models.locate import locate
from chains.models.machine import free_memory, resolve_device, resolve_dtype, visible_gpus
from chains.models.spec import ModelSpec
from chains.models.worker import Order, Piece, Worker
from prompts.errors import ResourceError, UsageError

FEWEST = 16
"""Rows of a piece at least, where there are enough of them: a smaller one leaves steps unfilled."""

LOADING = 1.15
"""Memory that a worker takes while it loads, as a factor on its weights."""

PROGRAM = 500 << 20
"""Bytes that a worker takes besides its weights: torch, transformers, a few rows."""

MOST_DEATHS = 1
"""Workers that may die over the same calls before the calls are given up."""

logger = logging.getLogger("textmill.models")


class WorkerPool:
    """Implements `chains.calls.Model` for a local model, for one thread at a time.

    Workers are hired when there is work for them and stay until `close`. Where one dies, the others
    take over its calls, and the pool stays smaller.

    Args:
        spec: A local model.
        workers: Processes at most, at least 1; with CUDA not more than there are GPUs.
        offline: Never ask a model hub.
        plugins: Modules that workers import first.
    """

    def __init__(
        self, spec: ModelSpec, workers: int, *, offline: bool = False, plugins: Sequence[str] = ()
    ) -> None:
        located = locate(spec, offline=offline)
        device = resolve_device(spec.device)
        self._gpus = visible_gpus() if device == "cuda" else []
        if device == "cuda" and workers > len(self._gpus):
            problem = f"each of {workers} workers wants a GPU of its own, here: {len(self._gpus)}"
            raise UsageError(problem, fix="use as many --workers, or write 'device: cpu'")
        self._fingerprint = local_fingerprint(spec, located.identify())
        self._files = inspect(located.folder())  # unpacked or fetched here, once for all
        self._dtype = resolve_dtype(spec.dtype, device)
        # A branch of the Hub may move: every worker loads the commit that was found here.
        self._spec = spec.model_copy(update={"revision": located.revision or spec.revision})
        self._most = workers
        self._threads = max(1, _cores() // workers)
        self._offline = offline
        self._plugins = tuple(plugins)
        self._workers: list[Worker] = []
        self._hired = 0
        self._pieces: deque[Piece] = deque()
        self._finished: list[tuple[int, list[Reply]]] = []

    @property
    def fingerprint(self) -> str:
        """As `chains.models.fingerprint` gives it."""
        return self._fingerprint

    @property
    def window(self) -> int:
        """Context window in tokens."""
        return int(self._told()["window"])

    def describe(self) -> dict[str, Any]:
        """For the manifest and the dataset card: the same as without workers."""
        about: dict[str, Any] = self._told()["about"]
        return about

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Prompt length in tokens, chat template included; a worker counts.

        Raises:
            ResourceError: The workers died.
        """
        while True:
            worker = self._idle()
            worker.ask("count", tuple(messages))
            while worker.busy and worker in self._workers:
                self._receive()
            if worker in self._workers:
                return worker.count

    def answer(self, calls: Sequence[Call]) -> Iterator[list[tuple[int, list[Reply]]]]:
        """Answer all calls, yielding what is finished as it comes in, as (index, replies).

        Raises:
            ModelError: The model cannot be loaded.
            ResourceError: It does not fit into memory once a worker, or workers died.
        """
        self._pieces = deque(share_out(calls, self._most, self._spec.batch))
        self._finished = []
        left = len(calls)
        try:
            self._hire(len(self._pieces))
            while left:
                self._hand_out()
                self._receive()
                if self._finished:
                    finished, self._finished = self._finished, []
                    left -= len(finished)
                    yield finished
        finally:
            for worker in [w for w in self._workers if w.piece is not None and w.piece.calls]:
                self._dismiss(worker)  # nobody waits for its replies any more

    def close(self) -> None:
        """End all workers."""
        atexit.unregister(self.close)
        for worker in [*self._workers]:
            self._dismiss(worker)

    def _told(self) -> dict[str, Any]:
        self._hire(1)
        while True:
            for worker in self._workers:
                if worker.told:
                    return worker.told
            self._receive()

    def _idle(self) -> Worker:
        self._hire(1)
        while True:
            for worker in self._workers:
                if not worker.busy:
                    return worker
            self._receive()

    def _hire(self, wanted: int) -> None:
        if not self._workers:
            self._check_memory()
            atexit.unregister(self.close)
            # Before multiprocessing's own end, which would wait for workers that nobody has ended.
            atexit.register(self.close)
        while len(self._workers) < min(wanted, self._most):
            loud = self._hired == 0
            taken = {worker.gpu for worker in self._workers}
            gpu = next((gpu for gpu in self._gpus if gpu not in taken), "")
            order = Order(self._spec, self._offline, self._plugins, self._threads, loud, gpu)
            self._workers.append(Worker(order))
            self._hired += 1

    def _check_memory(self) -> None:
        if self._gpus:
            return  # every worker looks at its own
        needed, free = self._most * worker_memory(self._files, self._dtype), free_memory()
        if free is not None and needed > free:
            problem = (
                f"{self._most} workers of this model take about {needed / 1e9:.1f} GB of memory, "
                f"{free / 1e9:.1f} GB are free"
            )
            raise ResourceError(problem, fix="use fewer --workers, or a smaller model")

    def _hand_out(self) -> None:
        for worker in self._workers:
            if not worker.busy and self._pieces:
                worker.piece = self._pieces.popleft()
                worker.order = list(worker.piece.calls)
                worker.ask("answer", list(worker.piece.calls.values()))

    def _receive(self) -> None:
        """Wait for messages and take in one of each worker that sent some."""
        ready = wait([worker.connection for worker in self._workers])
        for worker in [w for w in self._workers if w.connection in ready]:
            try:
                kind, content = worker.connection.recv()
            except (EOFError, OSError):
                self._bury(worker)
                continue
            self._take(worker, kind, content)

    def _take(self, worker: Worker, kind: str, content: Any) -> None:
        if kind == "finished":
            assert worker.piece is not None
            for place, replies in content:
                index = worker.order[place]
                del worker.piece.calls[index]
                self._finished.append((index, replies))
            return
        worker.busy, worker.piece = False, None
        if kind == "failed":
            self._dismiss(worker)
            raise content
        if kind == "ready":
            worker.told = content
        elif kind == "counted":
            worker.count = content

    def _bury(self, worker: Worker) -> None:
        """A worker has died: its calls go to the others, once."""
        code = self._dismiss(worker)
        self._most = max(1, self._most - 1)
        piece = worker.piece
        if piece is not None and piece.calls:
            piece.deaths += 1
            self._pieces.appendleft(piece)
        if not self._workers:
            raise _deaths("the last worker has ended", code)
        if piece is not None and piece.deaths > MOST_DEATHS:
            raise _deaths("a second worker has ended over the same calls", code)
        others = len(self._workers)
        logger.warning("a worker has ended %s; the others go on: %d", _manner(code), others)

    def _dismiss(self, worker: Worker) -> int:
        if worker in self._workers:
            self._workers.remove(worker)
        return worker.end()


def worker_memory(files: ModelFiles, dtype: str) -> int:
    """Bytes that one worker takes, about."""
    return int(files.bytes_in(dtype) * LOADING) + PROGRAM


def share_out(calls: Sequence[Call], workers: int, batch: int) -> list[Piece]:
    """Cut calls into pieces: like prompts together, and the longest first, for an even end.

    Args:
        calls: In any order.
        workers: That will take the pieces as they become free.
        batch: Rows that a worker decodes together.

    Returns:
        For each worker the same number of pieces, of about `batch` rows or less: two at least
        where that leaves `FEWEST` rows in each. Never an empty one.
    """
    if not calls:
        return []
    alike = sorted(range(len(calls)), key=lambda i: (-_length(calls[i]), calls[i].messages))
    rows = sum(_rows(call) for call in calls)
    count = workers * -(-rows // (workers * batch))
    if rows >= 2 * count * FEWEST:
        count *= 2
    count = min(count, len(calls))
    edges = [len(calls) * piece // count for piece in range(count + 1)]
    return [
        Piece({i: calls[i] for i in alike[start:stop]}) for start, stop in itertools.pairwise(edges)
    ]


def _deaths(what: str, code: int) -> ResourceError:
    fix = "see what it wrote above"
    if code < 0:
        fix = "memory is short, as a rule: use fewer --workers or a smaller 'batch', then resume"
    return ResourceError(f"{what} {_manner(code)}", fix=fix)


def _manner(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"


def _cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _length(call: Call) -> int:
    return sum(len(message.content) for message in call.messages)


def _rows(call: Call) -> int:
    """Rows of a batch that a call takes."""
    decoding = call.decoding
    return decoding.slots() * (1 if decoding.joint else decoding.n)
