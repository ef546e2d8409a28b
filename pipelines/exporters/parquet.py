"""Writes records to one Parquet file in bounded memory, the same bytes for the same records.

    with ParquetFile(folder / "data/train-00000-of-00001.parquet", {"text": TEXT}) as file:
        file.add({"text": "Once."})

The file's schema carries the `datasets` features, so that class names survive. It holds no time, no
file name and no random number.
"""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from pipelines.exporters.columns import Type, features
from pipelines.rows import JSON

_BATCH_ROWS = 100  # turned into Arrow together: what is held as Python objects
_GROUP_BYTES = 16 << 20  # a row group ends with the batch that reaches this size ...
_GROUP_ROWS = 10_000  # ... or this number of rows, so that viewers can page through it


class ParquetFile:
    """A Parquet file that is written record by record.

    Args:
        path: The file; its folder is made.
        types: The columns, in order.
    """

    def __init__(self, path: Path, types: Mapping[str, Type]) -> None:
        from pyarrow import OSFile
        from pyarrow.parquet import ParquetWriter

        path.parent.mkdir(exist_ok=True)
        self._schema = features(types).arrow_schema
        self._sink = OSFile(str(path), "wb")
        self._writer = ParquetWriter(self._sink, self._schema, compression="zstd")
        self._records: list[Mapping[str, JSON]] = []
        self._batches: list[Any] = []
        self._bytes = 0
        self.rows = 0

    def add(self, record: Mapping[str, JSON]) -> None:
        """Append one record; every value must be of its column's type, or null."""
        self._records.append(record)
        self.rows += 1
        if len(self._records) == _BATCH_ROWS:
            self._convert()
            if self._bytes >= _GROUP_BYTES or len(self._batches) * _BATCH_ROWS >= _GROUP_ROWS:
                self._flush()

    def size(self) -> int:
        """Bytes on disk so far: whole row groups."""
        return int(self._sink.tell())

    def close(self) -> None:
        """Write what is left, and the footer."""
        self._convert()
        self._flush()
        self._release()

    def __enter__(self) -> "ParquetFile":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._release()

    def _release(self) -> None:
        self._writer.close()
        self._sink.close()

    def _convert(self) -> None:
        from pyarrow import RecordBatch

        if self._records:
            batch = RecordBatch.from_pylist(self._records, schema=self._schema)
            self._batches.append(batch)
            self._bytes += batch.nbytes
            self._records = []

    def _flush(self) -> None:
        from pyarrow import Table

        if self._batches:
            self._writer.write_table(Table.from_batches(self._batches, schema=self._schema))
            self._batches = []
            self._bytes = 0
