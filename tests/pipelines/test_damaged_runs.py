"""Run folders that are damaged, changed or busy are mended, or refused and left alone."""

import fcntl
import json
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import assert_line, textmill
from jobs import files_of
from mistakes import FIND_PATH, JOB, RESUME, RUN, SEEDS, write


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a finished run of the job, beside the job's files."""
    write(tmp_path, {"job.yaml": JOB, "seeds.jsonl": SEEDS})
    assert textmill(tmp_path, *RUN).code == 0
    return tmp_path / "run"


def flip(path: Path, place: int) -> None:
    """Damage one bit."""
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def write_header(run: Path, **changes: object) -> None:
    """Change what the first line of the run's progress says, checksum and all."""
    path = run / "progress.jsonl"
    first, _, rest = path.read_bytes().partition(b"\n")
    record = {**json.loads(first[9:]), **changes}
    body = json.dumps(record, sort_keys=True, separators=(",", ":"))
    path.write_bytes(f"{zlib.crc32(body.encode()):08x} {body}\n".encode() + rest)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


EXPORT = ("export", "run", "--format", "jsonl", "--out", "x")
CHANGED = "put it back as it was, or begin a new run with another --out"
Damage = Callable[[Path], object]

RUN_FOLDERS: dict[str, tuple[Damage, tuple[str, ...], int, str]] = {
    "the job changed": (
        lambda run: edit(run.parent / "job.yaml", "seed: 3", "seed: 4"),
        RUN,
        2,
        "run: the run there was begun by another job; these keys differ: seed; "
        "fix: give --out a new folder; calls that did not change come from the ledger",
    ),
    "a prompt changed": (
        lambda run: edit(run.parent / "job.yaml", "Ask about", "Tell me of"),
        RUN,
        2,
        "run: the run there was begun by another job; these keys differ: prompts; ...",
    ),
    "a source changed": (
        lambda run: edit(run.parent / "seeds.jsonl", "topic 5", "topic 50"),
        RESUME,
        2,
        f"run: the source records changed since the run began; fix: {CHANGED}",
    ),
    "the source is gone": (
        lambda run: (run.parent / "seeds.jsonl").unlink(),
        RESUME,
        3,
        f"run/job.yaml:...: sources.0: no such file or folder: 'seeds.jsonl'; fix: {FIND_PATH}",
    ),
    "written by a newer version": (
        lambda run: write_header(run, format=99),
        RESUME,
        2,
        "run: was written in format 99, this version knows 1; fix: use the version that began it",
    ),
    "another job in job.yaml": (
        lambda run: edit(run / "job.yaml", "seed: 3", "seed: 4"),
        RESUME,
        2,
        f"run: the job changed since the run began; fix: {CHANGED}",
    ),
    "damaged job.yaml": (
        lambda run: (run / "job.yaml").write_text("{"),
        RESUME,
        6,
        "run/job.yaml:1: not YAML: ...; fix: put the file back from a copy, or begin a new run",
    ),
    "damaged rows": (
        lambda run: flip(run / "rows.jsonl", 30),
        RESUME,
        6,
        "run/rows.jsonl: its bytes are not those recorded; fix: begin a new run",
    ),
    "damaged rows, exported": (
        lambda run: flip(run / "rows.jsonl", 30),
        EXPORT,
        6,
        "run/rows.jsonl: its bytes are not those recorded; fix: begin a new run",
    ),
    "damaged rejections, exported": (
        lambda run: flip(run / "rejected.jsonl", 30),
        EXPORT,
        6,
        "run/rejected.jsonl: its bytes are not those recorded; fix: begin a new run",
    ),
    "rows cut": (
        lambda run: (run / "rows.jsonl").write_bytes(b""),
        RESUME,
        6,
        "run/rows.jsonl: is shorter than its record says: 0 bytes of ...; fix: begin a new run",
    ),
    "rows gone": (
        lambda run: (run / "rows.jsonl").unlink(),
        RESUME,
        6,
        "run/rows.jsonl: is shorter than its record says: 0 bytes of ...; fix: begin a new run",
    ),
    "damaged progress": (
        lambda run: flip(run / "progress.jsonl", 20),
        RESUME,
        6,
        "run/progress.jsonl:1: the record of a block is damaged; "
        "fix: put the file back from a copy, or begin a new run",
    ),
    "damaged ledger": (
        lambda run: (run.parent / "ledger.sqlite").write_bytes(b"x" * 5000),
        RESUME,
        6,
        "ledger.sqlite: the ledger cannot be used: file is not a database; "
        "fix: move the file away; its calls are then paid again",
    ),
    "damaged manifest, exported": (
        lambda run: (run / "manifest.json").write_text("[]"),
        EXPORT,
        6,
        "run/manifest.json: cannot be read; fix: python run_pipeline.py resume run writes it anew",
    ),
    "another number in the manifest, exported": (
        lambda run: edit(
            run / "manifest.json", '"rows": 4,\n  "rejected"', '"rows": 5,\n  "rejected"'
        ),
        EXPORT,
        6,
        "run/manifest.json: cannot be read; fix: python run_pipeline.py resume run writes it anew",
    ),
    "not finished, exported": (
        lambda run: (run / "manifest.json").unlink(),
        EXPORT,
        2,
        "run: the run is not finished; fix: go on with it first: python run_pipeline.py resume run",
    ),
    "export over a folder": (
        lambda run: (run.parent / "x").mkdir(),
        EXPORT,
        2,
        "x: exists already; fix: choose another folder, or replace it with --overwrite",
    ),
    "export of no such column": (
        lambda run: None,
        (*EXPORT, "--set", "columns=[questoin]"),
        2,
        "--set columns: unknown column 'questoin'; fix: write 'question' (known: question, topic)",
    ),
    "export with an unknown setting": (
        lambda run: None,
        (*EXPORT, "--set", "colums=[question]"),
        2,
        "--set colums: unknown key 'colums'; fix: write 'columns'",
    ),
    "export with half of the rows": (
        lambda run: None,
        ("export", "run", "--format", "hf_dataset", "--out", "x", "--set", "splits.train=0.5"),
        2,
        "--set splits: found {'train': 0.5}; fix: make the parts add up to 1",
    ),
    "row that is not there": (
        lambda run: None,
        ("inspect", "run", "99"),
        2,
        "run: no row '99' in this run; "
        "fix: give an id or an order as 'inspect RUN' and rows.jsonl show them",
    ),
    "reason that is not there": (
        lambda run: None,
        ("inspect", "run", "--reason", "overquota"),
        2,
        "--reason: unknown reason 'overquota'; fix: write 'over_quota' (known: over_quota)",
    ),
    "a row and rejected ones": (
        lambda run: None,
        ("inspect", "run", "0", "--rejected"),
        2,
        "a row and --rejected exclude each other; "
        "fix: leave out the row, or --rejected and --reason",
    ),
    "--out with something else in it": (
        lambda run: write(run.parent, {"other/x": ""}),
        ("run", "job.yaml", "--out", "other"),
        2,
        "other: the folder exists and is not a run; fix: give --out a new or empty folder",
    ),
}


@pytest.mark.parametrize(
    ("damage", "words", "code", "line"), RUN_FOLDERS.values(), ids=RUN_FOLDERS.keys()
)
def test_a_run_folder_is_refused_with_one_line_and_left_alone(
    damage: Damage, words: tuple[str, ...], code: int, line: str, run: Path
) -> None:
    damage(run)
    before = files_of(run)
    ended = textmill(run.parent, *words)
    assert_line(ended.err, line)
    assert (ended.code, ended.out) == (code, "")
    assert files_of(run) == before


MENDED: dict[str, Damage] = {
    "no manifest": lambda run: (run / "manifest.json").unlink(),
    "damaged manifest": lambda run: (run / "manifest.json").write_text("{"),
    "manifest of something else": lambda run: (run / "manifest.json").write_text("[]"),
    "another number in the manifest": lambda run: edit(
        run / "manifest.json", '"rows": 4,\n  "rejected"', '"rows": 5,\n  "rejected"'
    ),
    "no export": lambda run: shutil.rmtree(run / "jsonl"),
    "torn rows": lambda run: append(run / "rows.jsonl", b'{"id'),
    "torn progress": lambda run: append(run / "progress.jsonl", b"0a1b"),
    "damaged end of progress": lambda run: flip(run / "progress.jsonl", -20),
    "nothing": lambda run: None,
}


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@pytest.mark.parametrize("damage", MENDED.values(), ids=MENDED.keys())
def test_a_run_folder_is_mended_to_the_byte_by_resuming(damage: Damage, run: Path) -> None:
    whole = files_of(run)
    damage(run)
    cut = (run / "progress.jsonl").read_bytes() != whole["progress.jsonl"] or (
        run / "rows.jsonl"
    ).read_bytes() != whole["rows.jsonl"]
    ended = textmill(run.parent, *RESUME)
    assert ended.code == 0
    assert files_of(run) == whole
    assert ("bytes of an unfinished block were cut off" in ended.err) == cut


def test_a_damaged_run_does_not_hide_the_others(run: Path) -> None:
    shutil.copytree(run, run.parent / "copy")
    (run / "manifest.json").write_text("{}")
    listed = textmill(run.parent, "ls", ".")
    assert listed.code == 0
    assert sorted(line.split() for line in listed.out.splitlines()) == [
        ["copy", "4", "rows", "quota"],
        ["run", "4", "rows", "damaged"],
    ]


def test_a_run_that_another_process_writes_is_left_to_it(run: Path) -> None:
    lock = run / ".lock"
    with lock.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("4711")
        held.flush()
        before = files_of(run)
        ended = textmill(run.parent, *RESUME)
        assert_line(
            ended.err,
            "run: process 4711 is writing this run; fix: wait until it has finished or end it",
        )
        assert (ended.code, ended.out) == (7, "")
        assert files_of(run) == before
    assert textmill(run.parent, *RESUME).code == 0
