"""Commands that take finished runs: ls, inspect, export, merge, push."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.app import AsJson, Debug, LedgerFile, Offline, RunArgument, Settings, app


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
    format: Annotated[str, typer.Option("--format", help="Exporter or format: jsonl, openai ...")],
    out: Annotated[Path, typer.Option("--out", help="The folder to write.")],
    settings: Settings = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder.")] = False,
    debug: Debug = False,
) -> None:
    """Export a finished run once more, in another format or place."""
    from pipelines.commands import export_run

    export_run(run, format, out, settings or [], overwrite=overwrite)


@app.command()
def merge(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Two or more run folders.")],
    out: Annotated[Path, typer.Option("--out", help="The new run folder.")],
    dedup: Annotated[
        list[str] | None,
        typer.Option(
            "--dedup", metavar="FIELD", help="Column to compare [the jobs' stages 'dedup']."
        ),
    ] = None,
    shards: Annotated[
        bool, typer.Option("--shards", help="Refuse runs that are not of the same job.")
    ] = False,
    allow_changes: Annotated[
        bool,
        typer.Option(
            "--allow-changes", help="Join shards of several versions of torch or processors."
        ),
    ] = False,
    settings: Settings = None,
    ledger: LedgerFile = None,
    offline: Offline = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder.")] = False,
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Join finished runs into one: no row twice, one manifest, one set of exports."""
    from pipelines.launch import Options
    from pipelines.merging import Merge
    from pipelines.publishing import merge_runs

    how = Merge(tuple(dedup or ()), shards, tuple(settings or ()), overwrite)
    options = Options(ledger, offline, allow_changes=allow_changes)
    merge_runs(runs, out, how, options, as_json=as_json)


@app.command()
def push(
    run: RunArgument,
    to: Annotated[str, typer.Option("--to", metavar="USER/NAME", help="The dataset repository.")],
    private: Annotated[
        bool, typer.Option("--private/--public", help="What a new repository is.")
    ] = True,
    revision: Annotated[str, typer.Option("--revision", help="A branch, made if missing.")] = "",
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Send a finished run's dataset, card and job to the Hugging Face Hub."""
    from pipelines.publishing import push_run
    from pipelines.pushing import Target

    push_run(run, Target(to, private, revision), as_json=as_json)
