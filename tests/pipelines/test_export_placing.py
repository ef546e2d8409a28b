import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from exports import files_in, finished, questions

from pipelines.exporters import HfDataset, Jsonl, place
from prompts.errors import ResourceError, UsageError

REPOSITORY = Path(__file__).resolve().parents[2]


def writer(text: str) -> Callable[[Path], str]:
    def write(folder: Path) -> str:
        (folder / "data").mkdir()
        (folder / "data" / "file.txt").write_text(text)
        return f"wrote {text}"

    return write


def test_a_new_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "dataset"

    def write(folder: Path) -> str:
        assert list(folder.iterdir()) == []
        assert not target.exists()
        return writer("new")(folder)

    assert place(write, target) == "wrote new"
    assert files_in(tmp_path) == {"a/b/dataset/data/file.txt": b"new"}


def test_the_folder_has_the_rights_any_new_folder_has(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    place(writer("x"), tmp_path / "dataset")
    assert (tmp_path / "dataset").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_is_there_is_not_replaced_unasked(tmp_path: Path) -> None:
    target = tmp_path / "dataset"
    place(writer("old"), target)
    with pytest.raises(UsageError) as caught:
        place(writer("new"), target)
    assert str(caught.value) == (
        f"{target}: exists already; fix: choose another folder, or replace it with --overwrite"
    )
    assert files_in(tmp_path) == {"dataset/data/file.txt": b"old"}


@pytest.mark.parametrize("what", ["folder", "file", "link", "broken link"])
def test_overwrite_replaces_whatever_is_there(what: str, tmp_path: Path) -> None:
    target, elsewhere = tmp_path / "dataset", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("kept")
    if what == "folder":
        place(writer("old"), target)
        (target / "stray").write_text("stray")
    elif what == "file":
        target.write_text("old")
    else:
        target.symlink_to(elsewhere if what == "link" else tmp_path / "nothing")
    place(writer("new"), target, overwrite=True)
    assert files_in(tmp_path) == {"dataset/data/file.txt": b"new", "elsewhere/kept": b"kept"}
    assert not target.is_symlink()


@pytest.mark.parametrize(
    "error", [UsageError("no"), KeyboardInterrupt(), OSError(71, "Protocol error")]
)
def test_a_failed_write_leaves_the_old_folder_and_nothing_else(
    error: BaseException, tmp_path: Path
) -> None:
    target = tmp_path / "dataset"
    place(writer("old"), target)

    def write(folder: Path) -> None:
        writer("half")(folder)
        raise error

    with pytest.raises(type(error)):
        place(write, target, overwrite=True)
    assert files_in(tmp_path) == {"dataset/data/file.txt": b"old"}


def test_the_old_folder_comes_back_when_the_new_one_cannot_take_its_place(tmp_path: Path) -> None:
    target = tmp_path / "dataset"
    place(writer("old"), target)
    with pytest.raises(FileNotFoundError):
        place(shutil.rmtree, target, overwrite=True)
    assert files_in(tmp_path) == {"dataset/data/file.txt": b"old"}


@pytest.mark.parametrize("exporter", [HfDataset(), Jsonl()], ids=["hf_dataset", "jsonl"])
def test_a_full_disk_leaves_the_old_folder_and_nothing_else(
    exporter: HfDataset | Jsonl, tmp_path: Path
) -> None:
    target = tmp_path / "dataset"
    place(writer("old"), target)
    run = finished(questions(2000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(ResourceError) as caught:
            place(lambda folder: exporter.write(run, folder), target, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(caught.value).startswith(f"{target}: cannot be written: ")
    assert "File too large" in caught.value.problem
    assert caught.value.exit_code == 8
    assert files_in(tmp_path) == {"dataset/data/file.txt": b"old"}
    place(lambda folder: exporter.write(run, folder), target, overwrite=True)
    assert "data/file.txt" not in files_in(target)


@pytest.mark.parametrize("name", ["file/dataset", "file/deep/dataset", "x" * 300])
def test_a_place_where_no_folder_can_be_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UsageError) as caught:
        place(writer("x"), tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: no folder can be made there: ")
    assert files_in(tmp_path) == {"file": b"kept"}


KILLED = """
import os, signal, sys
from pathlib import Path
from pipelines.exporters import placing

target, moment = Path(sys.argv[1]), sys.argv[2]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def write(folder):
    (folder / "file.txt").write_text("new")
    if moment == "while writing":
        die()

if moment == "between the renames":
    rename = Path.rename
    def rename_once(path, to):
        rename(path, to)
        die()
    Path.rename = rename_once
if moment == "before deleting":
    placing.shutil.rmtree = die
placing.place(write, target, overwrite=True)
"""


@pytest.mark.parametrize(
    ("moment", "found"),
    [("while writing", b"old"), ("between the renames", b"old"), ("before deleting", b"new")],
)
def test_what_a_killed_process_left_is_put_right(moment: str, found: bytes, tmp_path: Path) -> None:
    target = tmp_path / "dataset"
    target.mkdir()
    (target / "file.txt").write_text("old")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(target), moment],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.glob(".dataset.*.partial"))) == 1

    with pytest.raises(UsageError, match="exists already"):
        place(writer("newer"), target)
    assert files_in(tmp_path) == {"dataset/file.txt": found}
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    def outer(folder: Path) -> None:
        writer("outer")(folder)
        place(writer("inner"), tmp_path / "dataset")
        assert files_in(folder) == {"data/file.txt": b"outer"}

    place(outer, tmp_path / "dataset", overwrite=True)
    assert files_in(tmp_path) == {"dataset/data/file.txt": b"outer"}


def test_leftovers_of_other_targets_are_left_alone(tmp_path: Path) -> None:
    for name in (".dataset.jsonl.abc123.partial", ".other.abc123.partial", ".dataset.partial"):
        (tmp_path / name).mkdir()
    place(writer("x"), tmp_path / "dataset")
    assert len(list(tmp_path.iterdir())) == 4
