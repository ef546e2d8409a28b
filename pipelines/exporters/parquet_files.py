"""Parquet: the table alone, without splits, lineage or card.

{kind: parquet, format: scored-pairs, shard_rows: 100000}

data-00000-of-00003.parquet     sentence1: string, sentence2: string, score: double
"""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pipelines.exporters.base import EXPORTERS
from pipelines.exporters.columns import Type
from pipelines.exporters.parquet import ParquetFile
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
