"""JSON Lines: one object a line in `data.jsonl`, all with the same keys in the same order.

{kind: jsonl, columns: [question, answer]}   ->   {"question": "When?", "answer": "At noon."}
{kind: jsonl, format: openai}                ->   {"messages": [{"role": "user", ...}, ...]}
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

import jsonlines

from pipelines.exporters.base import EXPORTERS
from pipelines.exporters.columns import Type
from pipelines.exporters.tables import TableExporter
from pipelines.rows import JSON


class JsonlFile:
    """A file of JSON Lines in UTF-8, without escapes beyond JSON's own."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._writer = jsonlines.Writer(self._file, dumps=_dumps)
        self._bytes = 0

    def add(self, record: Mapping[str, JSON]) -> None:
        """Append one line. Raises ValueError for what JSON in UTF-8 has no form for."""
        self._bytes += self._writer.write(record)

    def size(self) -> int:
        """Bytes so far."""
        return self._bytes

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
        self._file.close()

    def __enter__(self) -> "JsonlFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@EXPORTERS.register
class Jsonl(TableExporter):
    """Rows as JSON Lines; a row without one of the columns has null there."""

    suffix: ClassVar[str] = ".jsonl"
    lines: ClassVar[bool] = True

    kind: Literal["jsonl"] = "jsonl"

    def open_file(self, path: Path, types: Mapping[str, Type]) -> JsonlFile:
        """Begin a file."""
        return JsonlFile(path)

    def encode(self, value: JSON) -> bytes:
        """A value in UTF-8."""
        return _dumps(value).encode()


def _dumps(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
