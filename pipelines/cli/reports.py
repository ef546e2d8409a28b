"""The command `report`."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.app import AsJson, Debug, LedgerFile, RunArgument, app


@app.command()
def report(
    run: RunArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", dir_okay=False, help="The file to write [RUN/report.html]."),
    ] = None,
    ledger: LedgerFile = None,
    way: Annotated[
        str, typer.Option("--map", metavar="WAY", help="How texts are placed: pca or umap.")
    ] = "pca",
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Write a finished run's report: one HTML file that needs no network."""
    from pipelines.reports.command import report_run

    report_run(run, out, ledger, way, as_json=as_json)
