"""Parquet: the table alone, without splits, lineage or card.

{kind: parquet, format: scored-pairs, shard_rows: 100000}

data-00000-of-00003.parquet     sentence1: string, sentence2: string, score: double
"""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import ClassVar, Literal

from pipelines.exporters.base import EXPORTERS, Finished
from pipelines.exporters.columns import Type
from pipelines.exporters.parquet import ParquetFile
from pipelines.exporters.projection import LooseProjection
from pipelines.exporters.shards import Limit, Shards
from pipelines.exporters.spreading import Parcel, is_spread, parcels, records_file, surveyed
from pipelines.exporters.tables import TableExporter


@EXPORTERS.register
class Parquet(TableExporter):
    """Rows as Parquet; types are the format's, or inferred from all values."""

    suffix: ClassVar[str] = ".parquet"
    typed: ClassVar[bool] = True

    kind: Literal["parquet"] = "parquet"

    def open_file(self, path: Path, types: Mapping[str, Type]) -> ParquetFile:
        """Begin a file with the schema of the types."""
        return ParquetFile(path, types)

    def write_table(self, run: Finished, folder: Path) -> Shards:
        """Write the table and give its files, which other processes make where there are some."""
        if run.spread is None or not is_spread(run, self.shard_rows):
            return super().write_table(run, folder)
        projection = self.projection()
        assert not isinstance(projection, LooseProjection)  # whose columns have no types
        surveyed(projection, self._parcels(run), run)
        types = projection.types()
        made = partial(records_file, projection, types, self.shard_mb)
        limit = Limit(self.shard_rows, self.shard_mb)
        open_file = partial(self.open_file, types=types)
        with Shards(folder, self.stem, self.suffix, open_file, limit) as shards:
            for content, rows in run.spread.map(made, self._parcels(run)):
                shards.add_file(content, rows)
        return shards

    def _parcels(self, run: Finished) -> Iterator[Parcel]:
        assert run.spread is not None
        return parcels(run.spread.lines(), repeat(""), self.shard_rows)
