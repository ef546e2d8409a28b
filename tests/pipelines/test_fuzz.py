"""Bytes that nobody wrote on purpose give data or one of our errors, and never another."""

import json
import random
import tempfile
from pathlib import Path

import pytest
from fuzzing import fuzzed
from hypothesis import given
from hypothesis import strategies as st
from mistakes import JOB, PROMPT
from source_views import View, build, parted

from chains.calls import Reply
from pipelines.folder import RunFolder
from pipelines.job import load_job
from pipelines.journal import framed, whole_records
from pipelines.ledger import Ledger
from pipelines.rows import Rejection, Row
from prompts.errors import CorruptRunError, SourceError, TextmillError
from prompts.prompt import Prompt

QUICK = fuzzed(60)
LINES = b"".join(
    b'{"q": "Why %d?", "n": [%d, null, 1.5], "\xc3\xa4": {}}\n' % (n, n) for n in range(6)
)
JOURNAL = framed({"format": 1}) + framed({"pulled": 2}) + framed({"pulled": 4})
PLACES = st.integers(0, 10**6)


def spoiled(data: bytes, place: int, new: bytes) -> bytes:
    """`data` with as many bytes replaced as `new` has, at a place in it."""
    place %= len(data)
    return data[:place] + new + data[place + len(new) :]


@QUICK
@given(PLACES, st.binary(min_size=1, max_size=6))
def test_a_spoiled_job_is_a_job_or_an_error_of_ours(place: int, new: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.yaml"
        job.write_bytes(spoiled(JOB.encode(), place, new))
        code = 0
        try:
            load_job(job).check()
        except TextmillError as exc:
            code = exc.exit_code
        assert code in {0, 2, 3}  # 3: the seeds are not there


@QUICK
@given(PLACES, st.text(min_size=1, max_size=6), st.dictionaries(st.just("topic"), st.text()))
def test_a_spoiled_prompt_renders_or_is_an_error_of_ours(
    place: int, new: str, values: dict[str, str]
) -> None:
    place %= len(PROMPT)
    text = PROMPT[:place] + new + PROMPT[place + len(new) :]
    try:
        contents = [content for _, content in Prompt.parse("mine", text).render(dict(values))]
    except TextmillError as exc:
        contents = [str(exc)]
    assert contents
    assert all(isinstance(content, str) for content in contents)


@QUICK
@given(PLACES, st.binary(min_size=1, max_size=6))
def test_each_line_of_spoiled_json_lines_is_a_row_or_one_entry(place: int, new: bytes) -> None:
    data = spoiled(LINES, place, new)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "a.jsonl").write_bytes(data)
        try:
            rows, bad = parted(build("records", path="a.jsonl").read(View(Path(folder))))
        except SourceError as exc:
            assert "nothing in 'a.jsonl' can be read" in exc.problem  # noqa: PT017
            return
    filled = [line for line in data.split(b"\n") if line.strip()]
    assert len(rows) + len(bad) == len(filled)
    assert len(rows) >= 3  # six bytes spoil at most two lines, or all of them as another encoding
    json.dumps([row.data for row in rows]).encode()


@QUICK
@given(PLACES, st.binary(min_size=1, max_size=6))
def test_a_spoiled_journal_loses_its_last_record_or_is_damaged(place: int, new: bytes) -> None:
    written = [{"format": 1}, {"pulled": 2}, {"pulled": 4}]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "progress.jsonl"
        file.write_bytes(spoiled(JOURNAL, place, new))
        try:
            records, valid = whole_records(file)
        except CorruptRunError:
            return
        assert records == written[: len(records)]
        assert JOURNAL[:valid] == b"".join(framed(record) for record in records)


def test_a_spoiled_ledger_gives_what_was_put_or_nothing_or_an_error_of_ours(
    tmp_path: Path,
) -> None:
    entries = {bytes([n]) * 32: [Reply(f"Reply number {n}.", "stop", 3, 4)] for n in range(20)}
    with Ledger(tmp_path / "whole.sqlite") as ledger:
        ledger.put(list(entries.items()))
    whole = (tmp_path / "whole.sqlite").read_bytes()
    draw, found = random.Random(5), 0
    for number in range(80):
        path = tmp_path / f"{number}.sqlite"
        path.write_bytes(spoiled(whole, draw.randrange(len(whole)), draw.randbytes(9)))
        try:
            with Ledger(path) as ledger:
                known = ledger.get(list(entries))
        except CorruptRunError:
            continue
        assert known.items() <= entries.items()
        found += len(known)
    assert found > 400  # not all that is spoiled is refused


@pytest.mark.parametrize("file", ["rows.jsonl", "rejected.jsonl", "progress.jsonl"])
def test_a_run_with_lost_pieces_is_shorter_or_damaged(file: str, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.create({"name": "x"})
    with run.lock():
        progress = run.recover({})
        for number in range(3):
            progress.pulled = number + 1
            row = Row(f"id{number}", (number,), f"id{number}", {"text": "x" * number})
            run.commit([row], [Rejection(row, "bad", stage="s")], progress, {"s": [number]})
    whole = {path: path.read_bytes() for path in run.path.iterdir() if path.suffix == ".jsonl"}
    draw, pulled = random.Random(7), set()
    for _ in range(40):
        first, last = sorted(draw.sample(range(len(whole[run.path / file]) + 1), 2))
        for path, data in whole.items():
            path.write_bytes(data[:first] + data[last:] if path.name == file else data)
        pulled.add(blocks_of(run))
    assert pulled <= ({0, 1, 2, None} if file == "progress.jsonl" else {None})
    assert None in pulled


def blocks_of(run: RunFolder) -> int | None:
    """How many blocks a run has; None where it is damaged."""
    try:
        with run.lock():
            progress = run.recover({})
    except CorruptRunError:
        return None
    assert progress.state.get("s", []) == [[number] for number in range(progress.pulled)]
    return progress.pulled
