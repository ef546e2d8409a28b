"""Files of a source: found, named and opened so that no file can stop, hang or mislead a run.

    for found in find_files(["handbook", "notes/*.md"], view, {".md", ".txt"}):
        found    # File(path=Path("handbook/leave/sick.md"), name="leave/sick.md")
                 # or BadSeed("pipe.txt", "not_a_file", "a FIFO")

A folder is read with all it holds but hidden files; links are followed to files inside it and to
nowhere else.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Any, Protocol

from pydantic import BeforeValidator, Field

from chains.loading.base import Unreadable
from pipelines.sources.base import BadSeed

_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}

_TABLES = frozenset({".csv", ".jsonl", ".ndjson", ".parquet", ".tsv"})
_OLD_OFFICE = {".doc": ".docx", ".ppt": ".pptx", ".xls": ".xlsx"}


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


AnyPaths = Annotated[
    tuple[Annotated[str, Field(min_length=1)], ...],
    Field(min_length=1),
    BeforeValidator(_one_or_many),
]
"""Annotation of a source's field that takes one path or a list: files, folders, glob patterns."""


@dataclass(frozen=True, slots=True)
class File:
    """A file to read.

    Attributes:
        path: Where it lies.
        name: What rows call it: its path below the folder that the job names, with slashes.
    """

    path: Path
    name: str


class PathView(Protocol):
    """Whatever finds a path of the job: a source's view, or a stage's."""

    def path(self, text: str) -> Path:
        """`text` as an existing path or a glob pattern that matches something."""


def find_files(
    paths: Iterable[str], view: PathView, suffixes: Iterable[str]
) -> Iterator[File | BadSeed]:
    """The files that `paths` name, each once, in the order of the paths and then of their names.

    Args:
        paths: Files, folders and glob patterns.
        view: Resolves them.
        suffixes: The endings that can be read, lower case with their dot.

    Raises:
        SourceError: A path leads to nothing.
    """
    known = frozenset(suffixes)
    seen: set[Path] = set()
    names: set[str] = set()
    for text in paths:
        given = view.path(text)
        root, places = _places(given)
        for place in places:
            for path in _walk(place):
                name = _name(path, root)
                try:
                    real = _check(path, root, known, named=path == given)
                except Unreadable as bad:
                    yield BadSeed.of(bad, name)
                    continue
                if real not in seen:
                    seen.add(real)
                    yield File(path, _unused(name, root, names))


def open_file(path: Path) -> BufferedReader:
    """`path` opened for reading, if it is an ordinary file.

    Raises:
        Unreadable: `not_a_file`, `permission_denied`, `not_found`, `symlink_loop` or `unreadable`.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        _refuse_special(path.stat())
        descriptor = os.open(path, flags)
    except OSError as exc:
        raise _why(exc) from exc
    try:
        _refuse_special(os.fstat(descriptor))  # it may have been replaced in between
    except Unreadable:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def read_file(path: Path, *, most: int) -> bytes:
    """The bytes of `path`.

    Args:
        path: A file.
        most: Bytes it may hold.

    Raises:
        Unreadable: As `open_file`; `too_large` above `most`, `empty` without a byte.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            data = file.read(most + 1)  # a file may be longer than it says, such as one of /proc
        except OSError as exc:
            raise _why(exc) from exc
    if len(data) > most:
        raise Unreadable("too_large", f"{max(size, len(data))} bytes, at most {most} are read")
    if not data:
        raise Unreadable("empty", "no bytes")
    return data


def hash_files(files: Iterable[File | BadSeed], *, most: int | None = None) -> list[str]:
    """One entry a file, which changes with its name, its bytes or the reason it cannot be read.

    Of a file of more than `most` bytes, which nobody is going to read, only the size is looked at.
    """
    entries = []
    for found in files:
        if isinstance(found, BadSeed):
            entries.append(f"{found.key}:{found.reason}")
            continue
        try:
            with open_file(found.path) as file:
                size = os.fstat(file.fileno()).st_size
                if most is not None and size > most:
                    entries.append(f"{found.name}:too_large:{size}")
                    continue
                entries.append(f"{found.name}:{hashlib.file_digest(file, 'sha256').hexdigest()}")
        except Unreadable as bad:
            entries.append(f"{found.name}:{bad.reason}")
        except OSError as exc:
            entries.append(f"{found.name}:{_why(exc).reason}")
    return entries


def _places(path: Path) -> tuple[Path, list[Path]]:
    """The folder that names are relative to, and the files and folders to read."""
    if path.is_dir():
        return path, [path]
    if path.exists():
        return path.parent, [path]
    parts = path.parts
    fixed = next((i for i, part in enumerate(parts) if set(part) & set("*?[")), len(parts))
    root = Path(*parts[:fixed])
    found = sorted(root.glob(str(Path(*parts[fixed:]))), key=lambda p: p.parts)
    return root, [p for p in found if not any(part.startswith(".") for part in p.parts[fixed:])]


def _walk(place: Path) -> Iterator[Path]:
    """Files, links and whatever else is no folder, in the order of their path's parts."""
    stack = [place]
    while stack:
        path = stack.pop()
        children = _children(path, follow=path is place)
        if children is None:
            yield path
        else:
            stack.extend(sorted(children, key=lambda child: child.name, reverse=True))


def _children(path: Path, *, follow: bool) -> list[Path] | None:
    """What a folder holds but hidden files; None for what is no folder or cannot be listed."""
    try:
        if path.is_dir() and (follow or not path.is_symlink()):
            return [child for child in path.iterdir() if not child.name.startswith(".")]
    except OSError:
        pass  # `_check` says why
    return None


def _check(path: Path, root: Path, suffixes: frozenset[str], *, named: bool) -> Path:
    """The real path of a file that can be read; a file that the job itself names may be a link."""
    try:
        real = Path(os.path.realpath(path, strict=True))
        status = real.stat()
        if stat.S_ISDIR(status.st_mode):
            os.scandir(path).close()
            raise Unreadable("linked_folder", "links to folders are not followed")
    except OSError as exc:
        raise _why(exc) from exc
    if not named and not real.is_relative_to(root.resolve()):
        raise Unreadable("outside_folder", "a link that leads out of the folder")
    _refuse_special(status)
    if path.suffix.lower() not in suffixes:
        raise Unreadable("unsupported_type", _unsupported(path, suffixes))
    return real


def _unsupported(path: Path, suffixes: frozenset[str]) -> str:
    """Why the ending of a file is none that is read, and what reads it instead."""
    suffix = path.suffix.lower()
    if suffix in _TABLES:
        return f"'{suffix}' holds records; use the source records"
    if suffix in _OLD_OFFICE:
        return f"'{suffix}'; save it as {_OLD_OFFICE[suffix]}"
    found = f"'{path.suffix}'" if path.suffix else "a name without an ending"
    return f"{found}; read are {', '.join(sorted(suffixes))}"


def _refuse_special(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        what = _KINDS.get(stat.S_IFMT(status.st_mode), "no ordinary file")
        raise Unreadable("not_a_file", what)


def _why(exc: OSError) -> Unreadable:
    reasons = {
        errno.EACCES: "permission_denied",
        errno.EPERM: "permission_denied",
        errno.ENOENT: "not_found",
        errno.ELOOP: "symlink_loop",
    }
    return Unreadable(reasons.get(exc.errno or 0, "unreadable"), exc.strerror or str(exc))


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path != root else path.name


def _unused(name: str, root: Path, names: set[str]) -> str:
    """`name`, with the folder's own name before it when an earlier folder holds one like it."""
    while name in names:
        name = f"{root.resolve().name}/{name}"
    names.add(name)
    return name
