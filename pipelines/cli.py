"""The command line; commands import what they need when called, so that `--help` is instant.

python run_pipeline.py run pipelines/recipes/demo.yaml --rows 30
"""

import errno
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any

import typer

from prompts.errors import ResourceError, TextmillError, UsageError, nearest

# What a path can be at fault for; a full or read-only disk is told apart where files are written.
_PATH_ERRORS = {
    errno.EACCES, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT,
    errno.ENOTDIR,
}  # fmt: skip

# Typer carries a copy of click of its own; the base of all its errors is reached through this one.
ClickException: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="textmill",
    help="Synthetic text datasets from prompts, documents and a language model of your own.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
prompts_app = typer.Typer(no_args_is_help=True, help="Look at prompts.")
app.add_typer(prompts_app, name="prompts")

JobArgument = Annotated[Path, typer.Argument(metavar="JOB", help="A job's YAML file.")]
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run folder's path or name.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Replace a setting: --set stages.0.attempts=5"),
]
Rows = Annotated[int | None, typer.Option("--rows", min=1, help="Accepted rows wanted.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, help="The job's seed.")]
LedgerFile = Annotated[
    Path | None,
    typer.Option(
        "--ledger", dir_okay=False, help="Where calls are remembered [run folder's sibling]."
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        "--workers", min=0, metavar="N", help="Processes that answer model calls; 0: this one."
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="Never ask the Hub for anything.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="Show no progress bar.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.", hidden=True)]


@app.command()
def run(
    job: JobArgument,
    settings: Settings = None,
    rows: Rows = None,
    seed: Seed = None,
    out: Annotated[Path | None, typer.Option("--out", help="The run folder itself.")] = None,
    ledger: LedgerFile = None,
    workers: Workers = 0,
    offline: Offline = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show prompts, calls and tokens; load no model.")
    ] = False,
    as_json: AsJson = False,
    no_progress: NoProgress = False,
    debug: Debug = False,
) -> None:
    """Run a job, or go on with it where --out holds an unfinished run of the same job."""
    from pipelines.commands import run_job
    from pipelines.dry_run import show_dry_run
    from pipelines.job import load_job
    from pipelines.launch import Options

    loaded = load_job(job, overrides=_overrides(settings, rows, seed))
    if dry_run:
        show_dry_run(loaded, out=out, ledger=ledger, as_json=as_json)
    else:
        options = Options(ledger, offline, workers)
        run_job(loaded, options, out=out, as_json=as_json, hidden=no_progress)


@app.command()
def resume(
    run: RunArgument,
    ledger: LedgerFile = None,
    workers: Workers = 0,
    offline: Offline = False,
    as_json: AsJson = False,
    no_progress: NoProgress = False,
    debug: Debug = False,
) -> None:
    """Go on with a run that was interrupted, with the job and prompts it began with."""
    from pipelines.commands import run_job
    from pipelines.launch import Options, find_run, reopen

    folder = find_run(run)
    options = Options(ledger, offline, workers)
    run_job(reopen(folder), options, out=folder.path, as_json=as_json, hidden=no_progress)


@app.command()
def verify(
    run: RunArgument,
    calls: Annotated[
        int, typer.Option("--calls", min=1, metavar="N", help="Model calls to pay once more.")
    ] = 20,
    whole: Annotated[bool, typer.Option("--all", help="Make the whole run once more.")] = False,
    ledger: LedgerFile = None,
    workers: Workers = 0,
    offline: Offline = False,
    as_json: AsJson = False,
    no_progress: NoProgress = False,
    debug: Debug = False,
) -> None:
    """Make a sample of a finished run, or all of it, once more and compare the bytes."""
    from pipelines.launch import Options
    from pipelines.verifying import verify_run

    options = Options(ledger, offline, workers)
    count = None if whole else calls
    verify_run(run, options, calls=count, as_json=as_json, hidden=no_progress)


@app.command()
def preview(
    job: JobArgument,
    count: Annotated[int, typer.Option("-n", min=1, help="Seed rows to show.")] = 3,
    settings: Settings = None,
    seed: Seed = None,
    ledger: LedgerFile = None,
    offline: Offline = False,
    debug: Debug = False,
) -> None:
    """Take a few seed rows through the stages and show prompts, replies and verdicts."""
    from pipelines.job import load_job
    from pipelines.preview import preview_job

    preview_job(load_job(job, overrides=_overrides(settings, None, seed)), count, ledger, offline)


@app.command()
def validate(
    job: JobArgument, settings: Settings = None, as_json: AsJson = False, debug: Debug = False
) -> None:
    """Check a job without loading a model: keys, columns, prompts, models, sources."""
    from pipelines.commands import validate_job
    from pipelines.job import load_job

    validate_job(load_job(job, overrides=_overrides(settings, None, None)), as_json=as_json)


@app.command("ls")
def list_runs(
    folder: Annotated[
        Path | None, typer.Argument(metavar="[FOLDER]", help="Where the runs are [outputs].")
    ] = None,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """List runs: rows, how they ended, their folder."""
    from pipelines.commands import show_runs

    show_runs(folder, as_json=as_json)


@app.command()
def inspect(
    run: RunArgument,
    row: Annotated[str, typer.Argument(metavar="[ROW]", help="A row's id or order.")] = "",
    rejected: Annotated[bool, typer.Option("--rejected", help="Show rejected rows.")] = False,
    reason: Annotated[str, typer.Option("--reason", help="Only of this reason.")] = "",
    count: Annotated[int, typer.Option("-n", min=1, help="Rows to show.")] = 5,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show a run's funnel and rows, or all that is known about one row."""
    from pipelines.commands import inspect_run

    inspect_run(
        run, row, rejected=rejected or bool(reason), reason=reason, count=count, as_json=as_json
    )


@app.command()
def export(
    run: RunArgument,
    format: Annotated[str, typer.Option("--format", help="An exporter: jsonl, hf_dataset.")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write.")],
    settings: Settings = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder.")] = False,
    debug: Debug = False,
) -> None:
    """Export a finished run once more, in another format or place."""
    from pipelines.commands import export_run

    export_run(run, format, out, settings or [], overwrite=overwrite)


@app.command()
def doctor(as_json: AsJson = False, debug: Debug = False) -> None:
    """Check the installation: packages, models, disk, memory; each finding with its mend."""
    from pipelines.doctor import examine

    examine(as_json=as_json)


@app.command()
def init(
    name: Annotated[str, typer.Argument(help="Name of the new job.")],
    folder: Annotated[Path, typer.Option("--folder", help="Where to write it.")] = Path(),
    debug: Debug = False,
) -> None:
    """Write a small job with its prompt and seed rows, ready to run and to change."""
    from pipelines.starter import write_starter

    write_starter(name, folder)


@prompts_app.command("list")
def list_prompts(as_json: AsJson = False, debug: Debug = False) -> None:
    """List the library's prompts."""
    from pipelines.commands import show_prompts

    show_prompts(as_json=as_json)


@prompts_app.command("show")
def show_prompt(
    name: Annotated[str, typer.Argument(help="A prompt's name or file.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Show one prompt: variables, messages, examples, output, hash."""
    from pipelines.commands import show_one_prompt

    show_one_prompt(name, as_json=as_json)


def _overrides(settings: list[str] | None, rows: int | None, seed: int | None) -> list[str]:
    overrides = list(settings or [])
    if rows is not None:
        overrides.append(f"rows={rows}")
    if seed is not None:
        overrides.append(f"seed={seed}")
    return overrides


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
