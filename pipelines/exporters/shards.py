"""One table in files of bounded size, named as the Hub names them once their number is known.

    with Shards(folder, "train", ".parquet", open_file, Limit(rows=1000)) as shards:
        shards.add({"text": "Once."})

    train-00000-of-00003.parquet, train-00001-of-00003.parquet, ...

A file ends with the record that reaches the limit, so that the same records give the same files.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol

from pipelines.rows import JSON


class RecordFile(Protocol):
    """A file that is written record by record."""

    def add(self, record: Mapping[str, JSON]) -> None:
        """Append one record."""

    def size(self) -> int:
        """Bytes written so far, as far as they are known."""

    def close(self) -> None:
        """Finish the file."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How large a file may become; 0 for any size.

    Attributes:
        rows: Records.
        megabytes: 10^6 bytes. A Parquet file is measured by its whole row groups.
    """

    rows: int = 0
    megabytes: int = 0

    def __bool__(self) -> bool:
        return bool(self.rows or self.megabytes)


class Shards:
    """The files of one table, written one after another; at least one, even without records.

    Args:
        folder: Where they lie; made if missing.
        stem: How their names begin.
        suffix: How their names end, with the dot.
        open_file: Begins a file.
        limit: When a file ends. Without any there is one file, `STEM SUFFIX` together, unless it is
            to be numbered all the same.
        numbered: Number the files in any case.
    """

    def __init__(
        self,
        folder: Path,
        stem: str,
        suffix: str,
        open_file: Callable[[Path], RecordFile],
        limit: Limit,
        *,
        numbered: bool = False,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self._stem = stem
        self._suffix = suffix
        self._open_file = open_file
        self._limit = limit
        self._numbered = numbered or bool(limit)
        self._file: RecordFile | None = None
        self._files = 0
        self._in_file = 0
        self.rows = 0

    def add(self, record: Mapping[str, JSON]) -> None:
        """Append one record, to a new file where the last one is full."""
        if self._file is not None and self._is_full(self._file):
            self._file.close()
            self._file = None
        if self._file is None:
            self._file = self._begin()
        self._file.add(record)
        self._in_file += 1
        self.rows += 1

    def add_file(self, content: bytes, rows: int) -> None:
        """Append a file that was made elsewhere, of that many records."""
        self._draft(self._files).write_bytes(content)
        self._files += 1
        self.rows += rows

    def names(self) -> list[str]:
        """The files' names, once all are written."""
        return [self._name(number) for number in range(self._files)]

    def __enter__(self) -> "Shards":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and not self._files:
            self._file = self._begin()
        if self._file is not None:
            self._file.close()
        if kind is None:
            for number, name in enumerate(self.names()):
                self._draft(number).rename(self._folder / name)

    def _begin(self) -> RecordFile:
        self._files += 1
        self._in_file = 0
        return self._open_file(self._draft(self._files - 1))

    def _is_full(self, file: RecordFile) -> bool:
        by_rows = self._limit.rows and self._in_file >= self._limit.rows
        return bool(by_rows) or (
            bool(self._limit.megabytes) and file.size() >= self._limit.megabytes * 10**6
        )

    def _draft(self, number: int) -> Path:
        return self._folder / f"{self._stem}-{number:05d}.part{self._suffix}"

    def _name(self, number: int) -> str:
        if not self._numbered:
            return f"{self._stem}{self._suffix}"
        return f"{self._stem}-{number:05d}-of-{self._files:05d}{self._suffix}"
