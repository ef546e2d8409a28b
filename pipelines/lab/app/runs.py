"""Finished and unfinished runs for the page: which there are, their funnels, their rows.

list_runs(Path("outputs"))[0]        # {"run": "demo-1", "rows": 24, "stop": "quota"}
run_rows(Path("outputs"), "demo-1", rejected=True, reason="too_short", start=0)["rows"]
"""

import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.folder import RunFolder, open_run
from pipelines.lab.results import cut
from pipelines.rows import JSON
from prompts.errors import CorruptRunError, UsageError

PAGE = 25
"""Rows that are sent at once."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,150}")


class NotFound(UsageError):
    """There is no such thing; the page is answered with 404."""


def list_runs(folder: Path) -> list[dict[str, JSON]]:
    """The runs in a folder, the newest first."""
    files = sorted(folder.glob("*/job.yaml"), key=lambda file: -file.stat().st_mtime)
    runs = [RunFolder(file.parent) for file in files]
    return [_record(run) for run in runs if run.begun()]


def find(folder: Path, name: str) -> RunFolder:
    """The run of that name.

    Raises:
        NotFound: There is none.
    """
    try:
        if not _NAME.fullmatch(name):
            raise UsageError("not a run's name", fix="pick one of the list")
        return open_run(folder / name)
    except UsageError as exc:
        raise NotFound("no such run", fix="pick one of the list") from exc


def describe(folder: Path, name: str) -> dict[str, JSON]:
    """A run's funnel and how it ended.

    Raises:
        NotFound: There is none of that name.
        CorruptRunError: Its record is damaged.
    """
    run = find(folder, name)
    return {**_record(run), "stages": run.last_counts()}


def run_rows(
    folder: Path, name: str, *, rejected: bool, reason: str, text: str, start: int
) -> dict[str, JSON]:
    """A page of a run's rows, long texts cut.

    Args:
        folder: Where the runs are.
        name: The run.
        rejected: The rejected rows instead of the accepted ones.
        reason: Only those that were rejected for it; empty for all.
        text: Only those in which it stands, whatever the case; empty for all.
        start: Rows to pass over.

    Raises:
        NotFound: There is no such run.
        CorruptRunError: Its rows are damaged.
    """
    run = find(folder, name)
    records = run.rejected() if rejected else (row.as_json() for row in run.rows())
    wanted = text.casefold()
    chosen = (
        record
        for record in records
        if (not reason or record["reason"] == reason)
        and (not wanted or _holds(record["data"], wanted))
    )
    found = list(itertools.islice(chosen, start, start + PAGE + 1))
    return {"rows": [shortened(record) for record in found[:PAGE]], "more": len(found) > PAGE}


def shortened(value: Any) -> Any:
    """The same JSON with every long text cut, and what cannot be sent as UTF-8 replaced."""
    if isinstance(value, str):
        return cut(value).encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {key: shortened(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        kept = [shortened(item) for item in value[:200]]
        return kept + ([f"[... {len(value) - 200} more]"] if len(value) > 200 else [])
    return value


def _holds(value: Any, wanted: str) -> bool:
    if isinstance(value, str):
        return wanted in value.casefold()
    if isinstance(value, Mapping):
        return any(_holds(item, wanted) for item in value.values())
    return isinstance(value, list) and any(_holds(item, wanted) for item in value)


def _record(run: RunFolder) -> dict[str, JSON]:
    record: dict[str, JSON] = {"run": run.path.name, "rows": 0, "stop": "unfinished"}
    try:
        counts = run.last_counts()
        record["rows"] = counts[-1]["out"] if counts else 0
        if run.manifest_file.exists():
            record["stop"] = run.manifest()["stop"]
    except (CorruptRunError, KeyError, TypeError):
        record["stop"] = "damaged"
    return record
