"""Lines that prove themselves: how `progress.jsonl` is written and read back.

    3f1c09aa {"accepted":24,"calls":61,...}      CRC-32 of what follows, then canonical JSON

A last line that is torn or fails its checksum was being written when the process died, and does not
count. Any other such line is damage.
"""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path

from pipelines.rows import JSON, canonical
from prompts.errors import CorruptRunError


def framed(record: Mapping[str, JSON]) -> bytes:
    """A record as a line with its checksum."""
    body = canonical(record)
    return f"{zlib.crc32(body.encode()):08x} {body}\n".encode()


def whole_records(file: Path) -> tuple[list[dict[str, JSON]], int]:
    """All whole records of a file, and up to which byte they reach; no file has none.

    Raises:
        CorruptRunError: A line before the last one is damaged.
    """
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        return [], 0
    records: list[dict[str, JSON]] = []
    valid = 0
    lines = raw.split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):
        record = _parsed(line)
        if record is None:
            if number < len(lines) - 1:
                problem = "the record of a block is damaged"
                fix = "put the file back from a copy, or begin a new run"
                raise CorruptRunError(problem, fix=fix, file=file, line=number)
            break
        records.append(record)
        valid += len(line) + 1
    return records, valid


def _parsed(line: bytes) -> dict[str, JSON] | None:
    checksum, _, body = line.partition(b" ")
    if checksum != f"{zlib.crc32(body):08x}".encode():
        return None
    record: dict[str, JSON] = json.loads(body)
    return record
