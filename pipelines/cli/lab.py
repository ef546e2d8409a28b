"""The command `compare`."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.app import (
    AsJson,
    Debug,
    JobArgument,
    LedgerFile,
    NoProgress,
    Offline,
    Seed,
    Settings,
    Workers,
    app,
    overrides_of,
)


@app.command()
def compare(
    job: JobArgument,
    stage: Annotated[str, typer.Option("--stage", metavar="NAME", help="The stage to vary.")],
    variants: Annotated[
        str, typer.Option("--variants", metavar="A,B", help="Prompts, @variants, settings.")
    ] = "",
    set_variant: Annotated[
        list[str] | None,
        typer.Option(
            "--set-variant",
            metavar="NAME=KEY=VALUE",
            help="A variant: --set-variant hot=decoding.temperature=1.2",
        ),
    ] = None,
    models: Annotated[
        str, typer.Option("--models", metavar="A,B", help="Models of the job to ask in turn.")
    ] = "",
    rows: Annotated[
        int, typer.Option("--rows", min=1, max=100_000, help="Rows that reach the stage.")
    ] = 20,
    repeats: Annotated[
        int, typer.Option("--repeats", min=1, max=1_000, help="Times for each row, with new seeds.")
    ] = 1,
    similarity: Annotated[
        bool, typer.Option("--similarity", help="Measure likeness to the row by the embedder.")
    ] = False,
    count: Annotated[int, typer.Option("-n", min=0, help="Rows to show the texts of.")] = 3,
    settings: Settings = None,
    seed: Seed = None,
    ledger: LedgerFile = None,
    workers: Workers = 0,
    offline: Offline = False,
    html: Annotated[
        Path | None, typer.Option("--html", dir_okay=False, help="Write a page of it all.")
    ] = None,
    as_json: AsJson = False,
    no_progress: NoProgress = False,
    debug: Debug = False,
) -> None:
    """Try variants of a stage on the same rows and say what is shown."""
    from pipelines.job import load_job
    from pipelines.lab.command import compare_job, named_settings
    from pipelines.lab.compare import Plan
    from pipelines.launch import Options

    plan = Plan(
        stage=stage,
        variants=_listed(variants),
        settings=named_settings(set_variant or []),
        models=_listed(models),
        rows=rows,
        repeats=repeats,
        similarity=similarity,
    )
    compare_job(
        load_job(job, overrides=overrides_of(settings, None, seed)),
        plan,
        Options(ledger, offline, workers),
        shown=count,
        html=html,
        as_json=as_json,
        hidden=no_progress,
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in text.split(","))))
