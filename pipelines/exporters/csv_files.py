r"""CSV as RFC 4180 has it: a header, commas, CRLF, quotes where they are needed, UTF-8.

    {"q": "Why, oh why?", "n": 3, "tags": ["a"]}    "Why, oh why?",3,"[""a""]"
    {"q": "=1+1", "n": null, "tags": []}            '=1+1,,[]

A text that a spreadsheet would take for a formula gets an apostrophe in front, unless the job keeps
it as it is. Null is an empty cell, as an empty text is; lists and objects are JSON.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pipelines.exporters.base import EXPORTERS
from pipelines.exporters.columns import Type
from pipelines.exporters.tables import TableExporter
from pipelines.rows import JSON

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class CsvFile:
    """A CSV file.

    Args:
        path: The file.
        names: The header.
        formula_safe: Put an apostrophe before texts that begin like a formula.
    """

    def __init__(self, path: Path, names: Sequence[str], *, formula_safe: bool) -> None:
        self._file = path.open("wb")
        self._formula_safe = formula_safe
        self._bytes = 0
        self._write([_cell(name, formula_safe) for name in names])

    def add(self, record: Mapping[str, JSON]) -> None:
        """Append one record. Raises ValueError for NaN and what is not Unicode."""
        self._write([_cell(value, self._formula_safe) for value in record.values()])

    def size(self) -> int:
        """Bytes so far."""
        return self._bytes

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def _write(self, cells: Sequence[str]) -> None:
        if not cells:
            return
        line = io.StringIO(newline="")
        csv.writer(line, lineterminator="\r\n").writerow(cells)
        self._bytes += self._file.write(line.getvalue().encode())


@EXPORTERS.register
class Csv(TableExporter):
    """Rows as CSV.

    Attributes:
        formula_safe: Put an apostrophe before texts that begin with = + - @, a tab or a carriage
            return, so that no spreadsheet runs them.
    """

    suffix: ClassVar[str] = ".csv"

    kind: Literal["csv"] = "csv"
    formula_safe: bool = True

    def open_file(self, path: Path, types: Mapping[str, Type]) -> CsvFile:
        """Begin a file with its header."""
        return CsvFile(path, list(types), formula_safe=self.formula_safe)

    def encode(self, value: JSON) -> bytes:
        """A cell in UTF-8."""
        return _cell(value, self.formula_safe).encode()


def _cell(value: JSON, formula_safe: bool) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    return f"'{value}" if formula_safe and value.startswith(_FORMULA) else value
