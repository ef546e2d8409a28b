"""What the command `report` does."""

from pathlib import Path

from pipelines.console import show, show_json
from pipelines.launch import find_run
from pipelines.reports.run_report import NAME, write_report


def report_run(name: str, out: Path | None, ledger: Path | None, *, as_json: bool) -> None:
    """Write the report of a run and say where it is.

    Args:
        name: The run.
        out: The file to write; left out, `report.html` in the run folder.
        ledger: Where vectors for the map may be; left out, beside the run folder.
        as_json: Show one JSON object.

    Raises:
        UsageError: No such run, or it is not finished.
    """
    folder = find_run(name)
    target = out or folder.path / NAME
    size = write_report(folder, target, ledger or folder.path.parent / "ledger.sqlite")
    if as_json:
        show_json({"report": str(target), "bytes": size})
    else:
        show(f"{target}: {size:,} bytes, open it in a browser")
