"""The process that reads untrusted files: `python -m chains.loading.worker`, begun by the sandbox.

    stdin:   size, {"suffix": ".pdf", "limits": {...}}; size, the file's bytes
    stdout:  size, {"text": "...", "parts": [[0, 812, "page", "1"]], "metadata": {}, "faults": []}
             size, {"reason": "encrypted", "detail": "it needs a password"}

It opens no connection, starts no program and writes no file: an audit hook refuses all three, and
limits of the system end it where it takes too much memory or time.
"""

import json
import logging
import os
import resource
import sys
from typing import IO, Any, Never

from chains.loading import SUFFIXES
from chains.loading.base import Limits, Reading, Unreadable
from chains.loading.joining import whole_characters
from chains.loading.sandbox import SIZE

_REFUSED = frozenset(
    """
    os.exec os.fork os.forkpty os.link os.mkdir os.posix_spawn os.remove os.rename os.rmdir
    os.spawn os.symlink os.system os.truncate pty.spawn shutil.rmtree socket.bind socket.connect
    socket.getaddrinfo socket.gethostbyname socket.sendto subprocess.Popen
""".split()  # noqa: SIM905 - a table of names
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def main() -> None:
    """Answer requests until stdin ends."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    logging.disable(logging.CRITICAL)
    _limit_for_good()
    sys.addaudithook(_refuse)
    _answer(answers, {})
    while head := _take(requests):
        request = json.loads(head)
        limits = Limits(**request["limits"])
        data = _take(requests)
        _limit(limits)
        _answer(answers, _read(data, request["suffix"], limits))


def _read(data: bytes, suffix: str, limits: Limits) -> dict[str, Any]:
    try:
        return _as_json(SUFFIXES[suffix].read(data, limits))
    except Unreadable as bad:
        return {"reason": bad.reason, "detail": bad.detail}
    except MemoryError:
        detail = f"its reader needs more than {limits.memory >> 20} MiB"
        return {"reason": "too_much_memory", "detail": detail, "last": True}
    except RecursionError:
        return {"reason": "malformed", "detail": "nested too deeply", "last": True}
    except Exception as exc:
        said = " ".join(str(exc).split())[:200]
        return {"reason": "malformed", "detail": f"{type(exc).__name__}: {said}"}


def _as_json(reading: Reading) -> dict[str, Any]:
    parts = [[part.start, part.end, part.kind, part.label] for part in reading.parts]
    faults = [[fault.place, fault.reason, fault.detail] for fault in reading.faults]
    said = {key: _plain(value) for key, value in reading.metadata.items()}
    return {"text": reading.text, "parts": parts, "metadata": said, "faults": faults}


def _plain(value: Any) -> Any:
    """Text on one line of whole characters; anything else as it is."""
    return " ".join(whole_characters(value).split()) if isinstance(value, str) else value


def _limit_for_good() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def _limit(limits: Limits) -> None:
    """Memory for the process, time for the next file: the time used up so far is added to it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime + limits.seconds) + 1
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory, hard))


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _REFUSED:
        _forbid(event)
    if event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING:
        _forbid(f"{event} for writing")


def _forbid(what: str) -> Never:
    raise PermissionError(f"the reader of a file may not use {what}")


def _take(pipe: IO[bytes]) -> bytes:
    head = pipe.read(SIZE.size)
    return pipe.read(SIZE.unpack(head)[0]) if len(head) == SIZE.size else b""


def _answer(pipe: IO[bytes], answer: dict[str, Any]) -> None:
    data = json.dumps(answer).encode("ascii")  # escapes lone surrogates too
    pipe.write(SIZE.pack(len(data)))
    pipe.write(data)
    pipe.flush()


if __name__ == "__main__":
    main()
