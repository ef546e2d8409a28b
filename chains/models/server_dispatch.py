"""Many requests to one or several addresses at once, each tried until it is answered or given up.

    dispatch = Dispatch(spec, key, tries=5)
    for finished in dispatch.answer(bodies):     # [(17, Reply("Blue.", "stop", 11, 3)), ...]
        ...

Threads wait for replies, and the one that got a reply sends the next request at once, on the same
connection: who called may be writing down what came before. Which address is asked next is a matter
of `Pace`, when a failed request is tried again one of `pause`. Neither can change a reply.
"""

import heapq
import http.client
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Condition, Thread

from chains.calls import Reply
from chains.models.server_faults import Failure, Redactor, fault_of, reply_or_fault, stopping
from chains.models.server_http import Connection
from chains.models.server_pace import Pace, pause
from chains.models.spec import ModelSpec

BEAT = 0.25
"""Seconds after which what is finished is handed on, be it nothing: so long waits a Ctrl-C."""

AHEAD = 2
"""Times the calls in flight that may be finished and not yet handed on; a kill loses no more."""

Body = Callable[[], bytes]
"""Makes the body of a request; raises UnicodeError where its text is none."""


@dataclass(slots=True)
class _Request:
    index: int
    tries: int = 0
    refused_by: Pace | None = None  # of the address that has no room for it, as far as it says
    successes: int = 0  # of that address, when it refused this request last


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
        if connection in self._busy:  # and was not given up
            self._busy.remove(connection)
            self._idle.append(connection)

    def abort(self) -> None:
        """Give up the connections that wait for replies."""
        for connection in self._busy:
            connection.abort()
        self._busy.clear()

    def close(self) -> None:
        for connection in [*self._busy, *self._idle]:
            connection.close()


class Dispatch:
    """Sends requests and hands replies on, for one caller at a time.

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
        self._changed = Condition()  # held by who looks at addresses or at a work

    def limits(self) -> list[int]:
        """The calls in flight that each address is now allowed."""
        return [int(address.pace.limit) for address in self._addresses]

    def answer(self, bodies: Sequence[Body]) -> Iterator[list[tuple[int, Reply]]]:
        """Send all requests; what is finished comes several times a second, be it nothing.

        A request that fails alone gives `Reply(finish="error")`.

        Raises:
            ModelError: What fails would fail for every request, or all of them failed.
        """
        work = _Work(bodies, self._most)
        try:
            while work.goes_on() or work.finished:  # the last may come while others are handed on
                with self._changed:
                    self._wait(work)
                    finished = work.hand_over()
                yield finished
            if work.fault is not None:
                raise stopping(work.fault)
        finally:
            self._give_up(work)

    def close(self) -> None:
        """Close all connections and end the threads."""
        for address in self._addresses:
            address.close()
        for _ in self._threads:
            self._errands.put(None)
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _wait(self, work: "_Work") -> None:
        """Until enough is finished to be handed on, or for the beat."""
        now = time.monotonic()
        beat = now + BEAT
        while work.goes_on() and now < beat and len(work.finished) < self._most:
            for errand in self._due(work, now):
                self._entrust(errand)
            ready = [address.pace.ready_at() for address in self._addresses]
            until = min(beat, work.due(now), *(at for at in [*ready, beat] if at > now))
            self._changed.wait(until - now)
            now = time.monotonic()

    def _due(self, work: "_Work", now: float) -> Iterator["_Errand"]:
        """What may be sent now, as far as it is taken."""
        while (request := work.next(now)) is not None:
            open_ = [address for address in self._addresses if address.pace.room(now)]
            if not open_:
                work.waiting.appendleft(request)
                return
            address = min(open_, key=lambda one: (one.pace.faults, one.pace.load()))
            address.pace.sent(now)
            work.in_flight += 1
            yield request, address, address.take(), work

    def _entrust(self, errand: "_Errand") -> None:
        """Give an errand to another thread."""
        if len(self._threads) < errand[-1].in_flight:
            self._threads.append(Thread(target=self._run_errands, daemon=True))
            self._threads[-1].start()
        self._errands.put(errand)

    def _run_errands(self) -> None:
        """One thread: a request after the other, each waited for."""
        while (errand := self._errands.get()) is not None:
            following: _Errand | None = errand
            while following is not None:
                following = self._carry_out(*following)

    def _carry_out(
        self, request: _Request, address: _Address, connection: Connection, work: "_Work"
    ) -> "_Errand | None":
        """Send a request and wait for its reply; the request to be sent next by this thread."""
        start = time.monotonic()
        found: Reply | Failure
        lost = False
        try:
            body = work.bodies[request.index]()
            answer = connection.send("POST", "/chat/completions", body, self._deadline)
            found = reply_or_fault(answer, self._redact)
        except Exception as exc:
            lost = isinstance(exc, (OSError, http.client.HTTPException))
            found = fault_of(exc, self._redact)
        now = time.monotonic()
        with self._changed:
            work.in_flight -= 1
            address.put_back(connection)
            self._tell_pace(address.pace, found, now, now - start, lost=lost)
            if isinstance(found, Reply):
                work.finish(request, found)
            elif not work.given_up:
                self._again_or_never(request, address.pace, found, work)
            following = next(self._due(work, now), None)
            if isinstance(found, Failure) or self._concerns_caller(work, now):
                self._changed.notify()
        return following

    def _concerns_caller(self, work: "_Work", now: float) -> bool:
        """Whether there is something to hand on, to end with, or for further threads to send."""
        if not work.in_flight or len(work.finished) >= self._most:
            return True
        return bool(work.waiting) and any(a.pace.room(now) for a in self._addresses)

    def _tell_pace(
        self, pace: Pace, found: Reply | Failure, now: float, seconds: float, *, lost: bool
    ) -> None:
        if isinstance(found, Reply):
            pace.succeeded(now, seconds)
        elif found.busy:
            pace.refused(now, found.wait)
        else:
            pace.failed(now, connection=lost)

    def _again_or_never(self, request: _Request, pace: Pace, fault: Failure, work: "_Work") -> None:
        if fault.busy and pace.successes > request.successes:
            request.tries = 0  # others are answered: the server is full and not out of order
        request.successes = pace.successes
        request.refused_by = pace if fault.busy and not fault.wait else None
        request.tries += 1
        if not fault.lasting and request.tries <= self._tries:
            wait = fault.wait or pause(request.tries, request.index)
            heapq.heappush(work.later, (time.monotonic() + wait, request.index, request))
        elif fault.fatal or work.all_fail():
            work.fault = fault
        else:
            work.finish(request, Reply("", "error", error=fault.text))

    def _give_up(self, work: "_Work") -> None:
        """Close the connections that still wait for replies; no thread is left with this work."""
        with self._changed:
            work.given_up = True
            if work.in_flight:
                for address in self._addresses:
                    address.abort()
            while work.in_flight:
                self._changed.wait()


class _Work:
    """The requests of one `answer`: those that wait, are in flight, and are finished."""

    def __init__(self, bodies: Sequence[Body], most: int) -> None:
        self.bodies = bodies
        self.left = len(bodies)
        self.in_flight = 0
        self.waiting = deque(_Request(index) for index in range(len(bodies)))
        self.later: list[tuple[float, int, _Request]] = []
        self.finished: list[tuple[int, Reply]] = []
        self.fault: Failure | None = None  # that ends all
        self.given_up = False
        self._kept = AHEAD * most
        self._enough = min(most, len(bodies))
        self._failed = 0  # in a row

    def goes_on(self) -> bool:
        """Whether there is anything left to send or to wait for."""
        return bool(self.left) and self.fault is None and not self.given_up

    def next(self, now: float) -> _Request | None:
        """A request to be sent now: one whose pause is over before one that is new."""
        if not self.goes_on() or len(self.finished) >= self._kept:
            return None
        if self.later and self.later[0][0] <= now:
            return heapq.heappop(self.later)[2]
        return self.waiting.popleft() if self.waiting else self._refused_once()

    def _refused_once(self) -> _Request | None:
        """At the end: one that was refused, where others were answered since, waits no longer."""
        for entry in self.later:
            request = entry[2]
            if request.refused_by and request.refused_by.successes > request.successes:
                self.later.remove(entry)
                heapq.heapify(self.later)
                return request
        return None

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
