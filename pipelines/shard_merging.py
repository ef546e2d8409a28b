"""Merging shards: the run that there would have been without them, as far as stages allow.

    merge_shards(parts, Path("outputs/all"), Merge(), Options())

Every shard has the same blocks, each with its own rows of it. A block of the merged run is theirs
together: rows by `order`, rejected rows by stage and order, counts summed up. Where no stage
remembers rows, that is what a run without shards has committed, so rows, funnel and exports are
the same bytes. Stages `dedup` are applied once more across the shards, and then the job's `rows`
end the run at the row where it would have ended.
"""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipelines.accounting import Funnel
from pipelines.beginnings import ENVIRONMENT, joint_changes
from pipelines.exporters.placing import place
from pipelines.files import write_atomically
from pipelines.folder import Progress, RunFolder
from pipelines.job import LoadedJob, load_job
from pipelines.launch import Options, open_caller, run_reports, write_exports
from pipelines.ledger import Ledger
from pipelines.merging import Merge, Part, dedups, job_of, through
from pipelines.rows import JSON, Outcome, Rejection, Row
from pipelines.runner import StageContext
from pipelines.sharding import Shard, remembering
from pipelines.skew import environment_skew, other_makers
from pipelines.stages import Stage
from pipelines.usage import NAME as USAGE
from pipelines.usage import Usage
from prompts.errors import UsageError

logger = logging.getLogger("textmill.runs")

Contexts = list[tuple[Stage, StageContext]]


def merge_shards(parts: Sequence[Part], target: Path, how: Merge, options: Options) -> RunFolder:
    """Join all shards of a job into one run.

    Args:
        parts: The shards, in any order.
        target: The new run folder.
        how: Further columns to compare, settings of name and exports.
        options: The ledger for stages that compare by embeddings, and whether shards may be of
            several versions of torch or classes of machine.

    Raises:
        UsageError: A shard is missing or given twice, or they are not of one job, one source, one
            version of the project and the same models.
        CorruptRunError: A shard is damaged.
    """
    shards = _in_order(parts)
    _check_alike(shards, allow_changes=options.allow_changes)
    data = job_of(shards, how)
    ledger = options.ledger or target.parent / "ledger.sqlite"
    chosen = replace(options, ledger=ledger)
    place(
        lambda room: _write(shards, RunFolder(room), target, data, how, chosen),
        target,
        overwrite=how.overwrite,
    )
    return RunFolder(target)


def _in_order(parts: Sequence[Part]) -> list[Part]:
    found: dict[int, Part] = {}
    totals = {Shard.parse(p.manifest["shard"]).total for p in parts if "shard" in p.manifest}
    for part in parts:
        if "shard" not in part.manifest:
            fix = "merge all shards of a job first, and that run with others then"
            raise UsageError("is no shard, and others are", fix=fix, file=part.folder.path)
        shard = Shard.parse(part.manifest["shard"])
        if len(totals) > 1:
            problem = f"is shard {shard}, and others are of {max(totals - {shard.total})}"
            raise UsageError(problem, fix="merge shards of one number", file=part.folder.path)
        if shard.number in found:
            problem = f"is shard {shard}, and so is {found[shard.number].folder.path}"
            raise UsageError(problem, fix="name each shard once", file=part.folder.path)
        found[shard.number] = part
    total = totals.pop()
    missing = [f"{number}/{total}" for number in range(1, total + 1) if number not in found]
    if missing:
        what = "shard" if len(missing) == 1 else "shards"
        fix = f"name it too, or make it: run JOB --shard {missing[0]}"
        raise UsageError(f"{what} {', '.join(missing)} missing", fix=fix)
    return [found[number] for number in sorted(found)]


def _check_alike(shards: list[Part], *, allow_changes: bool) -> None:
    """Shards of one job, over the same sources, by the same project and models."""
    first = shards[0]
    for part in shards[1:]:
        _check_job(first, part)
        _check_maker(first, part, allow_changes=allow_changes)
    headers = [part.folder.read_progress()[0] for part in shards]
    for part, records in zip(shards, headers, strict=True):
        for key in records[0].keys() - {"shard"}:
            if records[0][key] != headers[0][0].get(key):
                fix = "make all shards from the same files"
                problem = f"{key} is not what it was for {first.folder.path}"
                raise UsageError(problem, fix=fix, file=part.folder.path)
        if len(records) != len(headers[0]):
            fix = "make all shards from the same files"
            problem = f"has {len(records) - 1} blocks, {first.folder.path} {len(headers[0]) - 1}"
            raise UsageError(problem, fix=fix, file=part.folder.path)


def _check_job(first: Part, part: Part) -> None:
    if part.manifest["job"]["sha"] == first.manifest["job"]["sha"]:
        return
    then, now = first.loaded.job.as_data(), part.loaded.job.as_data()
    keys = ", ".join(key for key in now if now[key] != then.get(key))
    problem = f"is a shard of another job than {first.folder.path}; these keys differ: {keys}"
    raise UsageError(problem, fix="merge shards of one job", file=part.folder.path)


def _check_maker(first: Part, part: Part, *, allow_changes: bool) -> None:
    path, than = part.folder.path, first.folder.path
    if other := other_makers(first.manifest, part.manifest):
        fix = "make all shards with one version and the same models"
        raise UsageError(f"was made with {other} as {than} was", fix=fix, file=path)
    deciding, rest = environment_skew(first.manifest, part.manifest)
    if deciding and not allow_changes:
        what = f"was made with {'; '.join(deciding)} as {than} was"
        problem = f"{what}: its rows may differ in their bytes"
        fix = "make it where the others were made, or give --allow-changes"
        raise UsageError(problem, fix=fix, file=path)
    if deciding or rest:
        what = "; ".join([*deciding, *rest])
        logger.warning("%s was made with %s as %s was", path, what, than)


def _changes(shards: list[Part]) -> list[str]:
    """With what shards went on, and what of them the first one was not made with."""
    skew = [
        f"shard {part.manifest['shard']} with {change}"
        for part in shards[1:]
        for change in environment_skew(shards[0].manifest, part.manifest)[0]
    ]
    return [*joint_changes(part.manifest for part in shards), *skew]


def _write(
    shards: list[Part],
    folder: RunFolder,
    target: Path,
    data: dict[str, JSON],
    how: Merge,
    options: Options,
) -> None:
    start = shards[0].folder.start()
    folder.create(data)
    loaded = load_job(folder.job_file, folder=start)
    loaded.check()
    assert options.ledger is not None
    with (
        folder.lock(),
        Ledger(options.ledger) as ledger,
        closing(open_caller(loaded, ledger, options)) as caller,
    ):
        contexts = [(s, StageContext(s, loaded, caller)) for s in dedups(shards, how)]
        progress = _merge_blocks(shards, folder, loaded, contexts)
    manifest = _manifest(shards, loaded, progress, folder)
    manifest["exports"] = write_exports(loaded, folder.rows, manifest, folder.path)
    write_atomically(folder.path / ".origin", os.path.relpath(start, target.resolve()))
    began = shards[0].folder.path / ENVIRONMENT
    write_atomically(folder.path / ENVIRONMENT, began.read_text(encoding="utf-8"))
    folder.write_manifest(manifest)


def _merge_blocks(
    shards: list[Part], folder: RunFolder, loaded: LoadedJob, contexts: Contexts
) -> Progress:
    header = shards[0].folder.read_progress()[0][0]
    known = {k: v for k, v in header.items() if k not in {"shard", "format"}}
    progress = folder.recover({**known, "the job": loaded.resolved().sha()})
    for blocks in zip(*(_blocks(part.folder) for part in shards), strict=True):
        names = [entry["stage"] for entry in blocks[0].counts]
        rows = sorted((r for b in blocks for r in b.rows), key=lambda row: row.order)
        rejected = sorted(
            (r for b in blocks for r in b.rejected),
            key=lambda r: (_rank(r.stage, names), r.row.order),
        )
        funnel = Funnel(_summed(progress.counts, [block.counts for block in blocks]))
        rows, refused = _through_ends(rows, contexts, loaded.job.rows, progress.accepted, funnel)
        progress.pulled = blocks[0].pulled
        progress.calls += sum(block.calls for block in blocks)
        progress.accepted += len(rows)
        progress.counts = funnel.counts()
        filled = progress.accepted == loaded.job.rows
        progress.done = "quota" if filled else blocks[0].done
        folder.commit(rows, [*rejected, *refused], progress, _state(blocks))
        if filled:
            break
    return progress


def _rank(stage: str, names: list[str]) -> int:
    """The place of a stage; all sources have one, since a block is read from all of them."""
    return -1 if stage.startswith("source:") else names.index(stage)


@dataclass(frozen=True, slots=True)
class _Block:
    """What a shard has committed as one block: its rows, and what came to its counts."""

    rows: list[Row]
    rejected: list[Rejection]
    counts: list[dict[str, JSON]]
    pulled: int
    calls: int
    done: str
    usage: list[JSON]


def _blocks(folder: RunFolder) -> Iterator[_Block]:
    calls, counts = 0, list[dict[str, JSON]]()
    with folder.rows_file.open("rb") as rows, folder.rejected_file.open("rb") as rejected:
        for record in folder.read_progress()[0][1:]:
            fresh = record[folder.rows_file.name][0] - rows.tell()
            taken = [Row.from_json(entry) for entry in _records(rows.read(fresh))]
            fresh = record[folder.rejected_file.name][0] - rejected.tell()
            refused = [_rejection(entry) for entry in _records(rejected.read(fresh))]
            yield _Block(
                taken,
                refused,
                _less(record["counts"], counts),
                record["pulled"],
                record["calls"] - calls,
                record["done"],
                record["state"].get(USAGE, []),
            )
            calls, counts = record["calls"], record["counts"]


def _records(data: bytes) -> list[dict[str, JSON]]:
    return [json.loads(line) for line in data.split(b"\n") if line]


def _rejection(record: dict[str, JSON]) -> Rejection:
    about = {key: record[key] for key in ("reason", "detail", "attempts", "stage")}
    return Rejection(Row.from_json(record), **about)


def _less(counts: list[dict[str, JSON]], before: list[dict[str, JSON]]) -> list[dict[str, JSON]]:
    """What came to the counts since `before`."""
    earlier = {entry["stage"]: entry for entry in before}
    return [_plus(entry, earlier.get(entry["stage"]), -1) for entry in counts]


def _summed(
    counts: list[dict[str, JSON]], more: Sequence[list[dict[str, JSON]]]
) -> list[dict[str, JSON]]:
    """The counts so far and those of a block of every shard; the quota is counted anew."""
    found = {entry["stage"]: entry for entry in counts}
    for entries in more:
        for entry in entries:
            if entry["stage"] != "quota":
                found[entry["stage"]] = _plus(entry, found.get(entry["stage"]), 1)
    return list(found.values())


def _plus(entry: dict[str, JSON], other: dict[str, JSON] | None, sign: int) -> dict[str, JSON]:
    if other is None:
        return entry
    sums = {key: entry[key] + sign * other[key] for key in ("in", "created", "out")}
    reasons = {
        reason: entry["rejected"].get(reason, 0) + sign * other["rejected"].get(reason, 0)
        for reason in entry["rejected"].keys() | other["rejected"].keys()
    }
    return {**entry, **sums, "rejected": {key: count for key, count in reasons.items() if count}}


def _through_ends(
    rows: list[Row], contexts: Contexts, wanted: int | None, accepted: int, funnel: Funnel
) -> tuple[list[Row], list[Rejection]]:
    """The stages that compare rows of all shards, and the cut at the job's `rows`."""
    refused: list[Rejection] = []
    for stage, context in contexts:
        outcomes = list(stage.run(iter(rows), context))
        rows, more = through(stage.name, stage.kind, rows, outcomes, funnel)
        refused += more
    room = len(rows) if wanted is None else wanted - accepted
    ends: list[Outcome] = [*rows[:room], *(Rejection(r, "over_quota") for r in rows[room:])]
    rows, surplus = through("quota", "quota", rows, ends, funnel)
    return rows, [*refused, *surplus]


def _state(blocks: Sequence[_Block]) -> dict[str, JSON]:
    """What is remembered beside the rows: only usage, where the job asks servers."""
    usage = Usage()
    for block in blocks:
        for model, asked, written in block.usage:
            usage.count(model, asked, written)
    additions = usage.additions()
    return {USAGE: additions} if additions else {}


def _manifest(
    shards: list[Part], loaded: LoadedJob, progress: Progress, folder: RunFolder
) -> dict[str, Any]:
    job, counts = loaded.job, progress.counts
    manifest = {key: value for key, value in shards[0].manifest.items() if key != "shard"}
    manifest["job"] = {**manifest["job"], "name": job.name, "seed": job.seed}
    manifest["job"]["sha"] = loaded.resolved().sha()
    manifest["stages"], manifest["rows"] = counts, progress.accepted
    manifest["rejected"] = sum(sum(entry["rejected"].values()) for entry in counts)
    manifest["stop"] = progress.done
    if "usage" in manifest:
        usage = Usage()
        for record in folder.read_progress()[0][1:]:
            usage.restore(record["state"].get(USAGE, []))
        manifest["usage"] = usage.report(job.models, progress.accepted)
    if changed := _changes(shards):
        manifest["changed"] = changed
    if remembering(job):  # it cannot be made again by its job, and says so
        manifest["parts"] = [part.record() for part in shards]
    manifest["reports"] = run_reports(loaded, folder)
    return manifest
