"""The command line; commands import what they need when called, so that `--help` is instant.

python run_pipeline.py run pipelines/recipes/demo.yaml --rows 30
"""

import errno
import os
import sys
from io import TextIOWrapper
from typing import Any

import typer

from pipelines.cli import evaluation, jobs, lab, prompts, reports, runs, setup, tuning
from pipelines.cli.app import app
from prompts.errors import ResourceError, TextmillError, UsageError, nearest

# What a path can be at fault for; a full or read-only disk is told apart where files are written.
_PATH_ERRORS = {
    errno.EACCES, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT,
    errno.ENOTDIR,
}  # fmt: skip

# Typer carries a copy of click of its own; the base of all its errors is reached through this one.
ClickException: type[Exception] = typer.BadParameter.__mro__[2]


def main() -> None:
    """Run a command; every error is one line on stderr and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what the terminal's encoding lacks is escaped
            stream.reconfigure(errors="backslashreplace")
    try:
        # By default the name is guessed from how Python was started.
        name = "python run_pipeline.py" if sys.argv[0].endswith(".py") else "textmill"
        code = app(standalone_mode=False, prog_name=name)
        sys.stdout.flush()  # here, where a reader that went away can be caught
    except BrokenPipeError:
        from pipelines.console import leave_quietly

        leave_quietly()
    except typer.Abort:
        sys.exit(130)
    except Exception as exc:
        error = _explained(exc)
        if "--debug" in sys.argv:
            import traceback

            traceback.print_exception(exc)
        from pipelines.console import show_error

        show_error(error)
        sys.exit(error.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


def _explained(exc: Exception) -> TextmillError:
    """Any error as one of ours."""
    if isinstance(exc, TextmillError):
        return exc
    if isinstance(exc, ClickException):
        return _from_click(exc)
    if isinstance(exc, MemoryError):
        return ResourceError("out of memory", fix="use a smaller block or model")
    if isinstance(exc, OSError) and exc.errno in _PATH_ERRORS and exc.filename:
        path = os.fsdecode(exc.filename)
        return UsageError((exc.strerror or "").lower(), fix="give another path", file=_cut(path))
    problem = f"this should not have happened: {type(exc).__name__}: {exc}"
    return TextmillError(problem, fix="run it again with --debug and report what it prints")


def _cut(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}..."


def _from_click(exc: Any) -> UsageError:
    """Typer's findings in our words, with the nearest option or command named."""
    context = getattr(exc, "ctx", None)
    command = context.command_path if context is not None else "textmill"
    message = _cut(str(exc.format_message()).rstrip("."))
    if message.startswith("No such option"):
        known = [o for p in context.command.params for o in p.opts] if context else []
        return _no_such("option", exc.option_name, known, command)
    if not message:  # the help was shown instead
        return UsageError("a command is missing", fix=f"write one of these behind '{command}'")
    if message.startswith("No such command"):
        known = list(context.command.commands) if context else []
        return _no_such("command", message.split("'")[1], known, command)
    return UsageError(message[0].lower() + message[1:], fix=f"see {command} --help")


def _no_such(what: str, word: str, known: list[str], command: str) -> UsageError:
    guess = nearest(word, known)
    fix = f"write '{guess}'" if guess else f"see {command} --help"
    return UsageError(f"no such {what}: {word}", fix=fix)


__all__ = [
    "app",
    "evaluation",
    "jobs",
    "lab",
    "main",
    "prompts",
    "reports",
    "runs",
    "setup",
    "tuning",
]
