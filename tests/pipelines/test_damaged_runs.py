"""Run folders that are damaged are mended by resuming where that is possible."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import textmill
from jobs import files_of
from mistakes import JOB, RESUME, RUN, SEEDS, write
from mistakes.resuming import count_a_row_more, flip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a finished run of the job, beside the job's files."""
    write(tmp_path, {"job.yaml": JOB, "seeds.jsonl": SEEDS})
    assert textmill(tmp_path, *RUN).code == 0
    return tmp_path / "run"


Damage = Callable[[Path], object]

MENDED: dict[str, Damage] = {
    "no manifest": lambda run: (run / "manifest.json").unlink(),
    "damaged manifest": lambda run: (run / "manifest.json").write_text("{"),
    "manifest of something else": lambda run: (run / "manifest.json").write_text("[]"),
    "another number in the manifest": count_a_row_more,
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
