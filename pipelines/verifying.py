"""Making a finished run once more, all of it or a sample, and comparing the bytes.

    loaded = verifiable(folder)                       # or an error that says why it is not
    report = verify(folder, loaded, Options(), calls=20)
    report.summary()          # "20 of 20 calls and 24 of 24 rows are the same bytes"

A sample replays the job from the replies in the ledger and pays some of its calls once more. All of
a run is made with an empty ledger. The run itself and its ledger are only read.
"""

import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from pipelines.calling import Caller, Interrupted
from pipelines.comparing import (
    Difference,
    Report,
    compare_folders,
    compare_lines,
    compare_replies,
)
from pipelines.console import Progress, Signals, say, show, show_json
from pipelines.folder import RunFolder
from pipelines.job import LoadedJob
from pipelines.launch import (
    Options,
    check_not_merged,
    find_run,
    finished_manifest,
    open_caller,
    reopen,
    write_exports,
)
from pipelines.ledger import Ledger
from pipelines.manifest import environment_changes
from pipelines.replaying import Replayer
from pipelines.runner import run
from prompts.errors import ModelError, ReproductionError, UsageError, shorten

_SHOWN = 120  # characters of a value that an error shows


def verify_run(
    name: str, options: Options, *, calls: int | None, as_json: bool, hidden: bool
) -> None:
    """Make a finished run once more, all of it or a sample, and show whether it is the same.

    Args:
        name: The run's path or name.
        options: As for `run_job`.
        calls: How many calls to pay once more; None makes the whole run.
        as_json: Show one JSON object.
        hidden: Show no progress bar.

    Raises:
        ReproductionError: It is not; the first difference is named.
        UsageError: It cannot be made once more.
    """
    folder = find_run(name)
    loaded = verifiable(folder)
    manifest = folder.manifest()
    changes = [*manifest.get("changed", []), *environment_changes(manifest)]
    if changes:
        say(f"warning: made with {'; '.join(changes)}: differences may come from that")
    signals = Signals()
    watch = Progress(signals, hidden=hidden)
    try:
        report = verify(folder, loaded, replace(options, watch=watch), calls)
    except Interrupted:
        watch.close()
        say("interrupted; the run is as it was")
        sys.exit(128 + signals.received)
    finally:
        watch.close()
    if as_json:
        show_json({"run": str(folder.path), **report.as_json(), "environment": changes})
    else:
        show(report.summary())
    if report.differences:
        raise _not_the_same(folder, report.differences[0], changes)


def verifiable(folder: RunFolder) -> LoadedJob:
    """The job of a finished run that can be made once more.

    Raises:
        UsageError: The run is not finished, asks a server, or was ended by the clock.
        CorruptRunError: Its files are not what was committed.
    """
    manifest = finished_manifest(folder)
    check_not_merged(folder, "no job makes it again")
    if not manifest.get("reproducible", True):
        problem = f"the run was stopped by '{manifest['stop']}', and a clock never runs alike"
        raise UsageError(problem, fix="verify a run that ended otherwise", file=folder.path)
    loaded = reopen(folder)
    loaded.check()
    for name in loaded.used_models():
        if loaded.model(name).server:
            problem = "is a server's, and what a server replies cannot be made again"
            fix = "verify runs of local models"
            raise UsageError(problem, fix=fix, file=folder.path, key=f"models.{name}")
    return loaded


def verify(folder: RunFolder, loaded: LoadedJob, options: Options, calls: int | None) -> Report:
    """Make a run once more and compare rows, rejected rows, exports and, in a sample, calls.

    Args:
        folder: The run.
        loaded: Its job, from `verifiable`.
        options: As the run was launched; they do not change what is made.
        calls: How many calls to pay once more; None makes the whole run with an empty ledger.

    Raises:
        UsageError: The ledger is not the run's, or a model or source is not what it was.
        Interrupted: The user asked to stop.
    """
    with tempfile.TemporaryDirectory(prefix="textmill-verify-") as room:
        if calls is None:
            return _verify_all(folder, loaded, options, Path(room))
        return _verify_sample(folder, loaded, options, Path(room), calls)


def _verify_all(folder: RunFolder, loaded: LoadedJob, options: Options, room: Path) -> Report:
    report = Report()
    with (
        Ledger(room / "ledger.sqlite") as ledger,
        closing(open_caller(loaded, ledger, options)) as caller,
    ):
        _make_again(folder, loaded, options, caller, room / "run", report)
    return report


def _verify_sample(
    folder: RunFolder, loaded: LoadedJob, options: Options, room: Path, calls: int
) -> Report:
    report, path = Report(), options.ledger or folder.path.parent / "ledger.sqlite"
    if not path.is_file():
        fix = "name the run's own with --ledger FILE, or make all of it again with --all"
        raise UsageError("the ledger of the run is not there", fix=fix, file=path)
    report.count("calls")  # stands first
    with Ledger(path) as recorded, closing(Replayer(loaded, recorded, calls, options)) as replayer:
        _make_again(folder, loaded, options, replayer, room / "run", report)
        _pay_again(replayer, recorded, options, report)
    return report


def _make_again(
    folder: RunFolder,
    loaded: LoadedJob,
    options: Options,
    caller: Caller,
    path: Path,
    report: Report,
) -> None:
    manifest = folder.manifest()
    _same_models(manifest["models"], caller, folder)
    replica = RunFolder(path)
    path.mkdir()
    # With the first line alone it is the same run before its first block: what the job reads is
    # held to what that line says of it.
    with folder.progress_file.open("rb") as file:
        replica.progress_file.write_bytes(file.readline())
    try:
        with replica.lock():
            made = run(loaded, replica, caller, options.watch)
    except UsageError as exc:
        exc.file = folder.path if exc.file == path else exc.file
        raise
    except ModelError as exc:
        raise loaded.located(exc) from exc
    if made.stop == "budget: minutes":
        problem = "made again, the run took longer than its budget.minutes"
        raise UsageError(problem, fix="verify it on a machine as fast as then", file=folder.path)
    compare_lines(report, "rows", folder.rows_file, replica.rows_file)
    compare_lines(report, "rejected rows", folder.rejected_file, replica.rejected_file)
    for export in write_exports(loaded, replica.rows, {**manifest, "exports": []}, path):
        compare_folders(report, folder.path / export["path"], path / export["path"])


def _same_models(recorded: dict[str, dict[str, str]], caller: Caller, folder: RunFolder) -> None:
    for name, about in recorded.items():
        if about.get("fingerprint") != caller.fingerprint(name):
            problem = "is another one than the run was made with: weights, dtype, device or engine"
            fix = "put the model back as it was, or make a new run"
            raise UsageError(problem, fix=fix, file=folder.path, key=f"models.{name}")


def _pay_again(replayer: Replayer, recorded: Ledger, options: Options, report: Report) -> None:
    """Ask the models themselves, and compare with what the ledger has."""
    by_model = attrgetter("model")
    for name, group in groupby(sorted(replayer.sample(), key=by_model), by_model):
        chosen = list(group)
        for finished in replayer.real_model(name).answer([drawn.call for drawn in chosen]):
            for index, replies in finished:
                key = chosen[index].key
                before = recorded.get([key])[key]
                compare_replies(report, f"call {key.hex()[:12]} to {name}", before, replies)
            if options.watch.stop_requested():
                raise Interrupted


def _not_the_same(folder: RunFolder, first: Difference, changes: list[str]) -> ReproductionError:
    fix = "the same job, versions and machine class give the same bytes: please report it"
    if changes:
        fix = "verify with the versions and on the machine class that the warning names"
    problem = (
        f"recorded {shorten(first.recorded, _SHOWN)}, made again {shorten(first.found, _SHOWN)}"
    )
    if first.line is None and not first.column:
        return ReproductionError(problem, fix=fix, file=folder.path / first.where)
    if first.line is None:
        return ReproductionError(f"{first.where}: {problem}", fix=fix, key=first.column)
    file = folder.path / first.where
    return ReproductionError(problem, fix=fix, file=file, line=first.line, key=first.column)
