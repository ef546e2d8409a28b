"""Parquet files that other processes make, several at a time, and this one puts in their place.

    rows 0 to 99,999           ->  one process   ->  data-00000-of-00003.parquet
    rows 100,000 to 199,999    ->  another one   ->  data-00001-of-00003.parquet

A process is given the lines of one file's rows and gives back the file's bytes. They are written
into the new folder that `pipelines.exporters.placing` moves to its place once it is complete, so
that nobody sees a part of them. The bytes are those of files made one after another: their borders
follow from `shard_rows` alone. Where `shard_mb` would end a file before, or a row does not fit, the
export is made once more in this process, which knows the border, or names the row.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from pipelines.exporters.base import Exporter, Finished
from pipelines.exporters.columns import Type
from pipelines.exporters.parquet import ParquetFile
from pipelines.exporters.placing import place
from pipelines.exporters.projection import JoinedProjection
from pipelines.exporters.shapes import Record
from pipelines.rows import JSON, Row
from prompts.errors import UsageError

P = TypeVar("P", bound=JoinedProjection)


class Overfull(Exception):
    """A file would end before its last row, since it is as large as it may be."""


@dataclass(slots=True)
class Parcel:
    """The rows of one file.

    Attributes:
        split: Their split; empty where there are none.
        index: The place of the first of them in its split.
        places: Their places in the run.
        lines: The rows as the run has them.
    """

    split: str
    index: int = 0
    places: list[int] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)

    def rows(self) -> Iterator[Row]:
        """The rows."""
        return (Row.from_json(json.loads(line)) for line in self.lines)


def parcels(lines: Iterable[bytes], splits: Iterable[str], size: int) -> Iterator[Parcel]:
    """The rows in parcels of one split each, of `size` rows but for the last of a split."""
    held: dict[str, Parcel] = {}
    given = Counter[str]()
    for number, (line, split) in enumerate(zip(lines, splits, strict=False)):
        parcel = held.setdefault(split, Parcel(split, given[split]))
        parcel.places.append(number)
        parcel.lines.append(line)
        given[split] += 1
        if len(parcel.lines) == size:
            yield held.pop(split)
    yield from held.values()


def is_spread(run: Finished, shard_rows: int) -> bool:
    """Whether there are other processes, and more rows than one file takes."""
    return run.spread is not None and 0 < shard_rows < run.manifest["rows"]


def write_export(exporter: Exporter, run: Finished, target: Path) -> dict[str, Any]:
    """Write an export to `target` in the place of what is there; gives what the exporter says.

    Raises:
        UsageError: The rows do not fit the format.
        ResourceError: The disk is full, or the other processes ended again and again.
    """
    if run.spread is not None:
        try:
            return place(partial(exporter.write, run), target, overwrite=True)
        except (Overfull, UsageError):  # of a part, which knows less than the whole
            run = replace(run, spread=None)
    return place(partial(exporter.write, run), target, overwrite=True)


def surveyed(projection: P, found: Iterable[Parcel], run: Finished) -> None:
    """Show all rows to the projection: the first one here, the parcels elsewhere."""
    assert run.spread is not None
    projection.survey(next(run.rows()))
    for part in run.spread.map(partial(_survey, projection), found):
        projection.join(part)


def _survey(projection: P, parcel: Parcel) -> P:
    for row in parcel.rows():
        projection.survey(row)
    return projection


def records_file(
    projection: JoinedProjection, types: Mapping[str, Type], megabytes: int, parcel: Parcel
) -> tuple[bytes, int]:
    """The file of a parcel's records, and how many these are."""
    records = (projection.record(row) for row in parcel.rows())
    return parquet_bytes(records, types, megabytes), len(parcel.lines)


def parquet_bytes(
    records: Iterable[Record | dict[str, JSON]], types: Mapping[str, Type], megabytes: int
) -> bytes:
    """A Parquet file.

    Args:
        records: What it holds.
        types: The columns, in order.
        megabytes: The size at which it would end; 0 for any.

    Raises:
        Overfull: It would end before the last record.
    """
    with TemporaryDirectory(prefix="textmill-") as folder:
        path = Path(folder) / "part.parquet"
        with ParquetFile(path, types) as file:
            for record in records:
                if megabytes and file.size() >= megabytes * 10**6:
                    raise Overfull
                file.add(record)
        return path.read_bytes()
