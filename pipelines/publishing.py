"""The commands that hand finished runs on: `merge` and `push`. Each works and shows the result."""

from dataclasses import asdict
from pathlib import Path

from pipelines.console import funnel_lines, say, show, show_json
from pipelines.launch import Options, find_run
from pipelines.merging import Merge, merge
from pipelines.pushing import Target, files_to_push, push


def merge_runs(
    names: list[str], target: Path, how: Merge, options: Options, *, as_json: bool
) -> None:
    """Join finished runs into a new one, and show what came of it.

    Raises:
        UsageError: A run is missing or not finished, or they do not fit together.
    """
    folder = merge([find_run(name) for name in names], target, how, options)
    manifest = folder.manifest()
    if as_json:
        kept = {key: manifest[key] for key in ("rows", "stages", "exports")}
        show_json({"run": str(folder.path), **kept})
        return
    show("\n".join(funnel_lines(manifest["stages"])))
    show(f"\nrows        {manifest['rows']} of {len(names)} runs")
    show(f"run         {folder.path}")
    for written in manifest["exports"]:
        show(f"{written['kind']:<10}  {folder.path / written['path']}")


def push_run(name: str, target: Target, *, as_json: bool) -> None:
    """Send a run's dataset, card and job to the Hub, and show what was sent.

    Raises:
        UsageError: The run is missing, not finished, or has no dataset.
        ModelError: There is no token, or the Hub cannot be reached, or it refuses.
    """
    folder = find_run(name)
    files = files_to_push(folder)
    pushed = push(files, target, lambda path, size: say(f"sending {path}, {size:,} bytes"))
    if as_json:
        show_json({"run": str(folder.path), **asdict(pushed)})
        return
    show(f"{pushed.url}: {len(pushed.sent)} files sent, {pushed.unchanged} were there")
    if pushed.deleted:
        show(f"deleted, since the dataset no longer has them: {', '.join(pushed.deleted)}")
