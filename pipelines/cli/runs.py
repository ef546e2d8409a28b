"""Commands that take finished runs: ls, inspect, export."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.app import AsJson, Debug, RunArgument, Settings, app


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
