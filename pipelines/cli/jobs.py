"""Commands that take a job: run, resume, verify, preview, validate."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.app import (
    Actors,
    Address,
    AllowChanges,
    AsJson,
    BatchIn,
    BatchOut,
    Debug,
    EngineName,
    Gpus,
    JobArgument,
    KeepGoing,
    LedgerFile,
    NoProgress,
    Offline,
    Rows,
    RunArgument,
    Seed,
    Settings,
    Workers,
    app,
    overrides_of,
)


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
    keep_going: KeepGoing = False,
    allow_changes: AllowChanges = False,
    shard: Annotated[
        str, typer.Option("--shard", metavar="I/N", help="One of N shares of the source rows.")
    ] = "",
    batch_in: BatchIn = None,
    batch_out: BatchOut = None,
    engine: EngineName = "local",
    address: Address = "",
    actors: Actors = 0,
    gpus: Gpus = 0.0,
    as_json: AsJson = False,
    no_progress: NoProgress = False,
    debug: Debug = False,
) -> None:
    """Run a job, or go on with it where --out holds an unfinished run of the same job."""
    from pipelines.commands import run_job
    from pipelines.dry_run import show_dry_run
    from pipelines.job import load_job
    from pipelines.launch import Options, stay_offline
    from pipelines.ray.choosing import with_engine
    from pipelines.ray.cluster import Cluster
    from pipelines.sharding import Shard

    if offline:
        stay_offline()
    loaded = load_job(job, overrides=overrides_of(settings, rows, seed))
    if dry_run:
        show_dry_run(loaded, out=out, ledger=ledger, as_json=as_json)
    else:
        share = Shard.parse(shard) if shard else None
        options = Options(
            ledger,
            offline,
            workers,
            keep_going,
            share,
            batch_in,
            batch_out,
            allow_changes=allow_changes,
        )
        options = with_engine(options, engine, Cluster(address, actors, gpus, offline))
        run_job(loaded, options, out=out, as_json=as_json, hidden=no_progress)


@app.command()
def resume(
    run: RunArgument,
    ledger: LedgerFile = None,
    workers: Workers = 0,
    offline: Offline = False,
    keep_going: KeepGoing = False,
    allow_changes: AllowChanges = False,
    batch_in: BatchIn = None,
    batch_out: BatchOut = None,
    engine: EngineName = "local",
    address: Address = "",
    actors: Actors = 0,
    gpus: Gpus = 0.0,
    as_json: AsJson = False,
    no_progress: NoProgress = False,
    debug: Debug = False,
) -> None:
    """Go on with a run that was interrupted, with the job and prompts it began with."""
    from pipelines.commands import run_job
    from pipelines.launch import Options, find_run, reopen
    from pipelines.ray.choosing import with_engine
    from pipelines.ray.cluster import Cluster

    folder = find_run(run)
    options = Options(
        ledger, offline, workers, keep_going, None, batch_in, batch_out, allow_changes=allow_changes
    )
    options = with_engine(options, engine, Cluster(address, actors, gpus, offline))
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

    preview_job(load_job(job, overrides=overrides_of(settings, None, seed)), count, ledger, offline)


@app.command()
def validate(
    job: JobArgument, settings: Settings = None, as_json: AsJson = False, debug: Debug = False
) -> None:
    """Check a job without loading a model: keys, columns, prompts, models, sources."""
    from pipelines.commands import validate_job
    from pipelines.job import load_job

    validate_job(load_job(job, overrides=overrides_of(settings, None, None)), as_json=as_json)
