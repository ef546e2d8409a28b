"""Records of one file, as a stream: JSON Lines, CSV or Parquet.

for record in read_jsonl(file):
record     # Record(7, {"id": 7, "q": "When?"})
# Record(8, Unreadable("bad_json", "Expecting value: line 1 column 9 (char 8)"))
"""

import codecs
import csv
import json
from collections import Counter
from collections.abc import Iterator
from io import BufferedReader, TextIOWrapper
from typing import Any, NamedTuple

import jsonlines

from chains.loading.base import Unreadable
from chains.loading.encodings import detect
from pipelines.sources.lines import LONGEST, CappedLines, LineTooLong

_CHUNK = 1 << 20  # bytes looked at together for a file's encoding
_BATCH = 500  # rows of Parquet held together


class Record(NamedTuple):
    """One record, or why there is none.

    Attributes:
        place: The line it begins on, or for Parquet its row; from 1. 0 stands for the whole file.
        content: Its columns, or what is wrong with it.
    """

    place: int
    content: dict[str, Any] | Unreadable


def read_jsonl(file: BufferedReader) -> Iterator[Record]:
    """One record a line, split on the line feed alone; blank lines are passed over.

    Bad ones are `bad_json` (also NaN, a key that stands twice, nesting beyond Python's depth, a
    line that is no object), `not_utf8` and `line_too_long`.
    """
    if file.peek(2)[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
        yield Record(0, Unreadable("not_utf8", "UTF-16; JSON Lines is UTF-8"))
        return
    lines = CappedLines(file)
    reader = jsonlines.Reader(lines, loads=_loads)
    while True:
        try:
            content: Any = reader.read(type=dict, skip_empty=True)
        except EOFError:
            return
        except LineTooLong as exc:
            content = Unreadable("line_too_long", str(exc))
        except jsonlines.InvalidLineError as exc:
            utf8 = not isinstance(exc.__cause__, UnicodeDecodeError)
            detail = str(exc.__cause__ or exc.message)
            content = Unreadable("bad_json" if utf8 else "not_utf8", detail)
        except RecursionError:
            content = Unreadable("bad_json", "nested too deep")
        yield Record(lines.number, content)


def _loads(text: str | bytes) -> Any:
    return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(name for name, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key '{twice}' stands twice")
    return made


def read_csv(file: BufferedReader, delimiter: str) -> Iterator[Record]:
    """One record a row under the header, which is the first row that is not blank.

    Bad ones are `ragged_row`, `bad_csv` (a quote that is not closed), `line_too_long`; for the
    whole file or its rest `bad_header`, `binary` and `undecodable`.
    """
    try:
        encoding = _encoding(file)
    except Unreadable as bad:
        yield Record(0, bad)
        return
    file.seek(0)
    csv.field_size_limit(LONGEST)  # the module's own limit of 128 KiB is too low for documents
    with TextIOWrapper(file, encoding=encoding, newline="") as text:
        yield from _csv_records(CappedLines(text), delimiter, encoding)


def _csv_records(lines: CappedLines[str], delimiter: str, encoding: str) -> Iterator[Record]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] = []
    while True:
        place = lines.number + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except (csv.Error, LineTooLong) as exc:
            reason = "bad_csv" if isinstance(exc, csv.Error) else "line_too_long"
            yield Record(place, Unreadable(reason, str(exc)))
            continue
        except UnicodeDecodeError as exc:
            detail = f"not {encoding}: {exc.reason}; all from here on is left out"
            yield Record(place, Unreadable("undecodable", detail))
            return
        if header:
            if row:
                yield Record(place, _named(row, header))
        elif len(set(row)) < len(row):
            yield Record(0, Unreadable("bad_header", f"two columns of one name: {row}"))
            return
        else:
            header = row


def _named(row: list[str], header: list[str]) -> dict[str, Any] | Unreadable:
    if len(row) != len(header):
        return Unreadable("ragged_row", f"{len(row)} cells, the header has {len(header)}")
    return dict(zip(header, row, strict=True))


def _encoding(file: BufferedReader) -> str:
    """The encoding of a whole file, which may be plain ASCII for long before it tells."""
    chunk = file.read(_CHUNK)
    encoding = detect(chunk, cut=len(chunk) == _CHUNK)
    decoder = codecs.getincrementaldecoder("utf-8")()
    while chunk and encoding == "utf-8":
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError:
            return detect(chunk, cut=True)
        chunk = file.read(_CHUNK)
    return encoding


def read_parquet(file: BufferedReader, columns: list[str]) -> Iterator[Record]:
    """One record a row, in batches.

    Args:
        file: A Parquet file.
        columns: Those to read; empty reads all.

    Yields:
        Records. Bad ones are `bad_parquet` for the whole file or its rest, `bad_header` for the
        whole, and `not_json` for a row with a date beyond Python's years.
    """
    import pyarrow as pa
    from pyarrow import parquet

    place = 0
    try:
        table = parquet.ParquetFile(file)
        names = table.schema_arrow.names
        if len(set(names)) < len(names):
            yield Record(0, Unreadable("bad_header", f"two columns of one name: {names}"))
            return
        there = bool(columns) and set(columns) <= set(names)  # else the error lists all columns
        for batch in table.iter_batches(_BATCH, columns=columns if there else None):
            for content in _batch_rows(batch):
                place += 1
                yield Record(place, content)
    except (pa.ArrowException, OSError) as exc:
        yield Record(place + 1 if place else 0, Unreadable("bad_parquet", str(exc)))


def _batch_rows(batch: Any) -> Iterator[dict[str, Any] | Unreadable]:
    try:
        yield from batch.to_pylist()
    except (ValueError, OverflowError):  # one value that Python cannot hold fails the whole batch
        for place in range(batch.num_rows):
            try:
                yield batch.slice(place, 1).to_pylist()[0]
            except (ValueError, OverflowError) as exc:
                yield Unreadable("not_json", str(exc))
