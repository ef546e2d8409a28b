"""Files that might trick their parser are read in a process of their own, within limits.

    with Reader(Limits(seconds=60)) as reader:
        reader.read(data, "report.pdf")     # a Reading, or Unreadable("timed_out", ...)

One process reads file after file and is begun anew when it dies or overruns; what it costs to begin
(about a second) is so paid once. Formats that are plain text are read in this process.
"""

import contextlib
import json
import os
import select
import signal
import struct
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any

from chains.loading import SUFFIXES, read_bytes
from chains.loading.base import Fault, Limits, Part, Reading, Unreadable

PROJECT = Path(__file__).resolve().parents[2]
SIZE = struct.Struct(">Q")
"""How many bytes follow: of a request's head, of the file, of the answer."""

WORKER = ["-m", "chains.loading.worker"]
"""What Python runs to read files."""

_GRACE = 5.0
"""Seconds of wall clock beyond the limit, in which the process may still say itself what ended."""

_STARTING = 60.0
"""Seconds that the process may take until it answers for the first time."""

MOST_ANSWER = 1 << 30
"""Bytes of an answer above which something is wrong with the process."""


class Reader:
    """Reads files, those of formats that are `binary` in another process.

    Args:
        limits: What one file may take.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._worker: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Reader":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def read(self, data: bytes, name: str) -> Reading:
        """The document that `data` holds, read as the ending of `name` says.

        Raises:
            Unreadable: As the format; `crashed`, `timed_out` or `too_much_memory`.
        """
        found = SUFFIXES.get(PurePath(name).suffix.lower())
        if found is None or not found.binary:
            return read_bytes(data, name, self._limits)
        return _reading(self._ask(data, name))

    def close(self) -> None:
        """End the process."""
        worker, self._worker = self._worker, None
        if worker is None:
            return
        worker.kill()
        for pipe in (worker.stdin, worker.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        worker.wait()

    def _ask(self, data: bytes, name: str) -> dict[str, Any]:
        """The answer of the process about one file.

        Raises:
            Unreadable: It died or took too long.
        """
        if self._worker is None:
            self._worker = _start()
            self._receive(_STARTING)
        head = json.dumps({"suffix": PurePath(name).suffix.lower(), "limits": asdict(self._limits)})
        try:
            self._send(head.encode(), data)
            answer = self._receive(self._limits.seconds + _GRACE)
        except BaseException:
            self.close()
            raise
        if answer.get("last"):  # its memory is in no state to go on with
            self.close()
        return answer

    def _send(self, *pieces: bytes) -> None:
        assert self._worker is not None
        assert self._worker.stdin is not None
        try:
            for piece in pieces:
                self._worker.stdin.write(SIZE.pack(len(piece)))
                self._worker.stdin.write(piece)
            self._worker.stdin.flush()
        except OSError as exc:
            raise self._died() from exc

    def _receive(self, seconds: float) -> dict[str, Any]:
        assert self._worker is not None
        assert self._worker.stdout is not None
        pipe, until = self._worker.stdout.fileno(), time.monotonic() + seconds
        (size,) = SIZE.unpack(self._take(pipe, SIZE.size, until))
        if size > MOST_ANSWER:
            raise Unreadable("crashed", f"its process answered with {size} bytes")
        answer: dict[str, Any] = json.loads(self._take(pipe, size, until))
        return answer

    def _take(self, pipe: int, size: int, until: float) -> bytes:
        """`size` bytes of the answer.

        Raises:
            Unreadable: They do not come in time, or at all.
        """
        pieces = []
        while size > 0:
            ready, _, _ = select.select([pipe], [], [], max(until - time.monotonic(), 0))
            if not ready:
                raise Unreadable("timed_out", f"not read within {self._limits.seconds:g} seconds")
            piece = os.read(pipe, min(size, 1 << 20))
            if not piece:
                raise self._died()
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _died(self) -> Unreadable:
        assert self._worker is not None
        code = self._worker.wait()
        if code == -signal.SIGXCPU:
            limit = self._limits.seconds
            return Unreadable("timed_out", f"not read within {limit:g} seconds of a processor")
        if code == -signal.SIGKILL:
            return Unreadable("too_much_memory", "the system ended the process that read it")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Unreadable("crashed", f"the process that read it ended with {how}")


def _start() -> "subprocess.Popen[bytes]":
    """The reading process: no group, and nothing of our environment, is shared with it."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    fixed = {"LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "TZ": "UTC"}
    return subprocess.Popen(
        [sys.executable, "-P", *WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**kept, **fixed, "PYTHONPATH": str(PROJECT)},
        start_new_session=True,  # Ctrl-C is for us
    )


def _reading(answer: dict[str, Any]) -> Reading:
    if "reason" in answer:
        raise Unreadable(answer["reason"], answer["detail"])
    return Reading(
        answer["text"],
        tuple(Part(*part) for part in answer["parts"]),
        answer["metadata"],
        tuple(Fault(*fault) for fault in answer["faults"]),
    )
