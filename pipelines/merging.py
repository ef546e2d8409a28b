"""Joining finished runs into one: no row twice, one manifest, one set of exports.

    merged = merge([find_run("a"), find_run("b")], Path("outputs/both"), Merge())
    merged.manifest["stages"]
    # [{"stage": "run:1", ..., "out": 30}, {"stage": "run:2", ..., "out": 30},
    #  {"stage": "merge", "in": 60, "out": 58, "rejected": {"same_row": 2}},
    #  {"stage": "merge:dedup", "in": 58, "out": 51, "rejected": {"near_duplicate": 7}}]

Rows come in the order of the runs, and within a run in its own; `order` gets the number of the run
in front. Ids stay unique: a row whose id an earlier run has is rejected where its columns are equal
too, and gets an id of its own where another seed or job has made something else of the same source
row. Families stay, so that what comes from one source row goes to one split, whatever run it is of.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from pipelines.accounting import Funnel
from pipelines.beginnings import joint_changes
from pipelines.exporters.placing import place
from pipelines.folder import FORMAT, Progress, RunFolder
from pipelines.job import LoadedJob, build_job
from pipelines.launch import (
    Options,
    finished_manifest,
    open_caller,
    reopen,
    stage_reports,
    write_exports,
)
from pipelines.ledger import Ledger
from pipelines.manifest import environment, textmill_version
from pipelines.overrides import apply_override
from pipelines.rows import JSON, Outcome, Rejection, Row, canonical, digest
from pipelines.runner import StageContext
from pipelines.stages import Dedup, Stage
from prompts.errors import UsageError

STOP = "merge"
SETTABLE = ("name", "seed", "exports")
"""The keys of the job that a merge may set; all others tell how the parts were made."""


@dataclass(frozen=True, slots=True)
class Merge:
    """How to merge.

    Attributes:
        dedup: Columns to look for near-duplicates in, each alone; left out, the stages `dedup` of
            the parts' jobs are applied across the parts.
        shards: Refuse parts that are not of the same job.
        settings: `key=value` settings of name, seed and exports; left out, those of the first part.
        overwrite: Replace what is in the place of the new run.
    """

    dedup: tuple[str, ...] = ()
    shards: bool = False
    settings: tuple[str, ...] = ()
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A finished run that is merged.

    Attributes:
        number: Its place among the parts, from 1.
        folder: Its files.
        manifest: Its manifest.
        loaded: Its job.
        columns: The columns that its rows have.
    """

    number: int
    folder: RunFolder
    manifest: dict[str, Any]
    loaded: LoadedJob
    columns: frozenset[str]

    def rows(self) -> Iterator[Row]:
        """Its rows as they enter the merge."""
        event = {"stage": STOP, "part": self.number}
        for row in self.folder.rows():
            yield replace(row, order=(self.number, *row.order), history=(*row.history, event))

    def record(self) -> dict[str, Any]:
        """What the new run's manifest says of it: its own manifest, and its job."""
        exports = {"exports": [], "resolved": self.loaded.job.as_data()}
        return {"part": self.number, **self.manifest, **exports}


def merge(folders: Sequence[RunFolder], target: Path, how: Merge, options: Options) -> RunFolder:
    """Join finished runs into a new one.

    Args:
        folders: The runs, in order: of rows alike the first one stays.
        target: The new run folder.
        how: What to do.
        options: The ledger for stages that compare by embeddings.

    Raises:
        UsageError: A part is given twice or not finished, or parts do not fit together.
        CorruptRunError: A part is damaged.
    """
    parts = _parts(folders)
    if any("shard" in part.manifest for part in parts):
        from pipelines.shard_merging import merge_shards

        return merge_shards(parts, target, how, options)
    _check_parts(parts, how)
    data = job_of(parts, how)
    ledger = options.ledger or target.parent / "ledger.sqlite"
    place(
        lambda room: _write(parts, RunFolder(room), data, how, replace(options, ledger=ledger)),
        target,
        overwrite=how.overwrite,
    )
    return RunFolder(target)


def _parts(folders: Sequence[RunFolder]) -> list[Part]:
    if len(folders) < 2 and not any("shard" in finished_manifest(f) for f in folders):
        raise UsageError("one run alone cannot be merged", fix="name two or more runs")
    seen: set[Path] = set()
    for folder in folders:
        if folder.path.resolve() in seen:
            raise UsageError("is named twice", fix="name each run once", file=folder.path)
        seen.add(folder.path.resolve())
    return [
        Part(number, folder, finished_manifest(folder), reopen(folder), _columns(folder))
        for number, folder in enumerate(folders, start=1)
    ]


def _columns(folder: RunFolder) -> frozenset[str]:
    found: set[str] = set()
    for row in folder.rows():
        found.update(row.data)
    return frozenset(found)


def _check_parts(parts: list[Part], how: Merge) -> None:
    """Refuse parts that are not of one job, where that is asked for, or not of the same columns."""
    first = parts[0]
    for part in parts[1:]:
        if how.shards and part.manifest["job"]["sha"] != first.manifest["job"]["sha"]:
            then, now = first.loaded.job.as_data(), part.loaded.job.as_data()
            keys = ", ".join(key for key in now if now[key] != then.get(key))
            problem = f"is not of the same job as {first.folder.path}; these keys differ: {keys}"
            fix = "leave out --shards to merge runs of different jobs"
            raise UsageError(problem, fix=fix, file=part.folder.path)
    filled = [part for part in parts if part.columns]
    for part in filled[1:]:
        if part.columns != filled[0].columns:
            differ = ", ".join(sorted(part.columns ^ filled[0].columns))
            problem = f"has other columns than {filled[0].folder.path}: they differ in {differ}"
            fix = "merge runs with the same columns; the stage 'columns' drops and renames them"
            raise UsageError(problem, fix=fix, file=part.folder.path)
    known = filled[0].columns if filled else frozenset()
    for stage in dedups(parts, how):
        missing = sorted(stage.columns_needed() - known) if filled else []
        if missing:
            fix = f"name one of these with --dedup: {', '.join(sorted(known))}"
            raise UsageError(f"the rows have no column '{missing[0]}' to compare", fix=fix)


def dedups(parts: list[Part], how: Merge) -> list[Stage]:
    """The stages that compare rows across parts: those asked for, or those of the jobs."""
    if how.dedup:
        return [_named(Dedup(field=field), field) for field in how.dedup]
    found: dict[str, Stage] = {}
    for part in parts:
        for stage in part.loaded.job.stages:
            if stage.kind == "dedup":
                settings = canonical(stage.model_dump(mode="json", exclude={"name"}))
                found.setdefault(settings, stage)
    names: dict[str, int] = {}
    stages = []
    for stage in found.values():
        again = names[stage.name] = names.get(stage.name, 0) + 1
        stages.append(_named(stage, stage.name if again == 1 else f"{stage.name}-{again}"))
    return stages


def _named(stage: Stage, name: str) -> Stage:
    """The stage under a name that no stage of a job can have."""
    return stage.model_copy(update={"name": f"{STOP}:{name}"})


def job_of(parts: list[Part], how: Merge) -> dict[str, JSON]:
    """The first part's job, with the models and prompts of all, and the settings given."""
    data = parts[0].loaded.job.as_data()
    for section in ("models", "prompts"):
        data[section] = united([part.loaded.job.as_data()[section] for part in parts])
    for setting in how.settings:
        key = setting.partition("=")[0].strip()
        if key.partition(".")[0] not in SETTABLE:
            fix = f"set one of these: {', '.join(SETTABLE)}"
            raise UsageError("cannot be set when runs are merged", fix=fix, key=f"--set {key}")
        apply_override(data, setting)
    try:
        return build_job(data).as_data()
    except UsageError as exc:
        exc.key = f"--set {exc.key}" if exc.key else ""
        raise


def united(sections: Sequence[dict[str, JSON]]) -> dict[str, JSON]:
    """Entries of all parts by name; a name that means something else in a later part gets its part.

    united([{"a": 1}, {"a": 2, "b": 3}])   # {"a": 1, "a (run 2)": 2, "b": 3}
    """
    found: dict[str, JSON] = {}
    for number, section in enumerate(sections, start=1):
        for name, value in section.items():
            if found.setdefault(name, value) != value:
                found[f"{name} (run {number})"] = value
    return found


def _write(
    parts: list[Part], folder: RunFolder, data: dict[str, JSON], how: Merge, options: Options
) -> None:
    folder.create(data)
    loaded = reopen(folder)
    assert options.ledger is not None
    with (
        folder.lock(),
        Ledger(options.ledger) as ledger,
        closing(open_caller(loaded, ledger, options)) as caller,
    ):
        contexts = [(s, StageContext(s, loaded, caller)) for s in dedups(parts, how)]
        progress = _merge_rows(parts, folder, contexts, loaded.job.block)
    manifest = _manifest(parts, loaded, progress)
    stages = {stage.name: stage for part in reversed(parts) for stage in part.loaded.job.stages}
    manifest["reports"] = stage_reports(stages.values(), folder.rows, _wanted(parts))
    manifest["exports"] = write_exports(loaded, folder.rows, manifest, folder.path)
    folder.write_manifest(manifest)


def _merge_rows(
    parts: list[Part], folder: RunFolder, contexts: list[tuple[Stage, StageContext]], block: int
) -> Progress:
    progress = folder.recover({"merged": [part.manifest["job"]["sha"] for part in parts]})
    funnel = Funnel()
    known: dict[str, _Known] = {}
    for part in parts:
        funnel.entry(f"run:{part.number}", "run")
    for part in parts:
        rows = _named_apart(part, known)
        while taken := list(islice(rows, block)):
            funnel.add(f"run:{part.number}", "run", [], taken)
            kept, rejected = through(STOP, STOP, taken, _unique(taken, part, known), funnel)
            for stage, context in contexts:
                outcomes = list(stage.run(iter(kept), context))
                kept, refused = through(stage.name, stage.kind, kept, outcomes, funnel)
                rejected += refused
            progress.accepted += len(kept)
            progress.counts = funnel.counts()
            folder.commit(kept, rejected, progress, {})
    progress.done, progress.counts = STOP, funnel.counts()
    folder.commit([], [], progress, {})
    return progress


@dataclass(frozen=True, slots=True)
class _Known:
    """A row that has been taken: the run it is of, and a hash of its columns."""

    part: int
    content: str


def _named_apart(part: Part, known: dict[str, _Known]) -> Iterator[Row]:
    """A part's rows; one whose id an earlier part gave to something else has a new id.

    The new id follows from the columns, so that a third part with the same row has it too.
    """
    for row in part.rows():
        content = digest(row.data)
        first = known.get(row.id)
        if first is not None and first.content != content:
            row = replace(row, id=digest(row.id, STOP, content))
        known.setdefault(row.id, _Known(part.number, content))
        yield row


def _unique(rows: list[Row], part: Part, known: dict[str, _Known]) -> list[Outcome]:
    """The rows, those rejected that an earlier part has just so."""
    firsts = [known[row.id].part for row in rows]
    return [
        row if first == part.number else Rejection(row, "same_row", {"part": first})
        for row, first in zip(rows, firsts, strict=True)
    ]


def through(
    stage: str, kind: str, rows: list[Row], outcomes: list[Outcome], funnel: Funnel
) -> tuple[list[Row], list[Rejection]]:
    """Count what a stage made of some rows, and part it in accepted and rejected."""
    funnel.add(stage, kind, rows, outcomes)
    kept = [outcome for outcome in outcomes if isinstance(outcome, Row)]
    refused = [replace(o, stage=stage) for o in outcomes if isinstance(o, Rejection)]
    return kept, refused


def _wanted(parts: list[Part]) -> int | None:
    """The rows that the parts were to have together, where all of them say."""
    wanted = [part.loaded.job.rows for part in parts]
    return None if None in wanted else sum(rows or 0 for rows in wanted)


def _manifest(parts: list[Part], loaded: LoadedJob, progress: Progress) -> dict[str, Any]:
    job, counts = loaded.job, progress.counts
    manifests = [part.manifest for part in parts]
    changed = joint_changes(manifests)
    return {
        "textmill": textmill_version(),
        "format": FORMAT,
        "job": {"name": job.name, "seed": job.seed, "rows": None, "sha": job.sha()},
        **environment(),
        "models": united([manifest["models"] for manifest in manifests]),
        "embedder": next((m["embedder"] for m in manifests if m.get("embedder")), None),
        "prompts": united([manifest["prompts"] for manifest in manifests]),
        "stages": counts,
        "rows": progress.accepted,
        "rejected": sum(sum(entry["rejected"].values()) for entry in counts),
        "stop": STOP,
        "reproducible": all(m.get("reproducible", True) for m in manifests),
        **({"changed": changed} if changed else {}),
        "parts": [part.record() for part in parts],
        "exports": [],
    }
