"""Lines that prove themselves: what is written, and what is read of it where it is torn."""

from pathlib import Path

import pytest

from pipelines.journal import framed, whole_records
from prompts.errors import CorruptRunError

ONE, TWO = {"accepted": 24, "text": "\u2028 \U0001f9f5"}, {"accepted": 48}


def test_a_line_is_its_checksum_and_canonical_json() -> None:
    assert framed(TWO) == b'fdacabc8 {"accepted":48}\n'


def test_records_are_read_back_with_their_length(tmp_path: Path) -> None:
    file = tmp_path / "progress.jsonl"
    assert whole_records(file) == ([], 0)
    for records in ([], [ONE], [ONE, TWO], [ONE, TWO, ONE]):
        written = b"".join(map(framed, records))
        file.write_bytes(written)
        assert whole_records(file) == (records, len(written))


@pytest.mark.parametrize(
    "torn", [b"0", framed(TWO)[:-1], framed(TWO)[:4] + b"\n", b"\n", b"00000000 {}\n", b"x\n0"]
)
def test_a_last_line_that_is_torn_does_not_count(torn: bytes, tmp_path: Path) -> None:
    file = tmp_path / "progress.jsonl"
    file.write_bytes(framed(ONE) + torn)
    assert whole_records(file) == ([ONE], len(framed(ONE)))


@pytest.mark.parametrize("place", [0, 1])
def test_a_damaged_line_before_others_is_named(place: int, tmp_path: Path) -> None:
    file = tmp_path / "progress.jsonl"
    lines = [framed(ONE), framed(TWO), framed(ONE)]
    lines[place] = lines[place].replace(b"accepted", b"rejected")
    file.write_bytes(b"".join(lines))
    message = rf"progress\.jsonl:{place + 1}: the record of a block is damaged"
    with pytest.raises(CorruptRunError, match=message):
        whole_records(file)
