"""Run folders that are damaged are mended by resuming where that is possible."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import assert_line, textmill
from jobs import files_of
from mistakes import JOB, RESUME, RUN, SEEDS, write
from mistakes.resuming import count_a_row_more, flip

from prompts import strict_yaml


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


def test_going_on_reads_the_job_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, files = strict_yaml.read_yaml, []

    def noting(text: str | bytes, *, file: str | Path) -> strict_yaml.Document:
        files.append(str(file))
        return read(text, file=file)

    monkeypatch.setattr(strict_yaml, "read_yaml", noting)
    assert textmill(run.parent, *RESUME).code == 0
    assert files.count("run/job.yaml") == 1


def test_the_job_of_a_run_with_another_key_is_another_job(run: Path) -> None:
    (run / "progress.jsonl").unlink()  # which knows the job too
    whole = files_of(run)
    ended = textmill(run.parent, "run", "run/job.yaml", "--set", "seed=4", "--out", "run")
    assert ended.code == 2
    assert_line(ended.err, "run: the run there was begun by another job; ...differ: seed; fix: ...")
    assert files_of(run) == whole


def test_a_damaged_run_does_not_hide_the_others(run: Path) -> None:
    shutil.copytree(run, run.parent / "copy")
    (run / "manifest.json").write_text("{}")
    listed = textmill(run.parent, "ls", ".")
    assert listed.code == 0
    assert sorted(line.split() for line in listed.out.splitlines()) == [
        ["copy", "4", "rows", "quota"],
        ["run", "4", "rows", "damaged"],
    ]
