"""Commands that are made to die: each in a fork of one process that has imported everything.

    with closing(Crashing()) as crashing:
        crashing.run(folder, "run", "job.yaml", "--out", "run", failpoint="rows.after_write=kill")
        crashing.run(folder, "resume", "run").code         # 0

A fork costs milliseconds where a new interpreter costs a second, so that hundreds of deaths can be
tried. Needs Linux.
"""

import contextlib
import functools
import gc
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import typer.main

REPOSITORY = Path(__file__).resolve().parents[1]
_WARMING = """
name: warming
models: {writer: {model: scripted}}
prompts: {ask: "variables: {topic: x}\\nmessages: [{role: user, content: '{{ topic }}'}]"}
sources: [{kind: topics, topics: [tea]}]
stages: [{kind: generate, model: writer, prompt: ask, adds: answer}]
rows: 1
exports: [{kind: jsonl}]
"""
_commands = functools.cache(typer.main.get_command)  # to build them anew takes half of the time
DISK = ".disk"
"""Beside the run: what the disk would hold if the power failed now; see `disk_after`."""


class Death(NamedTuple):
    """How a command ended: its exit code, or the negative number of the signal that ended it."""

    code: int
    out: str
    err: str


class Crashing:
    """A process that forks itself for every command; to be closed.

    Args:
        temporary: Where commands put their temporary files; None for where all do.
    """

    def __init__(self, temporary: str | None = None) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        if temporary is not None:
            environment["TMPDIR"] = temporary
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.crashing"],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it is warm

    @property
    def pid(self) -> int:
        """Of the process that forks."""
        return self._process.pid

    def run(
        self,
        folder: Path,
        *words: str,
        failpoint: str = "",
        kill_after: float | None = None,
        largest_file: int | None = None,
        record_disk: bool = False,
    ) -> Death:
        """Run a command in `folder`.

        Args:
            folder: The working folder.
            words: The command, without the program's name.
            failpoint: What `pipelines.failpoints` does; empty for nothing.
            kill_after: Seconds until the process is killed; None for never.
            largest_file: Bytes that a file can grow to; then the disk is full.
            record_disk: Keep beside the run what is flushed to disk; see `disk_after`.
        """
        order = {
            "folder": str(folder),
            "words": words,
            "failpoint": failpoint,
            "kill_after": kill_after,
            "largest_file": largest_file,
            "record_disk": record_disk,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Death(*json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def run_here(folder: Path, *words: str) -> Death:
    """Run a command in this very process: quicker than in a fork, for one that does not die.

    Args:
        folder: The working folder.
        words: The command, without the program's name.
    """
    from pipelines.cli import main

    out, err, code = io.StringIO(), io.StringIO(), 0
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    sys.argv = ["run_pipeline.py", *words]
    typer.main.get_command = _commands
    streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with contextlib.chdir(folder), streams[0], streams[1]:
        try:
            main()
        except SystemExit as exc:
            code = int(exc.code or 0)
    for number, handler in before.items():
        signal.signal(number, handler)
    return Death(code, out.getvalue(), err.getvalue())


def disk_after(power_cut: Path, into: Path, keep: str) -> None:
    """Make of a run folder what a disk holds of it after the power has failed.

    Args:
        power_cut: The run folder in the working folder of a command that ran with `record_disk`
            and was killed.
        into: Made anew, unless not even the folder's own name would be on disk.
        keep: What survives of what was not flushed: `nothing`, neither names nor bytes; `names`,
            so that a file is there and its last bytes are not; `half`, names and the first half of
            those bytes.
    """
    disk = power_cut.parent / DISK
    if keep != "nothing":
        _copy(power_cut, into, disk, keep)
        return
    names = _flushed_names(power_cut.parent.stat().st_ino, disk)
    if power_cut.name in names:
        _rebuild(names[power_cut.name][0], into, disk)


def _flushed_names(inode: int, disk: Path) -> dict[str, tuple[int, bool]]:
    """What a folder held when it was last flushed: the inodes, and which of them are folders."""
    listing = disk / f"folder-{inode}"
    names: dict[str, tuple[int, bool]] = json.loads(listing.read_text()) if listing.exists() else {}
    return names


def _rebuild(inode: int, into: Path, disk: Path) -> None:
    into.mkdir()
    for name, (entry, folder) in _flushed_names(inode, disk).items():
        if folder:
            _rebuild(entry, into / name, disk)
        else:
            (into / name).write_bytes(_flushed_bytes(entry, disk))


def _flushed_bytes(inode: int, disk: Path) -> bytes:
    flushed = disk / f"file-{inode}"
    return flushed.read_bytes() if flushed.exists() else b""


def _copy(there: Path, into: Path, disk: Path, keep: str) -> None:
    into.mkdir()
    for path in there.iterdir():
        if path.is_dir():
            _copy(path, into / path.name, disk, keep)
            continue
        data = _flushed_bytes(path.stat().st_ino, disk)
        rest = path.read_bytes()[len(data) :] if keep == "half" else b""
        (into / path.name).write_bytes(data + rest[: len(rest) // 2])


def _serve() -> None:
    """Fork for each order on stdin."""
    from pipelines.cli import main

    _warm_up()
    gc.freeze()  # so that the forks share the memory
    sys.stdout.write("warm\n")
    sys.stdout.flush()
    for line in sys.stdin:
        order: dict[str, Any] = json.loads(line)
        out, err = (Path(order["folder"]) / f".{name}-of-{os.getpid()}" for name in ("out", "err"))
        child = os.fork()
        if child == 0:
            _become(order, out, err)
            _exit_as(main)
        sys.stdout.write(json.dumps([_ended(child, order["kill_after"]), *_taken(out, err)]) + "\n")
        sys.stdout.flush()


def _exit_as(main: Callable[[], None]) -> NoReturn:
    """End the fork with the command's exit code, without tidying up."""
    code: Any = 1
    try:
        main()
    except SystemExit as exc:
        code = exc.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _warm_up() -> None:
    """Run a job, so that all is imported before the first fork; no thread may be left by it."""
    from tqdm import tqdm

    tqdm.monitor_interval = 0
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "job.yaml").write_text(_WARMING)
        for words in (("run", "job.yaml", "--out", "run"), ("resume", "run"), ("verify", "run")):
            run_here(Path(folder), *words)


def _become(order: dict[str, Any], out: Path, err: Path) -> None:
    """Make the fork a command: its folder, words, limits and streams."""
    os.chdir(order["folder"])
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), number)
    sys.argv = ["run_pipeline.py", *order["words"]]
    os.environ["TEXTMILL_FAILPOINT"] = order["failpoint"]
    if order["largest_file"] is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["largest_file"],) * 2)
    if order["record_disk"]:
        _record_disk(Path(order["folder"]) / DISK)


def _record_disk(disk: Path) -> None:
    """From now on keep a copy of all that is flushed, by the number of its inode."""
    flush = os.fsync
    disk.mkdir()

    def fsync(fd: Any) -> None:
        flush(fd)
        path = Path(f"/proc/self/fd/{fd}")
        inode = os.fstat(fd).st_ino
        if path.is_dir():
            entries = list(os.scandir(path))
            names = {entry.name: (entry.stat().st_ino, entry.is_dir()) for entry in entries}
            (disk / f"folder-{inode}").write_text(json.dumps(names))
        else:
            shutil.copyfile(path, disk / f"file-{inode}")

    os.fsync = fsync


def _ended(child: int, kill_after: float | None) -> int:
    """Wait for the fork, and kill it when its time has come."""
    end = None if kill_after is None else time.monotonic() + kill_after
    while True:
        ended, status = os.waitpid(child, 0 if end is None else os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if end is not None and time.monotonic() >= end:
            os.kill(child, signal.SIGKILL)
            end = None
        time.sleep(0.002)


def _taken(*paths: Path) -> list[str]:
    texts = [path.read_text(errors="replace") for path in paths]
    for path in paths:
        path.unlink()
    return texts


if __name__ == "__main__":
    _serve()
