"""Writing files so that they are whole on disk, and the two text formats that runs are kept in."""

import errno
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonlines
import yaml

from pipelines.failpoints import reach
from pipelines.rows import JSON
from prompts.errors import CorruptRunError, ResourceError
from prompts.yaml_scalars import Ambiguous, read_plain

_EXHAUSTED = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM,
}  # fmt: skip


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full, failing or read-only disk into a `ResourceError` that names the file.

    Raises:
        ResourceError: The disk is full, over quota, broken or cannot be written.
    """
    try:
        yield
    except OSError as exc:
        if exc.errno not in _EXHAUSTED:
            raise
        fix = "free some space or choose another folder, then resume; what is committed is kept"
        raise ResourceError(f"cannot be written: {exc.strerror}", fix=fix, file=path) from exc


def write_atomically(path: Path, text: str) -> None:
    """Write a whole file so that it is either the old one or the new one, on disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with disk_errors(path):
        try:
            _clear_leftovers(path)
            reach("file.before_write")
            with temporary.open("w", encoding="utf-8", newline="\n") as file:
                file.write(text)
                file.flush()
                reach("file.after_write")
                os.fsync(file.fileno())
            reach("file.after_fsync")
            temporary.replace(path)
            reach("file.after_rename")
            sync_folder(path.parent)
            reach("file.after_folder_sync")
        finally:
            temporary.unlink(missing_ok=True)


def _clear_leftovers(path: Path) -> None:
    """Delete what processes that were killed on the way have left of this file."""
    name = re.compile(rf"\.{re.escape(path.name)}\.(\d+)")
    for entry in os.scandir(path.parent):
        if (match := name.fullmatch(entry.name)) and not _alive(int(match[1])):
            Path(entry.path).unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename in it survives a power loss."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_jsonl(path: Path) -> Iterator[dict[str, JSON]]:
    """The records of a JSON Lines file; a file that is not there has none.

    Raises:
        CorruptRunError: A line is not a JSON object.
    """
    if not path.exists():
        return
    with jsonlines.open(path, loads=json.loads) as reader:  # orjson reads 2**64 as a float
        try:
            yield from reader.iter(type=dict)
        except jsonlines.InvalidLineError as exc:
            problem = "the line is not a JSON object"
            fix = "put the file back from a copy"
            raise CorruptRunError(problem, fix=fix, file=path, line=exc.lineno) from exc


def dump_yaml(data: Mapping[str, JSON]) -> str:
    """Readable YAML: keys in their order, texts of several lines as blocks, no aliases."""
    return yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


_BREAKS = set("\x85\u2028\u2029")  # line breaks to YAML 1.1, which quotes alone do not keep


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if set(text) & _BREAKS:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
    try:
        style = None if read_plain(text) == text else "'"
    except Ambiguous:  # what the two versions of YAML read in two ways
        style = "'"
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else style
    )


_Dumper.add_representer(str, _represent_text)
