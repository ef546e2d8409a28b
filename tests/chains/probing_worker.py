"""A reading process whose RTF reader does what the file says: all that a broken parser could do."""

import ctypes
import os
import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from chains.loading import SUFFIXES, Limits, Reading, worker


def recurse(depth: int) -> int:
    return recurse(depth + 1) + 1


def spin() -> None:
    while True:
        pass


def fail() -> None:
    raise ValueError("two\nlines")


TASKS = {
    "sleep": lambda: time.sleep(60),
    "spin": spin,
    "hoard": lambda: bytearray(4 << 30),
    "segfault": lambda: ctypes.string_at(0),
    "exit": lambda: os._exit(3),
    "connect": lambda: socket.socket().connect(("127.0.0.1", 9)),
    "resolve": lambda: socket.getaddrinfo("localhost", 80),
    "run": lambda: subprocess.run(["true"], check=True),
    "write": lambda: Path("never-written").touch(),
    "recurse": lambda: recurse(0),
    "raise": fail,
    "print": lambda: print("not an answer", flush=True),  # noqa: T201
}


def obey(data: bytes, limits: Limits) -> Reading:
    task = data.decode()
    if task == "environment":
        return Reading("PATH only" if "SECRET" not in os.environ else "leaked")
    TASKS[task]()
    return Reading("printed")


if __name__ == "__main__":
    SUFFIXES[".rtf"] = replace(SUFFIXES[".rtf"], read=obey)
    worker.main()
