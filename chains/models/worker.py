"""One process that holds a model, and the end of its line from which it is asked.

    worker = Worker(Order(spec, offline=False, plugins=(), threads=1, loud=True))
    worker.connection.recv()                    # ("ready", {"window": 8192, "about": {...}})
    worker.ask("answer", [call, call])
    worker.connection.recv()                    # ("finished", [(1, [Reply("Blue.", "stop")])])
    worker.end()

It is asked `answer` or `count`, one thing at a time. It has nothing to save: it is ended by
SIGKILL, and ends itself when the process that it works for has gone, however that ended.
"""

import contextlib
import importlib
import logging
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, NamedTuple

from chains.calls import Call, Model
from chains.models.spec import ModelSpec
from prompts.errors import TextmillError


class Order(NamedTuple):
    """What a worker is told when it is hired.

    Attributes:
        spec: The model, its revision pinned.
        offline: Never ask a model hub.
        plugins: Modules to import first: strategies of calls may come from them.
        threads: For arithmetic.
        loud: Whether it may warn; what the first one says need not be said again.
        gpu: The one GPU that it sees, as CUDA_VISIBLE_DEVICES names it; empty on the CPU.
    """

    spec: ModelSpec
    offline: bool
    plugins: tuple[str, ...]
    threads: int
    loud: bool
    gpu: str = ""


@dataclass
class Piece:
    """Calls that one worker answers together.

    Attributes:
        calls: Those without replies so far, by their index among all.
        deaths: Workers that died over them.
    """

    calls: dict[int, Call]
    deaths: int = 0


class Worker:
    """A worker as its employer sees it.

    Attributes:
        busy: It owes a message; a new one until it has loaded the model.
        told: `window` and, as `about`, `describe()` of its model, once it is loaded.
        piece: What it works on.
        order: The piece's indices as they were sent.
        count: Its answer to the last `count`.
        gpu: The GPU that it alone sees, if any.
    """

    def __init__(self, order: Order) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=serve, args=(theirs, order), daemon=True
        )
        resource_tracker.ensure_running()  # when it starts, it lets go of signals held back
        with _signals_held_back():
            self.process.start()
        theirs.close()
        self.busy = True
        self.told: dict[str, Any] = {}
        self.piece: Piece | None = None
        self.order: list[int] = []
        self.count = 0
        self.gpu = order.gpu

    def ask(self, kind: str, content: Any) -> None:
        """Send a request; the answer is received from `connection`."""
        self.busy = True
        with contextlib.suppress(OSError):  # of one that has died its silence tells
            self.connection.send((kind, content))

    def end(self) -> int:
        """End the process; gives its exit code, negative for a signal."""
        self.process.kill()
        self.process.join()
        self.connection.close()
        return self.process.exitcode or 0


def serve(connection: Connection, order: Order) -> None:
    """What a worker does until nobody needs it: load the model, then do what it is asked."""
    threading.Thread(target=_leave_with_employer, daemon=True).start()
    try:
        model = _opened(order)
        connection.send(("ready", {"window": model.window, "about": model.describe()}))
        while True:
            kind, content = connection.recv()
            if kind == "count":
                connection.send(("counted", model.count_tokens(content)))
                continue
            for finished in model.answer(content):
                connection.send(("finished", finished))
            connection.send(("answered", None))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as exc:
        with contextlib.suppress(OSError):
            connection.send(("failed", portable(exc)))


def portable(exc: Exception) -> Exception:
    """The error as one that can be sent: ours as it is, another with its traceback as a note."""
    if isinstance(exc, TextmillError):
        return exc
    told = RuntimeError(f"in a worker: {type(exc).__name__}: {exc}")
    told.add_note(traceback.format_exc())
    return told


def _opened(order: Order) -> Model:
    if order.gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = order.gpu  # which torch reads when it first asks
    import torch

    from chains.models.opening import open_local

    if not order.loud:
        logging.getLogger("textmill").setLevel(logging.ERROR)
    torch.set_num_threads(min(order.threads, torch.get_num_threads()))
    for module in order.plugins:
        importlib.import_module(module)
    return open_local(order.spec, offline=order.offline)


def _leave_with_employer() -> None:
    """End the worker when its employer has gone, even in the midst of a batch."""
    employer = multiprocessing.parent_process()
    if employer is not None:
        wait([employer.sentinel])
        os._exit(1)


@contextlib.contextmanager
def _signals_held_back() -> Iterator[None]:
    """A process begun meanwhile never sees Ctrl-C or SIGTERM: its employer decides what they mean.

    They come to all processes of a terminal or a service. What a process holds back, its children
    hold back from their first moment on.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
