"""From a job to a finished run folder: lock, run, manifest, exports; and the way back in.

finished = launch(loaded, Path("outputs/demo-1"), options)
finished.run.accepted, finished.exports
"""

import os
import secrets
import shlex
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.beginnings import ENVIRONMENT, allowed_changes, check_environment, note_changes
from pipelines.calling import Caller, Meter
from pipelines.cells import cell_report
from pipelines.exporters import Finished
from pipelines.exporters.base import Map, Spread
from pipelines.exporters.placing import place
from pipelines.exporters.spreading import write_export
from pipelines.folder import RunFolder, open_run
from pipelines.job import PROJECT, LoadedJob, build_job, job_of
from pipelines.ledger import Ledger
from pipelines.manifest import dump, environment, make_manifest
from pipelines.rows import JSON, Row
from pipelines.runner import Engine, Run, Watch, run
from pipelines.sharding import SHARD, Shard, agreed_shard, check_shardable
from pipelines.source_reports import source_reports
from pipelines.sources.fetched import OFFLINE as WEB_OFFLINE
from pipelines.stages.base import Stage
from pipelines.timing import Timed
from prompts.errors import CorruptRunError, ModelError, TextmillError, UsageError
from prompts.registry import dotted
from prompts.strict_yaml import read_yaml_file


@dataclass(frozen=True, slots=True)
class Options:
    """How to run, as far as it does not change what is made.

    Attributes:
        ledger: The ledger's file; left out, `ledger.sqlite` beside the run folder.
        offline: Never look for a model or dataset on the Hub.
        workers: Processes that answer the calls of each local model; 0 for this one alone.
        keep_going: Where more rows were rejected than the job allows, only say so.
        shard: The share of the source rows that is taken; None for all of them.
        batch_in, batch_out: Files of answers and of calls; see `pipelines.batch_files`.
        engine: What makes the blocks; None for this process.
        tasks: Opens other processes that make the exports' files; None for this process.
        allow_changes: Go on with another torch or class of processor than the run began with.
        watch: Told of progress and asked whether to stop.
    """

    ledger: Path | None = None
    offline: bool = False
    workers: int = 0
    keep_going: bool = False
    shard: Shard | None = None
    batch_in: Path | None = None
    batch_out: Path | None = None
    engine: Engine | None = None
    tasks: Callable[[], AbstractContextManager[Map]] | None = None
    allow_changes: bool = False
    watch: Watch = field(default_factory=Watch)


@dataclass(frozen=True, slots=True)
class Launched:
    """What a launch came to.

    Attributes:
        folder: The run folder.
        run: Stop reason, counts, accepted rows.
        exports: What each export wrote and where, relative to the run folder.
        cells: Those of the job's quota; see `pipelines.cells.cell_report`.
        meter: Calls, ledger hits and tokens of this process.
        usage: Tokens and cost of each server's model; see `pipelines.usage`.
        shard: Which share of the job it is; None for all of it.
    """

    folder: Path
    run: Run
    exports: list[dict[str, Any]]
    meter: Meter
    cells: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, JSON] = field(default_factory=dict)
    shard: Shard | None = None


def outputs_folder() -> Path:
    """Where runs are made when no folder is given: `outputs` of the checkout."""
    return PROJECT / "outputs"


def default_ledger() -> Path:
    """The ledger of what is no run: that of the outputs folder, or a temporary one without it."""
    folder = outputs_folder()
    return (folder if folder.is_dir() else Path(tempfile.gettempdir())) / "ledger.sqlite"


def new_run_name(name: str) -> str:
    """A folder name for a new run: job name, UTC time, and a random suffix against collisions."""
    return f"{name}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def find_run(text: str) -> RunFolder:
    """The run at a path, or of that name under the outputs folder.

    Raises:
        UsageError: There is none.
    """
    path = Path(text)
    if not path.exists() and path.name == text:
        path = outputs_folder() / text
    return open_run(path)


def reopen(folder: RunFolder) -> LoadedJob:
    """The job of a run, with the prompts it began with; its paths start where they first did.

    Raises:
        CorruptRunError: Its file is damaged.
        UsageError: It names a plugin that is not there.
    """
    try:
        document = read_yaml_file(folder.job_file)
    except UsageError as exc:
        fix = "put the file back from a copy, or begin a new run"
        raise CorruptRunError(exc.problem, fix=fix, file=exc.file, line=exc.line) from exc
    return job_of(document, folder.start())


def launch(loaded: LoadedJob, path: Path, options: Options) -> Launched:
    """Run a job in `path`, going on with what an earlier process has committed there.

    Raises:
        UsageError: `path` holds something else, or a run of another job or environment.
        Interrupted: The user asked to stop; the run can be resumed.
        TextmillError: As the run raises.
    """
    if options.offline:
        stay_offline()
    loaded.check()
    folder = RunFolder(path)
    resolved = loaded.resolved().as_data()
    if folder.begun():
        check_not_merged(folder, "nothing is left of it to be done")
        known = loaded.is_what_says(folder.job_file)
        _same_job(resolved, loaded if known else reopen(folder), path)
        if not options.allow_changes:
            check_environment(path)
    else:
        if options.shard is not None:
            check_shardable(loaded.job)
        shard = f"{options.shard}\n" if options.shard else None
        marks = {ENVIRONMENT: dump(environment()), SHARD: shard}
        folder.create(resolved, loaded.folder, marks)
    options = replace(options, shard=agreed_shard(path, options.shard))
    with folder.lock():
        note_changes(path)
        with Ledger(options.ledger or path.parent / "ledger.sqlite") as ledger:
            return _run_and_export(loaded, folder, ledger, options)


def finished_manifest(folder: RunFolder) -> dict[str, Any]:
    """The manifest of a finished run whose rows are those that were committed.

    Raises:
        UsageError: The run is not finished.
        CorruptRunError: Manifest or rows are damaged.
    """
    if not folder.manifest_file.exists():
        fix = f"go on with it first: python run_pipeline.py resume {shlex.quote(str(folder.path))}"
        raise UsageError("the run is not finished", fix=fix, file=folder.path)
    folder.verify()
    return folder.manifest()


def check_not_merged(folder: RunFolder, why: str) -> None:
    """Refuse what only a run can do that a job has made.

    Raises:
        UsageError: The run was merged from others.
    """
    if _is_merged(folder):
        problem = f"the run was merged from others, {why}"
        raise UsageError(problem, fix="name one of those that it was merged from", file=folder.path)


def _is_merged(folder: RunFolder) -> bool:
    """Whether the manifest says so; one that is damaged is written anew by resuming."""
    try:
        return folder.manifest_file.exists() and bool(folder.manifest().get("parts"))
    except CorruptRunError:
        return False


def export(folder: RunFolder, exporter: Any, target: Path, *, overwrite: bool) -> dict[str, Any]:
    """Export a finished run once more, in another format or place.

    Raises:
        UsageError: The run is not finished, the target exists, or the rows do not fit the format.
    """
    manifest = finished_manifest(folder)
    finished = Finished(folder.rows, manifest, reopen(folder).job.as_data())
    return place(lambda to: exporter.write(finished, to), target, overwrite=overwrite)


def open_caller(loaded: LoadedJob, ledger: Ledger, options: Options) -> Caller:
    """The models of a job, none of them opened yet; to be closed."""
    watch = options.watch
    caller = Caller(
        loaded.job.models,
        loaded.job.embedder,
        ledger,
        offline=options.offline,
        workers=options.workers,
        plugins=loaded.job.plugins,
        batch_out=options.batch_out,
        stop_requested=watch.stop_requested,
        on_batch=lambda: watch.on_batch(caller),
    )
    return caller


def _run_and_export(
    loaded: LoadedJob, folder: RunFolder, ledger: Ledger, options: Options
) -> Launched:
    with closing(open_caller(loaded, ledger, options)) as caller:
        try:
            watch = Timed(folder.path, caller.meter, options.watch)
            outcome = run(loaded, folder, caller, watch, options.shard, options.engine)
        except ModelError as exc:
            raise loaded.located(exc) from exc
        exported = None if outcome.fresh else _exported(folder)
        if exported is not None:
            return _launched(folder, outcome, caller, folder.manifest(), options)
        manifest = make_manifest(loaded, outcome, caller)
    if changed := allowed_changes(folder.path):
        manifest["changed"] = changed
    manifest["reports"] = run_reports(loaded, folder)
    if options.shard is None:
        with nullcontext() if options.tasks is None else options.tasks() as apply:
            spread = None if apply is None else Spread(folder.rows_file, apply)
            rows, path = folder.rows, folder.path
            manifest["exports"] = write_exports(loaded, rows, manifest, path, spread)
    else:
        manifest["shard"] = str(options.shard)
    folder.write_manifest(manifest)
    return _launched(folder, outcome, caller, manifest, options)


def _launched(
    folder: RunFolder, outcome: Run, caller: Caller, manifest: dict[str, Any], options: Options
) -> Launched:
    cells = manifest.get("reports", {}).get("quota", {}).get("cells", [])
    exports, usage = manifest["exports"], manifest.get("usage", {})
    return Launched(folder.path, outcome, exports, caller.meter, cells, usage, options.shard)


def run_reports(loaded: LoadedJob, folder: RunFolder) -> dict[str, JSON]:
    """What stages, sources and the quota say of a finished run, by name."""
    reports = stage_reports(loaded.job.stages, folder.rows, loaded.job.rows)
    reports.update(source_reports(loaded.job.sources, folder))
    if loaded.job.quota is not None:
        reports["quota"] = cell_report(loaded.job, folder.rows(), folder.rejected())
    return reports


def stay_offline() -> None:
    """Keep this process from the Hub, and sources of the web to their cache."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ[WEB_OFFLINE] = "1"


def stage_reports(
    stages: Iterable[Stage], rows: Callable[[], Iterator[Row]], wanted: int | None
) -> dict[str, JSON]:
    """What stages say of the accepted rows, by name; those that say nothing are left out."""
    said = {
        stage.name: stage.report(rows(), wanted)
        for stage in stages
        if type(stage).report is not Stage.report
    }
    return {name: report for name, report in said.items() if report}


def write_exports(
    loaded: LoadedJob,
    rows: Callable[[], Iterator[Row]],
    manifest: dict[str, Any],
    target: Path,
    spread: Spread | None = None,
) -> list[dict[str, Any]]:
    """Write all exports of a job into folders inside `target`, in other processes where some are.

    Returns:
        For each export its kind, its folder's name as `path`, and what it wrote.

    Raises:
        UsageError: The rows do not fit a format.
    """
    finished = Finished(rows, manifest, loaded.resolved().as_data(), spread)
    taken: set[str] = set()
    exports: list[dict[str, Any]] = []
    for index, exporter in enumerate(loaded.job.exports):
        name = _target_name(exporter.kind, taken)
        try:
            written = write_export(exporter, finished, target / name)
        except TextmillError as exc:
            exc.key = dotted(f"exports.{index}", exc.key)
            raise loaded.located(exc) from exc
        exports.append({"kind": exporter.kind, "path": name, **written})
    return exports


def _exported(folder: RunFolder) -> list[dict[str, Any]] | None:
    """What a finished run has exported; None where manifest or exports are missing or damaged."""
    try:
        exports: list[dict[str, Any]] = folder.manifest()["exports"]
        whole = all((folder.path / entry["path"]).exists() for entry in exports)
    except (CorruptRunError, KeyError, TypeError):
        return None
    return exports if whole else None


def _target_name(kind: str, taken: set[str]) -> str:
    """The folder of an export inside the run folder: `dataset` for Hugging Face, else the kind."""
    base = "dataset" if kind == "hf_dataset" else kind
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    taken.add(name)
    return name


def _same_job(now: dict[str, JSON], before: LoadedJob, path: Path) -> None:
    """Refuse to go on with another job in the same folder, naming what differs."""
    then = before.job.as_data()
    if build_job(now).as_data() == then:
        return
    keys = [key for key in now if now[key] != then.get(key)]
    fix = "give --out a new folder; calls that did not change come from the ledger"
    problem = f"the run there was begun by another job; these keys differ: {', '.join(keys)}"
    raise UsageError(problem, fix=fix, file=path)
