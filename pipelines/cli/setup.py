"""Commands to begin with: doctor, init."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.app import AsJson, Debug, app


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
