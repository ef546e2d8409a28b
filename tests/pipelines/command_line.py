"""The command line inside the test's own process: the real entry point without a second of start-up."""

import contextlib
import io
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipelines.cli import main


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


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    return stream.buffer.getvalue().decode("utf-8")  # type: ignore[attr-defined]


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
