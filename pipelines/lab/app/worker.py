"""The one thread that holds ledger and models; requests hand it work and read what streams out.

    worker = Worker(ledger_file, offline=False)
    for event in worker.stream(lambda callers, stopped: iter([{"cell": 1}])):
        ...                       # {"cell": 1}, then {"done": True}
    worker.stop()                 # what runs now ends after its batch

Models are not made to be asked from several threads at once, and an SQLite connection belongs to
the thread that opened it: so there is one, and a second request waits for its turn.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from pipelines.calling import Interrupted
from pipelines.lab.callers import Callers
from pipelines.launch import Options
from pipelines.ledger import Ledger
from pipelines.rows import JSON
from pipelines.runner import Watch
from prompts.errors import TextmillError

Event = dict[str, JSON]
Task = Callable[[Callers], Iterator[Event]]

LAST = {"done", "error", "stopped"}
"""An event with one of these keys is the last of its task."""


class _Stoppable(Watch):
    def __init__(self) -> None:
        self.stop = threading.Event()

    def stop_requested(self) -> bool:
        return self.stop.is_set()


class Worker:
    """Runs tasks one after another.

    Args:
        ledger: The ledger's file.
        offline: Never look for a model on the Hub.
    """

    def __init__(self, ledger: Path, *, offline: bool) -> None:
        self._watch = _Stoppable()
        self._options = Options(ledger, offline, watch=self._watch)
        self._file = ledger
        self._tasks: queue.Queue[tuple[Task, queue.Queue[Event]] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="models", daemon=True)
        self._thread.start()

    def stream(self, task: Task) -> Iterator[Event]:
        """What a task yields, as it comes; the last event is `done`, `stopped` or an `error`."""
        events: queue.Queue[Event] = queue.Queue()
        self._watch.stop.clear()
        self._tasks.put((task, events))
        while True:
            event = events.get()
            yield event
            if LAST & event.keys():
                return

    def stop(self) -> None:
        """End what runs now after its batch; calls that were paid stay in the ledger."""
        self._watch.stop.set()

    def close(self) -> None:
        """End the thread once what it does is done."""
        self.stop()
        self._tasks.put(None)
        self._thread.join(timeout=30)

    def _work(self) -> None:
        with Ledger(self._file) as ledger:
            callers = Callers(ledger, self._options)
            while (item := self._tasks.get()) is not None:
                task, events = item
                events.put(self._done(task, events, callers))
            callers.close()

    def _done(self, task: Task, events: "queue.Queue[Event]", callers: Callers) -> Event:
        """Run a task; its last event."""
        try:
            for event in task(callers):
                events.put(event)
                if self._watch.stop_requested():
                    return {"stopped": True}
        except Interrupted:
            return {"stopped": True}
        except TextmillError as exc:
            return {"error": str(exc)}
        except Exception as exc:  # the thread must live on; the page says what happened
            return {"error": f"this should not have happened: {type(exc).__name__}: {exc}"}
        return {"done": True}
