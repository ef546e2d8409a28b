"""Whatever is done to a file, it gives text or one reason, and the next file is read."""

import io
import zipfile
from collections.abc import Iterator

import pytest
from fuzzing import fuzzed
from hypothesis import given
from hypothesis import strategies as st
from made_files import MADE, eml, zipped

from chains.loading import Limits, Reading, Unreadable
from chains.loading.sandbox import Reader

ZIPPED = sorted(name for name, data in MADE.items() if data[:2] == b"PK")
TAGS = ["<p>", "</p>", "<table><tr><td>", "<li>", "<!--", "-->", "<![CDATA[", "&amp;", "&#x110000;"]
TAGS += ["<script>", "<br/", "<a href='", "<meta charset=utf-7>", "<base href=x>", "\0", "\ud83d"]
SPOTS = st.integers(0, 10**6)
BYTES = st.one_of(
    st.binary(min_size=1, max_size=8),
    st.sampled_from([b"/Kids", b"<</", b">>", b"obj", b"0 R", b"99999999999", b"-1", b"<", b"&"]),
)


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader(Limits(seconds=20, memory=1 << 30, unpacked=64 << 20)) as reader:
        yield reader


def spoiled(data: bytes, edits: list[tuple[int, bytes, int]]) -> bytes:
    """`data` with pieces of it replaced: where, by what, and how many bytes of it go."""
    for place, new, gone in edits:
        place %= len(data) + 1
        data = data[:place] + new + data[place + gone :]
    return data


EDITS = st.lists(st.tuples(SPOTS, BYTES, st.integers(0, 40)), min_size=1, max_size=4)


def read(reader: Reader, data: bytes, name: str) -> Reading | Unreadable:
    try:
        return reader.read(data, name)
    except Unreadable as bad:
        return bad


def assert_sound(reader: Reader, data: bytes, name: str) -> None:
    found = read(reader, data, name)
    if isinstance(found, Unreadable):
        assert found.reason.isidentifier()
        assert len(found.detail) <= 500
        assert "\n" not in found.detail
        return
    found.text.encode()  # half of a surrogate could not be written
    end = 0
    for part in found.parts:
        assert end <= part.start < part.end <= len(found.text)
        end = part.end


@fuzzed(120)
@given(st.sampled_from(sorted(MADE)), EDITS)
def test_spoiled_files(reader: Reader, name: str, edits: list[tuple[int, bytes, int]]) -> None:
    assert_sound(reader, spoiled(MADE[name], edits), name)


@fuzzed(80)
@given(st.sampled_from(ZIPPED), SPOTS, EDITS)
def test_archives_with_a_spoiled_member(
    reader: Reader, name: str, which: int, edits: list[tuple[int, bytes, int]]
) -> None:
    with zipfile.ZipFile(io.BytesIO(MADE[name])) as archive:
        members = {entry: archive.read(entry) for entry in archive.namelist()}
    victim = sorted(members)[which % len(members)]
    members[victim] = spoiled(members[victim], edits)
    assert_sound(reader, zipped(members), name)


@fuzzed(80)
@given(st.lists(st.one_of(st.sampled_from(TAGS), st.text(max_size=6)), max_size=30))
def test_pages_of_tags_in_any_order(reader: Reader, pieces: list[str]) -> None:
    assert_sound(reader, "".join(pieces).encode("utf-8", "surrogatepass"), "a.html")


@fuzzed(40)
@given(st.sampled_from(sorted(MADE)), st.sampled_from(sorted(MADE)))
def test_files_under_the_name_of_another_format(reader: Reader, name: str, other: str) -> None:
    assert_sound(reader, MADE[name], other)


def test_the_process_still_reads_afterwards(reader: Reader) -> None:
    assert reader.read(eml("Still", "working"), "b.eml").text == "# Still\n\nworking"
