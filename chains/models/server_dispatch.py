"""Many requests to one or several addresses at once, each tried until it is answered or given up.

    dispatch = Dispatch(spec, key, tries=5)
    for finished in dispatch.answer(bodies):     # [(17, Reply("Blue.", "stop", 11, 3)), ...]
        ...

One thread decides and threads that it owns wait for replies: which address is asked next is a
matter of `Pace`, when a failed request is tried again one of `pause`. Neither can change a reply.
"""

import heapq
import http.client
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread

from chains.calls import Reply
from chains.models.server_faults import Failure, Redactor, fault_of, reply_or_fault, stopping
from chains.models.server_http import Connection
from chains.models.server_pace import Pace, pause
from chains.models.server_reply import Answer
from chains.models.spec import ModelSpec

BEAT = 0.25
"""Seconds after which what is finished is handed on, be it nothing: so long waits a Ctrl-C."""

Body = Callable[[], bytes]
"""Makes the body of a request; raises UnicodeError where its text is none."""


@dataclass(slots=True)
class _Request:
    index: int
    tries: int = 0
    successes: int = 0  # of the address, when it refused this request last


class _Address:
    """An address, its pace and its connections."""

    def __init__(self, base: str, key: str, most: int) -> None:
        self._base, self._key = base, key
        self.pace = Pace(most)
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()

    def take(self) -> Connection:
        connection = self._idle.pop() if self._idle else Connection(self._base, self._key)
        self._busy.add(connection)
        return connection

    def put_back(self, connection: Connection) -> None:
        self._busy.discard(connection)
        self._idle.append(connection)

    def close(self, *, busy_only: bool = False) -> None:
        for connection in [*self._busy, *([] if busy_only else self._idle)]:
            connection.close()


@dataclass(frozen=True, slots=True)
class _Sent:
    """What became of a request that was sent."""

    request: _Request
    address: _Address
    connection: Connection
    seconds: float
    outcome: Answer | Exception


class Dispatch:
    """Sends requests and hands replies on, for one thread at a time.

    Args:
        spec: Addresses, calls in flight at each, deadline.
        key: Of the server.
        tries: How often a request is tried again.
    """

    def __init__(self, spec: ModelSpec, key: str, tries: int) -> None:
        self._addresses = [_Address(base, key, spec.batch) for base in spec.addresses]
        self._most = spec.batch * len(self._addresses)
        self._deadline = spec.deadline
        self._tries = tries
        self._redact = Redactor(key)
        self._errands: SimpleQueue[_Errand | None] = SimpleQueue()
        self._threads: list[Thread] = []

    def limits(self) -> list[int]:
        """The calls in flight that each address is now allowed."""
        return [int(address.pace.limit) for address in self._addresses]

    def answer(self, bodies: Sequence[Body]) -> Iterator[list[tuple[int, Reply]]]:
        """Send all requests; what is finished comes several times a second, be it nothing.

        A request that fails alone gives `Reply(finish="error")`.

        Raises:
            ModelError: What fails would fail for every request, or all of them failed.
        """
        work = _Work(bodies, min(self._most, len(bodies)))
        try:
            while work.left:
                beat = time.monotonic() + BEAT
                while work.left and time.monotonic() < beat and len(work.finished) < self._most:
                    self._send_what_may(work)
                    self._receive(work, beat)
                yield work.hand_over()
        finally:
            if work.in_flight:
                for address in self._addresses:
                    address.close(busy_only=True)
                while work.in_flight:
                    self._settle(work.arrived.get(), work, quiet=True)

    def close(self) -> None:
        """Close all connections and end the threads."""
        for address in self._addresses:
            address.close()
        for _ in self._threads:
            self._errands.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _send_what_may(self, work: "_Work") -> None:
        now = time.monotonic()
        while (request := work.next(now)) is not None:
            open_ = [address for address in self._addresses if address.pace.room(now)]
            if not open_:
                work.waiting.appendleft(request)
                return
            address = min(open_, key=lambda one: (one.pace.faults, one.pace.load()))
            address.pace.sent(now)
            work.in_flight += 1
            if len(self._threads) < work.in_flight:
                self._threads.append(Thread(target=self._run_errands, daemon=True))
                self._threads[-1].start()
            self._errands.put((request, address, address.take(), work))

    def _run_errands(self) -> None:
        """One thread: a request after the other, each waited for."""
        while (errand := self._errands.get()) is not None:
            self._exchange(*errand)

    def _exchange(
        self, request: _Request, address: _Address, connection: Connection, work: "_Work"
    ) -> None:
        start = time.monotonic()
        outcome: Answer | Exception
        try:
            body = work.bodies[request.index]()
            outcome = connection.send("POST", "/chat/completions", body, self._deadline)
        except Exception as exc:
            outcome = exc
        seconds = time.monotonic() - start
        work.arrived.put(_Sent(request, address, connection, seconds, outcome))

    def _receive(self, work: "_Work", beat: float) -> None:
        """Wait for replies, until something can be sent again, or for the beat."""
        now = time.monotonic()
        ready = [address.pace.ready_at() for address in self._addresses]
        until = min(beat, work.due(now), *(at for at in [*ready, beat] if at > now))
        try:
            sent = work.arrived.get(timeout=max(0.0, until - now))
            while True:
                self._settle(sent, work)
                self._send_what_may(work)  # before the next is read: the server has room now
                sent = work.arrived.get_nowait()
        except Empty:
            return

    def _settle(self, sent: _Sent, work: "_Work", *, quiet: bool = False) -> None:
        work.in_flight -= 1
        sent.address.put_back(sent.connection)
        found = self._judge(sent)
        if isinstance(found, Reply):
            work.finish(sent.request, found)
        elif not quiet:
            self._again_or_never(sent, found, work)

    def _judge(self, sent: _Sent) -> Reply | Failure:
        """What a request came to, told to the pace of its address."""
        now, pace = time.monotonic(), sent.address.pace
        found: Reply | Failure
        if isinstance(sent.outcome, Answer):
            found = reply_or_fault(sent.outcome, self._redact)
        else:
            found = fault_of(sent.outcome, self._redact)
        if isinstance(found, Reply):
            pace.succeeded(now, sent.seconds)
        elif found.busy:
            pace.refused(now, found.wait)
        else:
            lost = isinstance(sent.outcome, (OSError, http.client.HTTPException))
            pace.failed(now, connection=lost)
        return found

    def _again_or_never(self, sent: _Sent, fault: Failure, work: "_Work") -> None:
        request, pace = sent.request, sent.address.pace
        if fault.busy and pace.successes > request.successes:
            request.tries = 0  # others are answered: the server is full and not out of order
        request.successes = pace.successes
        request.tries += 1
        if not fault.lasting and request.tries <= self._tries:
            wait = fault.wait or pause(request.tries, request.index)
            heapq.heappush(work.later, (time.monotonic() + wait, request.index, request))
            return
        if fault.fatal or work.all_fail():
            raise stopping(fault)
        work.finish(request, Reply("", "error", error=fault.text))


class _Work:
    """The requests of one `answer`: those that wait, are in flight, and are finished."""

    def __init__(self, bodies: Sequence[Body], enough: int) -> None:
        self.bodies = bodies
        self.left = len(bodies)
        self.in_flight = 0
        self.waiting = deque(_Request(index) for index in range(len(bodies)))
        self.later: list[tuple[float, int, _Request]] = []
        self.arrived: SimpleQueue[_Sent] = SimpleQueue()
        self.finished: list[tuple[int, Reply]] = []
        self._enough = enough
        self._failed = 0  # in a row

    def next(self, now: float) -> _Request | None:
        """A request to be sent now: one whose pause is over before one that is new."""
        if self.later and self.later[0][0] <= now:
            return heapq.heappop(self.later)[2]
        return self.waiting.popleft() if self.waiting else None

    def due(self, now: float) -> float:
        """When the next pause is over."""
        return max(now, self.later[0][0]) if self.later else float("inf")

    def finish(self, request: _Request, reply: Reply) -> None:
        self.left -= 1
        self.finished.append((request.index, reply))
        self._failed = self._failed + 1 if reply.finish == "error" else 0

    def all_fail(self) -> bool:
        """Whether one more failure makes as many in a row as there are calls at a time."""
        return self._failed + 1 >= self._enough > 1

    def hand_over(self) -> list[tuple[int, Reply]]:
        finished, self.finished = self.finished, []
        return finished


_Errand = tuple[_Request, _Address, Connection, _Work]
