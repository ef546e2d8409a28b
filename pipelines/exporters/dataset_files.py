"""The Parquet files of a Hugging Face dataset: for each split its data and its lineage.

    data/train-00000-of-00002.parquet       prompt, completion
    lineage/train-00000-of-00002.parquet    id, split, index, family, ..., history

They are written row by row in this process, or file by file by others.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pipelines.exporters.base import Finished
from pipelines.exporters.columns import Type
from pipelines.exporters.layout import DATA, LINEAGE_CONFIG
from pipelines.exporters.lineage import LINEAGE, lineage
from pipelines.exporters.parquet import ParquetFile
from pipelines.exporters.profile import Profile
from pipelines.exporters.projection import Projection
from pipelines.exporters.shapes import Record
from pipelines.exporters.shards import Limit, Shards
from pipelines.exporters.spreading import Parcel, parcels, parquet_bytes

Tables = dict[str, Shards]


@dataclass(frozen=True, slots=True)
class Splits:
    """How the rows become files.

    Attributes:
        projection: From rows to records, all rows surveyed.
        names: The splits that have files.
        limit: When a file ends.
    """

    projection: Projection
    names: Sequence[str]
    limit: Limit

    def tables(self, stack: ExitStack, folder: Path) -> tuple[Tables, Tables]:
        """The files of data and of lineage, by split."""
        data, origins = (
            {
                split: stack.enter_context(_shards(folder / config, split, types, self.limit))
                for split in self.names
            }
            for config, types in ((DATA, self.projection.types()), (LINEAGE_CONFIG, LINEAGE))
        )
        return data, origins


def write_files(
    run: Finished,
    folder: Path,
    splits: Splits,
    split_of: Mapping[str, str],
    families: Sequence[str],
    profile: Profile,
) -> tuple[dict[str, int], Record | None]:
    """Write both configs and show all records to `profile`.

    Args:
        run: The rows.
        folder: Where the configs' folders are made.
        splits: How the rows become files.
        split_of: Family -> split.
        families: That of each row, where other processes make the files; else empty.
        profile: Takes in the records.

    Returns:
        The rows of each split, and the first record as an example.
    """
    if families:
        return _write_spread(run, folder, splits, (split_of[one] for one in families), profile)
    example: Record | None = None
    with ExitStack() as stack:
        data, origins = splits.tables(stack, folder)
        for row in run.rows():
            split = split_of[row.family]
            record = splits.projection.record(row)
            origins[split].add(lineage(row, split, data[split].rows))
            data[split].add(record)
            profile.add(record)
            example = example or record
    return {split: file.rows for split, file in data.items()}, example


def _write_spread(
    run: Finished, folder: Path, splits: Splits, chosen: Iterable[str], profile: Profile
) -> tuple[dict[str, int], Record | None]:
    """As `write_files`, with files that other processes make; `chosen` is the split of each row."""
    assert run.spread is not None
    make = partial(_made, splits, profile)
    with ExitStack() as stack:
        data, origins = splits.tables(stack, folder)
        found = parcels(run.spread.lines(), chosen, splits.limit.rows)
        for made in run.spread.map(make, found):
            data[made.split].add_file(made.data, made.rows)
            origins[made.split].add_file(made.origins, made.rows)
            profile.join(made.profile)
    example = splits.projection.record(next(run.rows()))
    return {split: file.rows for split, file in data.items()}, example


class _Made(NamedTuple):
    """A parcel's two files, and the profile of its records."""

    split: str
    rows: int
    data: bytes
    origins: bytes
    profile: Profile


def _made(splits: Splits, profile: Profile, parcel: Parcel) -> _Made:
    """Make a parcel's files; `profile` is empty, and one of many copies."""
    rows, types, megabytes = list(parcel.rows()), splits.projection.types(), splits.limit.megabytes
    records = [splits.projection.record(row) for row in rows]
    for place, record in zip(parcel.places, records, strict=True):
        profile.add(record, place)
    data = parquet_bytes(records, types, megabytes)
    events = (lineage(row, parcel.split, n) for n, row in enumerate(rows, start=parcel.index))
    origins = parquet_bytes(events, LINEAGE, megabytes)
    return _Made(parcel.split, len(rows), data, origins, profile)


def _shards(folder: Path, split: str, types: Mapping[str, Type], limit: Limit) -> Shards:
    """The files of a split in the folder of a config."""

    def open_file(path: Path) -> ParquetFile:
        return ParquetFile(path, types)

    return Shards(folder, split, ".parquet", open_file, limit, numbered=True)
