"""The command line inside the test's own process: the real entry point, started in no time."""

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipelines.cli import main

REPOSITORY = Path(__file__).resolve().parents[2]


class Ended(NamedTuple):
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


def textmill(folder: Path, *words: str) -> Ended:
    """What `python run_pipeline.py WORDS` does in `folder`."""
    out, err = _stream(), _stream()
    with (
        contextlib.chdir(folder),
        _arguments(words),
        _signals_put_back(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as exc:
            code = exc.code
    return Ended(int(code or 0), _text(out), _text(err))


def start(
    folder: Path,
    *words: str,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    **environment: str,
) -> subprocess.Popen[str]:
    """The command as a process of its own, without a terminal."""
    return subprocess.Popen(
        [sys.executable, str(REPOSITORY / "run_pipeline.py"), *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONUNBUFFERED": "", **environment},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        text=True,
    )


def assert_line(err: str, line: str) -> None:
    """`err` is that one line; "..." in it stands for anything."""
    assert err.startswith("error: ")
    assert err.endswith("\n")
    found = err.removeprefix("error: ").removesuffix("\n")
    assert "\n" not in found
    first, *others = line.split("...")
    assert found.startswith(first), found
    rest = found.removeprefix(first)
    for part in others:
        place = rest.find(part)
        assert place >= 0, found
        rest = rest[place + len(part) :]
    assert not rest or line.endswith("..."), found


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


@contextlib.contextmanager
def _arguments(words: tuple[str, ...]) -> Iterator[None]:
    before = sys.argv
    sys.argv = ["run_pipeline.py", *words]
    try:
        yield
    finally:
        sys.argv = before


@contextlib.contextmanager
def _signals_put_back() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
