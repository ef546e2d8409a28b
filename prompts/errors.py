"""The one exception tree of the project, in its lowest package so that every package can raise it.

    TextmillError             1   anything we know how to explain
    ├── UsageError            2   the job, a prompt file or the command line is wrong
    ├── SourceError           3   no seed row can be read
    ├── ModelError            4   a model or server cannot be used
    ├── QuotaError            5   finished below the quota or over the reject limit
    ├── CorruptRunError       6   a run folder is damaged
    ├── RunLockedError        7   another process holds the run
    ├── ResourceError         8   disk or memory is exhausted
    ├── ReproductionError     9   a run made again is not the same
    └── WaitingError         10   a run waits for answers to calls that it has written to a file

The number is the exit code. An error prints as one line:

    error: job.yaml:7: stages.0.kind: unknown stage 'genrate'; fix: write 'generate'
"""

from pathlib import Path
from typing import ClassVar


def shorten(text: str, most: int = 60) -> str:
    """`text`, cut to what fits into an error line: `most` characters, the dots among them."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


class TextmillError(Exception):
    """An error that is the user's to mend: what was found, where, and how to mend it.

    Args:
        problem: What was found, in one clause.
        fix: What to do about it; left out of the line when empty.
        file: The file at fault, shown as given.
        line: The line in that file, counted from 1.
        key: The dotted key at fault, such as `stages.0.kind`.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        problem: str,
        *,
        fix: str = "",
        file: str | Path | None = None,
        line: int | None = None,
        key: str = "",
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix
        self.file = file
        self.line = line
        self.key = key

    def __str__(self) -> str:
        place = "" if self.file is None else f"{self.file}:"
        if place and self.line is not None:
            place += f"{self.line}:"
        parts = [place, f"{self.key}:" if self.key else "", self.problem]
        text = " ".join(part for part in parts if part)
        if self.fix:
            text += f"; fix: {self.fix}"
        return " ".join(text.split())


class UsageError(TextmillError):
    """The job, a prompt file or the command line is wrong."""

    exit_code = 2


class SourceError(TextmillError):
    """No seed row can be read from a source."""

    exit_code = 3


class ModelError(TextmillError):
    """A model or a server cannot be loaded, reached or used."""

    exit_code = 4


class QuotaError(TextmillError):
    """The run finished below its quota or over its reject limit; what it made is kept."""

    exit_code = 5


class CorruptRunError(TextmillError):
    """A run folder does not hold what its own records say."""

    exit_code = 6


class RunLockedError(TextmillError):
    """Another process is writing this run folder."""

    exit_code = 7


class ResourceError(TextmillError):
    """Disk space or memory is exhausted."""

    exit_code = 8


class ReproductionError(TextmillError):
    """A run that was made once more did not give the same bytes."""

    exit_code = 9


class WaitingError(TextmillError):
    """A run has written its next calls to a file and goes on with their answers."""

    exit_code = 10


def nearest(word: str, known: list[str]) -> str:
    """The known word most like `word`, or an empty string when none is close."""
    from difflib import get_close_matches

    matches = get_close_matches(word, known, n=1, cutoff=0.5)
    return matches[0] if matches else ""


def unknown(what: str, word: str, known: list[str], *, key: str = "") -> UsageError:
    """A `UsageError` that names the nearest known word, or lists them all."""
    guess = nearest(word, known)
    listing = ", ".join(sorted(known)) or "none"
    fix = f"write '{guess}' (known: {listing})" if guess else f"use one of: {listing}"
    return UsageError(f"unknown {what} '{word}'", fix=fix, key=key)
