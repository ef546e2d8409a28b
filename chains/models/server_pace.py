"""How many calls one server address is given at a time: as many as it takes, found out as it goes.

    pace = Pace(most=64)
    if pace.room(now): pace.sent(now)
    pace.succeeded(now, seconds=0.8)      # or pace.refused(now, wait=None), or pace.failed(now)

Additive increase, multiplicative decrease (Chiu and Jain 1989), with the two changes that a server
of language models asks for. It begins with a doubling every round. And a refusal (429, 503) takes
one from the limit, never more than half within a round, so that of 48 calls of which 16 are refused
32 remain: a server that says how many it takes at once is kept full. A step up that made calls
slower and no more of them done is taken back.
"""

import os
import zlib

START = 8
"""Calls in flight at the beginning, where as many are allowed."""

PATIENCE = 8
"""Rounds without a refusal before one more call is tried again; fewer where few are in flight."""

SLOWER, FASTER = 1.5, 1.1
"""A round this many times slower, without this many times more calls a second, was one too many."""

BACK = 0.8
FAULTS = 4  # of the connection in a row, after which an address rests
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 20.0


class Pace:
    """The limit of one address; times are seconds of one clock.

    Args:
        most: Calls in flight at most.

    Attributes:
        limit: Calls in flight now allowed.
        in_flight: Calls in flight.
        successes: Calls that were answered so far.
        faults: Faults of the connection since the last answer.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(min(most, START))
        self.in_flight = 0
        self.successes = 0
        self.faults = 0
        self._rests_until = 0.0
        self._doubling = True
        self._patience = 0
        self._least = self.limit
        self._before: tuple[float, float] | None = None  # seconds a call, calls a second
        self._begin(0.0)

    def room(self, now: float) -> bool:
        """Whether the address may be given a call."""
        return self.in_flight < int(self.limit) and now >= self._rests_until

    def load(self) -> float:
        """Share of the limit that is in use."""
        return self.in_flight / self.limit

    def ready_at(self) -> float:
        """When the address may be asked again."""
        return self._rests_until

    def sent(self, now: float) -> None:
        """A call was given to the address."""
        if self.in_flight == 0:  # what was idle is no measure of speed
            self._begin(now)
        self.in_flight += 1

    def succeeded(self, now: float, seconds: float) -> None:
        """A call was answered."""
        self.in_flight -= 1
        self.successes += 1
        self.faults = 0
        self._count += 1
        self._seconds += seconds
        if self._count >= int(self.limit):
            self._end_round(now)

    def refused(self, now: float, wait: float | None) -> None:
        """The server takes no more: 429 or 503, with the seconds of Retry-After."""
        self.in_flight -= 1
        self.limit = max(1.0, self._least, self.limit - 1)
        self._doubling = False
        self._patience = min(PATIENCE, int(self.limit) // 2)
        if wait:
            self._rests_until = max(self._rests_until, now + wait)

    def failed(self, now: float, *, connection: bool) -> None:
        """A call failed; where the connection did, the address rests for a while."""
        self.in_flight -= 1
        if connection:
            self.faults += 1
            if self.faults >= max(FAULTS, self.limit):
                rests = pause(self.faults // max(FAULTS, int(self.limit)), 0)
                self._rests_until = max(self._rests_until, now + rests)

    def _begin(self, now: float) -> None:
        self._start, self._count, self._seconds = now, 0, 0.0
        self._least = self.limit / 2

    def _end_round(self, now: float) -> None:
        seconds = self._seconds / self._count
        rate = self._count / max(1e-6, now - self._start)
        slower = self._before is not None and seconds > SLOWER * self._before[0]
        if slower and self._before is not None and rate < FASTER * self._before[1]:
            self.limit = max(1.0, BACK * self.limit)
            self._doubling, self._patience = False, PATIENCE
        elif self._doubling:
            self.limit = min(self.most, 2 * self.limit)
        elif self._patience:
            self._patience -= 1
        else:
            self.limit = min(self.most, self.limit + 1)
        self._before = (seconds, rate)
        self._begin(now)


def pause(tries: int, number: int) -> float:
    """Seconds before the next try: doubling, up to `LONGEST_PAUSE`, half of it by chance.

    The chance is a hash of the process and the call: other processes wait for other times, and
    nothing that is recorded depends on it.
    """
    chance = zlib.crc32(f"{os.getpid()}:{number}:{tries}".encode()) / 2**32
    whole: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries, 16))
    return whole * (0.5 + 0.5 * chance)
