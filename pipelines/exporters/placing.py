"""Puts a finished folder in its place in one rename, so that a reader sees all of it or none of it.

    place(lambda folder: exporter.write(run, folder), Path("outputs/demo/dataset"), overwrite=True)

    outputs/demo/.dataset.x1f_9q2k.partial/new    written first, flushed to disk
    outputs/demo/.dataset.x1f_9q2k.partial/old    what was there before; deleted at the end
    outputs/demo/dataset                          appears by rename

A process that is killed on the way leaves a `.partial` folder behind. The next `place` for the same
target puts back an old folder that had been moved aside, and deletes the rest.
"""

import errno
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pipelines.failpoints import reach
from pipelines.files import disk_errors, sync_folder
from prompts.errors import UsageError

T = TypeVar("T")

_SUFFIX = ".partial"
_NO_PLACE = {errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG}


def place(write: Callable[[Path], T], target: Path, overwrite: bool = False) -> T:
    """Let `write` fill a new folder, then move that folder to `target`.

    Args:
        write: Is given an empty folder; what it returns is handed on.
        target: Where the folder shall be. Parents are made.
        overwrite: Replace what is at `target`. It stays whole until the new folder is complete.

    Raises:
        UsageError: `target` exists and is not to be replaced, or no folder can be there.
        ResourceError: The disk is full or cannot be written; nothing new is left on it.
    """
    with disk_errors(target):
        with _usable(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        _clear_leftovers(target)
        if os.path.lexists(target) and not overwrite:
            fix = "choose another folder, or replace it with --overwrite"
            raise UsageError("exists already", fix=fix, file=target)
        with _workshop(target) as room:
            new = room / "new"
            new.mkdir()
            reach("export.before_write")
            result = write(new)
            reach("export.after_write")
            _sync(new)
            reach("export.after_fsync")
            _swap(new, target, room / "old")
    return result


def _swap(new: Path, target: Path, old: Path) -> None:
    replaced = os.path.lexists(target)
    if replaced:
        target.rename(old)
    try:
        reach("export.after_move_aside")
        new.rename(target)
    except OSError:
        if replaced:
            old.rename(target)
        raise
    reach("export.after_rename")
    sync_folder(target.parent)
    reach("export.after_folder_sync")


def _sync(folder: Path) -> None:
    for inside, _, names in os.walk(folder):
        for name in names:
            with (Path(inside) / name).open("rb") as file:
                os.fsync(file.fileno())
        sync_folder(Path(inside))


@contextmanager
def _workshop(target: Path) -> Iterator[Path]:
    """A temporary sibling of `target`, locked while it is in use and deleted afterwards."""
    with _usable(target):
        made = tempfile.mkdtemp(prefix=f".{target.name}.", suffix=_SUFFIX, dir=target.parent)
    room = Path(made)
    descriptor = os.open(room, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)
        os.close(descriptor)


@contextmanager
def _usable(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno not in _NO_PLACE:
            raise
        problem = f"no folder can be made there: {exc.strerror}"
        raise UsageError(problem, fix="choose another folder", file=target) from exc


def _clear_leftovers(target: Path) -> None:
    """Undo what killed processes left for this target; the kernel has released their locks."""
    for room in _rooms(target):
        descriptor = os.open(room, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.lexists(room / "old") and not os.path.lexists(target):
                (room / "old").rename(target)
            shutil.rmtree(room)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)


def _rooms(target: Path) -> list[Path]:
    name = re.compile(rf"\.{re.escape(target.name)}\.[^.]+{re.escape(_SUFFIX)}")
    return sorted(path for path in target.parent.iterdir() if name.fullmatch(path.name))
