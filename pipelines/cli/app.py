"""The Typer application and the options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

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
KeepGoing = Annotated[
    bool,
    typer.Option("--keep-going", help="Only warn where max_reject_rate is exceeded."),
]
AllowChanges = Annotated[
    bool,
    typer.Option(
        "--allow-changes", help="Go on with another torch or processor than the run began with."
    ),
]
BatchIn = Annotated[
    Path | None,
    typer.Option("--batch-in", metavar="FILE", help="Answers to a file that --batch-out wrote."),
]
BatchOut = Annotated[
    Path | None,
    typer.Option("--batch-out", metavar="FILE", help="Write calls to servers there, and end."),
]
EngineName = Annotated[
    str, typer.Option("--engine", metavar="local|ray", help="Where blocks of rows are made.")
]
Address = Annotated[
    str, typer.Option("--address", metavar="HOST:PORT", help="A Ray cluster's head, or 'auto'.")
]
Actors = Annotated[
    int, typer.Option("--actors", min=0, metavar="N", help="Ray actors; 0: one a core of this one.")
]
Gpus = Annotated[
    float, typer.Option("--gpus", min=0, metavar="SHARE", help="GPUs a Ray actor; also 0.5.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="Show no progress bar.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.", hidden=True)]


def overrides_of(settings: list[str] | None, rows: int | None, seed: int | None) -> list[str]:
    """The settings of `--set`, `--rows` and `--seed` as one list."""
    overrides = list(settings or [])
    if rows is not None:
        overrides.append(f"rows={rows}")
    if seed is not None:
        overrides.append(f"seed={seed}")
    return overrides
