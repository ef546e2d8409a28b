"""Killed at each named place, out of disk, or without power: a run goes on to its bytes."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from command_line import REPOSITORY, assert_line
from jobs import files_of
from mistakes import JOB, RESUME, RUN, SEEDS, write

from benchmarks.crashing import Crashing, Death, disk_after
from pipelines.failpoints import NAMES
from tests.chains.fake_server import serving

# Four blocks of two rows, the last of them empty, a stage that remembers, a row that is rejected,
# and two exports.
TASK = (
    JOB.replace("rows: 4", "block: 2")
    .replace("exports:\n", "  - {kind: dedup, field: topic}\nexports:\n")
    .replace("- {kind: jsonl}", "- {kind: jsonl}\n  - {kind: csv}")
)
TOPICS = SEEDS.replace("topic 5", "topic 0")
EXPORTING = [name for name in NAMES if name.startswith("export.")]


class Whole(NamedTuple):
    """A run that nothing befell: its files, and how often it was at each place."""

    files: dict[str, bytes]
    visits: Counter[str]


@pytest.fixture(scope="module")
def crashing() -> Iterator[Crashing]:
    with closing(Crashing()) as process:
        yield process


@pytest.fixture(scope="module")
def whole(crashing: Crashing, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = beginning(tmp_path_factory.mktemp("whole") / "work")
    traced = crashing.run(folder, *RUN, failpoint="trace")
    assert traced.code == 0
    return Whole(files_of(folder / "run"), visits(traced))


def beginning(folder: Path) -> Path:
    """A folder with the job and its seeds, and nothing else."""
    folder.mkdir()
    write(folder, {"job.yaml": TASK, "seeds.jsonl": TOPICS})
    return folder


def visits(traced: Death) -> Counter[str]:
    lines = (line.split() for line in traced.err.splitlines())
    return Counter(words[1] for words in lines if words[0] == "failpoint")


def test_a_run_comes_to_every_named_place(whole: Whole) -> None:
    assert set(whole.visits) == set(NAMES)
    assert whole.visits["rows.after_fsync"] == 4
    assert b'"reason":"duplicate"' in whole.files["rejected.jsonl"]


@pytest.mark.parametrize("place", NAMES)
def test_a_run_killed_at_a_named_place_goes_on_to_the_same_bytes(
    place: str, crashing: Crashing, whole: Whole, tmp_path: Path
) -> None:
    folder = beginning(tmp_path / "work")
    assert crashing.run(folder, *RUN, failpoint=f"{place}@{whole.visits[place]}=kill").code == -9
    assert crashing.run(folder, *RUN).code == 0
    assert files_of(folder / "run") == whole.files


def test_a_killed_run_pays_again_for_one_batch_at_most(crashing: Crashing, tmp_path: Path) -> None:
    """Needed are six calls. Each process is killed when it has paid for its second batch."""
    with serving() as fake:
        folder = tmp_path / "work"
        model = f"{{server: '{fake.address}/v1', model: qwen3, batch: 2, tolerate: [seed]}}"
        job = JOB.replace("rows: 4", "block: 2").replace("{model: scripted}", model)
        folder.mkdir()
        write(folder, {"job.yaml": job, "seeds.jsonl": SEEDS})
        kills = 0
        while (ended := crashing.run(folder, *RUN, failpoint="ledger.before_commit@2=kill")).code:
            assert ended.code == -9, ended.err
            kills += 1
            assert kills < 9
        asked = Counter(json.dumps(body["messages"]) for body in fake.requests)
    questions = {text: times for text, times in asked.items() if "Ask about" in text}
    assert len(questions) == 6
    assert kills >= 2
    assert 6 + kills <= sum(questions.values()) <= 6 + 2 * kills
    assert (folder / "run/rows.jsonl").read_bytes().count(b"\n") == 6


ON_A_SMALL_DISK = """
mount -t tmpfs -o size=256k none disk || exit 99
"$@" run job.yaml --out disk/run 2> said; echo $? > code
mount -o remount,size=64m "$PWD/disk" || exit 98
"$@" resume disk/run && cp -r disk/run run
"""


@pytest.mark.slow
def test_a_run_on_a_disk_of_256_kib_is_told_and_goes_on_with_room(
    crashing: Crashing, tmp_path: Path
) -> None:
    apart = ["unshare", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("only the superuser of this machine can mount a small disk")
    seeds = "".join(json.dumps({"topic": f"{n} " + "word " * 900}) + "\n" for n in range(100))
    write(tmp_path, {"job.yaml": TASK, "seeds.jsonl": seeds})
    (tmp_path / "disk").mkdir()
    command = [*apart, "sh", "-c", ON_A_SMALL_DISK, "sh", sys.executable]
    command.append(str(REPOSITORY / "run_pipeline.py"))
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    assert (tmp_path / "code").read_text() == "8\n"
    assert_line((tmp_path / "said").read_text(), "...: cannot ...; fix: free some space ...")
    assert crashing.run(tmp_path, "run", "job.yaml", "--out", "disk/whole").code == 0
    assert files_of(tmp_path / "run") == files_of(tmp_path / "disk/whole")


FULL = [(name, "enospc") for name in NAMES]
BROKEN = [
    (name, "eio") for name in ("rows.after_write", "ledger.before_commit", "file.after_fsync")
]


@pytest.mark.parametrize(("place", "fault"), FULL + BROKEN)
def test_a_disk_that_fails_at_a_named_place_is_told_and_the_run_goes_on(
    place: str, fault: str, crashing: Crashing, whole: Whole, tmp_path: Path
) -> None:
    visit = 1 if fault == "enospc" else whole.visits[place]
    said = {"enospc": "No space left", "eio": "Input/output error"}[fault]
    folder = beginning(tmp_path / "work")
    failed = crashing.run(folder, *RUN, failpoint=f"{place}@{visit}={fault}")
    assert (failed.code, failed.out) == (8, "")
    assert_line(failed.err, f"...: cannot be written: {said}...; fix: free some space or ...")
    assert not list(folder.rglob("*.partial"))
    assert crashing.run(folder, *RUN).code == 0
    assert files_of(folder / "run") == whole.files


LOST = [(name, "nothing") for name in NAMES if name.endswith(("write", "rename", "fsync"))]
TORN = [
    (name, keep)
    for name in ("progress.after_write", "rows.after_write", "file.after_rename")
    for keep in ("names", "half")
]


@pytest.mark.parametrize(("place", "keep"), LOST + TORN)
def test_a_run_without_power_at_a_named_place_goes_on_to_the_same_bytes(
    place: str, keep: str, crashing: Crashing, whole: Whole, tmp_path: Path
) -> None:
    visit = whole.visits[place]
    folder = beginning(tmp_path / "work")
    failpoint = f"{place}@{visit}=kill"
    assert crashing.run(folder, *RUN, failpoint=failpoint, record_disk=True).code == -9
    after = beginning(tmp_path / "after")
    disk_after(folder / "run", after / "run", keep)
    assert (after / "run").exists()
    if place.startswith("rows"):  # no block that was committed is lost, nor the names of its files
        assert (after / "run/progress.jsonl").read_bytes().count(b"\n") == 4
    assert crashing.run(after, *RUN).code == 0
    assert files_of(after / "run") == whole.files


@pytest.mark.parametrize("place", EXPORTING)
def test_an_export_that_is_replaced_is_never_seen_in_part(
    place: str, crashing: Crashing, whole: Whole, tmp_path: Path
) -> None:
    folder = beginning(tmp_path / "work")
    assert crashing.run(folder, *RUN).code == 0
    (folder / "run/manifest.json").unlink()  # so that the exports are made again
    assert crashing.run(folder, *RESUME, failpoint=f"{place}=kill").code == -9
    exported = folder / "run/jsonl/data.jsonl"
    if place == "export.after_move_aside":
        assert not exported.parent.exists()
    else:
        assert exported.read_bytes() == whole.files["jsonl/data.jsonl"]
    assert crashing.run(folder, *RESUME).code == 0
    assert files_of(folder / "run") == whole.files


@pytest.mark.parametrize(
    "wanted", ["rows.after_writ=kill", "rows.after_write", "rows.after_write=stop"]
)
def test_a_place_that_is_not_there_is_told(wanted: str, crashing: Crashing, tmp_path: Path) -> None:
    ended = crashing.run(beginning(tmp_path / "work"), *RUN, failpoint=wanted)
    assert ended.code == 1
    assert "not PLACE=ACTION" in ended.err
