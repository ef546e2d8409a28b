"""What the commands do: each takes parsed arguments, works, and shows the result."""

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines.accounting import Funnel
from pipelines.batch_files import Posted, check_servers, take_in
from pipelines.beginnings import changes_since_start, check_environment
from pipelines.calling import Interrupted
from pipelines.cells import short_lines
from pipelines.console import Progress, Signals, funnel_lines, row_lines, say, show, show_json
from pipelines.deviations import deviation_lines, deviations
from pipelines.exporters import EXPORTERS
from pipelines.files import read_jsonl
from pipelines.folder import RunFolder
from pipelines.job import LoadedJob
from pipelines.launch import (
    Launched,
    Options,
    export,
    find_run,
    launch,
    new_run_name,
    outputs_folder,
)
from pipelines.ledger import Ledger
from pipelines.overrides import apply_override
from pipelines.refusals import refusal_lines
from pipelines.rows import JSON
from pipelines.sharding import remembering
from pipelines.source_reports import file_lines
from pipelines.usage import usage_lines
from prompts.errors import CorruptRunError, QuotaError, UsageError, nearest, unknown


def run_job(
    loaded: LoadedJob, options: Options, *, out: Path | None, as_json: bool, hidden: bool
) -> None:
    """Run a job and show what came of it.

    Args:
        loaded: The job.
        options: How to run; its `watch` is replaced by the progress bar.
        out: The run folder; left out, a new one under the outputs folder.
        as_json: Show one JSON object.
        hidden: Show no progress bar.

    Raises:
        QuotaError: Fewer rows than wanted, or more rejected than the job allows.
    """
    path = out or outputs_folder() / new_run_name(loaded.job.name)
    if options.shard is not None:
        _warn_of_shard(loaded)
    if not options.allow_changes:
        check_environment(path)
    if changes := changes_since_start(path):
        say(f"warning: begun with {'; '.join(changes)}: what is made now may differ in its bytes")
    if options.batch_in is not None:
        with Ledger(options.ledger or path.parent / "ledger.sqlite") as ledger:
            taken = take_in(options.batch_in, ledger)
        say(f"{taken.calls} calls answered, {taken.failed} replies failed")
    signals = Signals()
    watch = Progress(signals, hidden=hidden)
    try:
        if options.batch_out is not None:
            loaded.check()
            check_servers(loaded.job.models, loaded.used_models())
        launched = launch(loaded, path, replace(options, watch=watch))
    except Interrupted:
        watch.close()
        say(f"interrupted; go on with: {_resume_command(path, options)}")
        sys.exit(128 + signals.received)
    except Posted as posted:
        watch.close()
        say(f"waiting for the answers to {posted.requests} requests in {posted.path}")
        say(f"go on with: {_resume_command(path, options)} --batch-in FILE")
        sys.exit(posted.exit_code)
    finally:
        watch.close()
    if as_json:
        show_json(_summary(launched))
    else:
        _show_launched(loaded, launched)
    _check_yield(loaded, launched, keep_going=options.keep_going)


def _warn_of_shard(loaded: LoadedJob) -> None:
    names = remembering(loaded.job)
    if names:
        listing = ", ".join(names)
        say(
            f"warning: these stages see the rows of this shard only: {listing}; the merged rows "
            "will not be those of a run without shards"
        )


def validate_job(loaded: LoadedJob, *, as_json: bool) -> None:
    """Check a job and say what it is made of."""
    columns = sorted(loaded.check())
    job = loaded.job
    for prompt in loaded.used_prompts().values():
        for warning in prompt.warnings():
            say(f"warning: {warning}")
    if as_json:
        stages = [stage.name for stage in job.stages]
        show_json({"job": job.name, "stages": stages, "columns": columns})
        return
    show(f"{job.name}: ok")
    show(f"  stages   {' > '.join(stage.name for stage in job.stages) or 'none'}")
    show(f"  columns  {', '.join(columns) or 'known when the source is read'}")


def show_runs(folder: Path | None, *, as_json: bool) -> None:
    """List the runs of a folder, newest last.

    Raises:
        UsageError: There is no such folder.
    """
    parent = folder or outputs_folder()
    if not parent.is_dir():
        raise UsageError("no such folder", fix="name the folder that the runs are in", file=parent)
    runs = sorted(parent.glob("*/job.yaml"), key=lambda path: path.stat().st_mtime)
    folders = [RunFolder(path.parent) for path in runs]
    records = [_run_record(folder) for folder in folders if folder.begun()]
    if as_json:
        show_json(records)
        return
    if not records:
        say(f"no runs in {parent}; begin one with: python run_pipeline.py run JOB")
    width = max((len(record["run"]) for record in records), default=0)
    for record in records:
        show(f"{record['run']:<{width}}  {record['rows']:>7} rows  {record['stop']}")


def inspect_run(
    name: str, row: str, *, rejected: bool, reason: str, count: int, as_json: bool
) -> None:
    """Show a run's funnel and first rows, or one row with its history.

    Raises:
        UsageError: No such run, row or reason.
    """
    folder = find_run(name)
    if row and rejected:
        fix = "leave out the row, or --rejected and --reason"
        raise UsageError("a row and --rejected exclude each other", fix=fix)
    if row:
        found = _find_rows(folder, row)
        for record in found:
            if as_json:
                show_json(record)
            else:
                show("\n".join(row_lines(record, history=True)))
        return
    counts = folder.last_counts()
    if reason:
        _check_reason(reason, counts)
    records = folder.rejected() if rejected else (r.as_json() for r in folder.rows())
    chosen = (r for r in records if not reason or reason in _names(r["reason"]))
    shown = [record for record, _ in zip(chosen, range(count), strict=False)]
    lengths = deviations(folder.rows())
    if as_json:
        show_json({"stages": counts, "lengths": lengths, "rows": shown})
        return
    show("\n".join(funnel_lines(counts)))
    _show_files(folder)
    _show_deviations(lengths)
    for record in shown:
        show("")
        show("\n".join(row_lines(record)))


def export_run(name: str, kind: str, target: Path, settings: list[str], *, overwrite: bool) -> None:
    """Export a finished run into a folder of its own.

    Args:
        name: The run.
        kind: An exporter, or a format, which the usual exporter for it writes.
        target: The folder to write.
        settings: The exporter's settings, `key=value`.
        overwrite: Replace the folder.

    Raises:
        UsageError: No such run or exporter, a setting does not fit, or the target exists.
    """
    options = _exporter_named(kind)
    for setting in settings:
        apply_override(options, setting)
    try:
        exporter = EXPORTERS.build(options)
        written = export(find_run(name), exporter, target, overwrite=overwrite)
    except UsageError as exc:
        if exc.key and exc.file is None:
            exc.key = f"--set {exc.key}"
        raise
    show(f"{target}: {json.dumps(written, ensure_ascii=False)}")


def _exporter_named(name: str) -> dict[str, JSON]:
    """The settings that `--format` stands for."""
    from pipelines.exporters.formats import FORMATS

    if name in FORMATS and name not in EXPORTERS.names():
        return {"kind": FORMATS[name].exporter, "format": name}
    if name not in EXPORTERS.names():
        both = f"exporters: {', '.join(EXPORTERS.names())}; formats: {', '.join(FORMATS)}"
        guess = nearest(name, [*EXPORTERS.names(), *FORMATS])
        fix = f"write '{guess}' ({both})" if guess else f"use one of the {both}"
        raise UsageError(f"unknown exporter or format '{name}'", fix=fix, key="--format")
    return {"kind": name}


def _resume_command(path: Path, options: Options) -> str:
    """The command that goes on with a run and does not pay again for what it has paid."""
    words = ["python", "run_pipeline.py", "resume", str(path)]
    words += ["--ledger", str(options.ledger)] if options.ledger else []
    words += ["--workers", str(options.workers)] if options.workers else []
    words += ["--offline"] if options.offline else []
    words += ["--keep-going"] if options.keep_going else []
    words += ["--allow-changes"] if options.allow_changes else []
    return shlex.join(words)


def _show_files(folder: RunFolder) -> None:
    """What became of each file of a finished run, where its sources read files."""
    reports = folder.manifest().get("reports", {}) if folder.manifest_file.exists() else {}
    if lines := file_lines(reports):
        show("\n" + "\n".join(lines))


def _show_deviations(entries: list[dict[str, JSON]]) -> None:
    """Show how far texts are from the length that was asked for, where one was."""
    if entries:
        show("\n".join(["", *deviation_lines(entries)]))


def _summary(launched: Launched) -> dict[str, Any]:
    dataset = launched.folder / "dataset"
    return {
        "run": str(launched.folder),
        "dataset": str(dataset) if dataset.is_dir() else None,
        "rows": launched.run.accepted,
        "stop": launched.run.stop,
        "stages": launched.run.counts,
        "cells": launched.cells,
        "exports": launched.exports,
        "calls": launched.meter.calls,
        "from_ledger": launched.meter.known,
        "usage": launched.usage,
    }


def _show_launched(loaded: LoadedJob, launched: Launched) -> None:
    run, meter = launched.run, launched.meter
    show("\n".join(funnel_lines(run.counts)))
    _show_files(RunFolder(launched.folder))
    wants = loaded.job.rows if launched.shard is None else None
    if wants is not None and run.accepted < wants:
        for line in refusal_lines(RunFolder(launched.folder).rejected()):
            show(line)
    for line in short_lines(launched.cells):
        show(line)
    _show_deviations(deviations(RunFolder(launched.folder).rows()))
    wanted = "" if wants is None else f" of {wants}"
    show(f"\nrows        {run.accepted}{wanted}, stopped by: {run.stop}")
    paid = meter.calls - meter.known
    speed = f", {meter.tokens / meter.seconds:.0f} tokens/s" if meter.seconds else ""
    show(f"calls       {meter.calls}: {meter.known} from the ledger, {paid} paid{speed}")
    show("\n".join([*usage_lines(launched.usage), f"run         {launched.folder}"]))
    for written in launched.exports:
        splits = written.get("splits")
        counts = ", ".join(f"{k} {v}" for k, v in splits.items()) if splits else ""
        show(f"{written['kind']:<10}  {launched.folder / written['path']}  {counts}".rstrip())


def _check_yield(loaded: LoadedJob, launched: Launched, *, keep_going: bool) -> None:
    run, job = launched.run, loaded.job
    if job.rows is not None and run.accepted < job.rows and launched.shard is None:
        inspect = ["python", "run_pipeline.py", "inspect", str(launched.folder), "--rejected"]
        fix = f"look at: {shlex.join(inspect)}"
        problem = f"{run.accepted} of {job.rows} rows, stopped by: {run.stop}"
        if short := [cell for cell in launched.cells if cell["rows"] < cell["wanted"]]:
            problem += f"; short: {short[0]['cell']} {short[0]['rows']} of {short[0]['wanted']}"
            problem += f" and {len(short) - 1} more" if len(short) > 1 else ""
        raise QuotaError(problem, fix=fix)
    rejected = Funnel(run.counts).rejected()
    rate = rejected / max(1, rejected + run.accepted)
    if job.max_reject_rate is not None and rate > job.max_reject_rate:
        problem = f"{rate:.0%} of the rows were rejected, the job allows {job.max_reject_rate:.0%}"
        if not keep_going:
            fix = "look at the reasons, raise max_reject_rate, or give --keep-going"
            raise QuotaError(problem, fix=fix)
        say(f"warning: {problem}")


def _run_record(folder: RunFolder) -> dict[str, JSON]:
    record = {"run": folder.path.name, "rows": _line_count(folder.rows_file), "stop": "unfinished"}
    if folder.manifest_file.exists():
        try:
            record["stop"] = folder.manifest()["stop"]
        except (CorruptRunError, KeyError, TypeError):  # one damaged run must not hide the others
            record["stop"] = "damaged"
    return record


def _line_count(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))


def _names(reason: str) -> set[str]:
    """A reason such as `benchmark_copy:gsm8k` and what it begins with, `benchmark_copy`."""
    return {reason, reason.partition(":")[0]}


def _check_reason(reason: str, counts: list[dict[str, JSON]]) -> None:
    known = sorted({name for entry in counts for r in entry["rejected"] for name in _names(r)})
    if reason not in known:
        raise unknown("reason", reason, known, key="--reason")


def _find_rows(folder: RunFolder, wanted: str) -> list[dict[str, JSON]]:
    found = [
        record
        for file in (folder.rows_file, folder.rejected_file)
        for record in read_jsonl(file)
        if wanted in (record["id"], record["order"])
    ]
    if not found:
        fix = "give an id or an order as 'inspect RUN' and rows.jsonl show them"
        raise UsageError(f"no row '{wanted}' in this run", fix=fix, file=folder.path)
    return found
