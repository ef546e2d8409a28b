"""What the command `report` does."""

from pathlib import Path
from typing import cast, get_args

from pipelines.console import show, show_json
from pipelines.launch import find_run
from pipelines.reports.likes import Way
from pipelines.reports.run_report import NAME, write_report
from prompts.errors import unknown


def report_run(
    name: str, out: Path | None, ledger: Path | None, way: str, *, as_json: bool
) -> None:
    """Write the report of a run and say where it is.

    Args:
        name: The run.
        out: The file to write; left out, `report.html` in the run folder.
        ledger: Where vectors for the map may be; left out, beside the run folder.
        way: How the map is drawn, `pca` or `umap`.
        as_json: Show one JSON object.

    Raises:
        UsageError: No such run, it is not finished, or there is no such map.
    """
    if way not in get_args(Way):
        raise unknown("map", way, list(get_args(Way)), key="--map")
    folder = find_run(name)
    target = out or folder.path / NAME
    vectors = ledger or folder.path.parent / "ledger.sqlite"
    size = write_report(folder, target, vectors, cast("Way", way))
    if as_json:
        show_json({"report": str(target), "bytes": size})
    else:
        show(f"{target}: {size:,} bytes, open it in a browser")
