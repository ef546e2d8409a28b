"""Commands that work on a job until it is better: tune, lab."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.cli.app import (
    AsJson,
    Debug,
    JobArgument,
    LedgerFile,
    Offline,
    Settings,
    app,
    overrides_of,
)


@app.command()
def tune(
    job: JobArgument,
    space: Annotated[
        Path | None,
        typer.Option("--space", dir_okay=False, help="What may change [what samples]."),
    ] = None,
    trials: Annotated[int | None, typer.Option("--trials", min=1, help="Choices tried.")] = None,
    rows: Annotated[int | None, typer.Option("--rows", min=1, help="Source rows a trial.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of the search.")] = None,
    method: Annotated[str | None, typer.Option("--method", help="tpe, random or grid.")] = None,
    study: Annotated[
        Path | None,
        typer.Option("--study", dir_okay=False, help="Where trials are remembered [outputs]."),
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option("--apply", dir_okay=False, help="Write the job with the winner put in."),
    ] = None,
    pick: Annotated[
        int | None, typer.Option("--pick", min=1, metavar="TRIAL", help="Another winner.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", dir_okay=False, help="Draw the trials as an SVG.")
    ] = None,
    settings: Settings = None,
    ledger: LedgerFile = None,
    offline: Offline = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Search for the settings with which a job does best."""
    from pipelines.job import load_job
    from pipelines.lab.tuning_command import Wanted, tune_job
    from pipelines.lab.tuning_space import read_space
    from pipelines.launch import Options

    given: dict[str, Any] = {"trials": trials, "rows": rows, "seed": seed, "method": method}
    changes = {key: value for key, value in given.items() if value is not None}
    loaded = load_job(job, overrides=overrides_of(settings, None, None))
    wanted = Wanted(study, apply, plot, pick, as_json)
    tune_job(loaded, read_space(space, changes), wanted, Options(ledger, offline))


@app.command()
def lab(
    job: Annotated[
        Path | None, typer.Argument(metavar="[JOB]", help="A job's YAML file; without, only runs.")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="Port; 0 takes any free one.")
    ] = 8765,
    token: Annotated[
        str, typer.Option("--token", help="What lets a browser in [random].", show_default=False)
    ] = "",
    ratings: Annotated[
        Path | None,
        typer.Option("--ratings", dir_okay=False, help="Where ratings are kept [outputs]."),
    ] = None,
    runs: Annotated[
        Path | None, typer.Option("--runs", file_okay=False, help="Where the runs are [outputs].")
    ] = None,
    settings: Settings = None,
    ledger: LedgerFile = None,
    offline: Offline = False,
    debug: Debug = False,
) -> None:
    """Work on a job's prompts in the browser: variants side by side, ratings, runs."""
    from pipelines.job import load_job
    from pipelines.lab.app.serving import Door, open_lab, serve_lab

    loaded = load_job(job, overrides=overrides_of(settings, None, None)) if job else None
    door = Door(host, port, token)
    server, worker = open_lab(
        loaded, door, ledger=ledger, ratings=ratings, runs=runs, offline=offline
    )
    serve_lab(server, worker)
