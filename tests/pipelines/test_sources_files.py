"""What can be wrong with a file or a folder: one entry with its reason, and the others are read."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from source_views import View, build, parted

from chains.loading.base import Unreadable
from pipelines.sources import BadSeed
from pipelines.sources.files import File, find_files, hash_files, open_file, read_file
from prompts.errors import SourceError

GOOD = "A good document.\n"


def fifo(path: Path) -> None:
    os.mkfifo(path)


def sparse(path: Path) -> None:
    """Five billion bytes in one line that take no room on the disk."""
    path.touch()
    os.truncate(path, 5_000_000_000)


def link_outside(path: Path) -> None:
    secret = path.parent.parent / "secret.txt"
    secret.write_text("secret", encoding="utf-8")
    path.symlink_to(secret)


def linked_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def dangling(path: Path) -> None:
    path.symlink_to("nowhere.txt")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def linked_folder(path: Path) -> None:
    path.symlink_to(path.parent)


def data(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


BAD = [
    ("bad.txt", data(b""), "empty", "no bytes"),
    ("bad.txt", data(b" \r\n\t\x0c"), "empty", "white space only"),
    ("bad.txt", data("\u2028\x85\u00a0".encode()), "empty", "white space only"),
    ("bad.txt", data(b"%PDF-1.4\n..."), "binary", "a PDF file"),
    ("bad.md", data(os.urandom(4000)), "binary", "control characters"),
    ("bad.txt", data(b"\xef\xbb\xbfcaf\xe9"), "undecodable", "utf-8-sig"),
    ("bad.txt", sparse, "too_large", "5000000000 bytes"),
    ("bad.txt", fifo, "not_a_file", "a FIFO"),
    ("bad.txt", link_outside, "outside_folder", "out of the folder"),
    ("bad.txt", linked_device, "outside_folder", "out of the folder"),
    ("bad.txt", dangling, "not_found", "No such file"),
    ("bad.txt", loop, "symlink_loop", "symbolic links"),
    ("bad.txt", linked_folder, "linked_folder", "not followed"),
    ("bad.bin", data(b"\x00"), "unsupported_type", "'.bin'; read are .docx, .eml"),
    ("bad.csv", data(b"a,b"), "unsupported_type", "use the source records"),
    ("bad.doc", data(b"\xd0"), "unsupported_type", "save it as .docx"),
    ("bad", data(b"text"), "unsupported_type", "a name without an ending"),
]


@pytest.mark.parametrize(("name", "make", "reason", "detail"), BAD)
def test_a_bad_file_is_one_entry_and_the_others_are_read(
    tmp_path: Path, name: str, make: Callable[[Path], None], reason: str, detail: str
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    make(folder / name)
    (folder / "good.md").write_text(GOOD, encoding="utf-8")
    source = build("documents", path="docs", split="none")
    rows, bad = parted(source.read(View(tmp_path)))
    assert [row.data["context"] for row in rows] == [GOOD.strip()]
    assert [(item.key, item.reason) for item in bad] == [(name, reason)]
    assert detail in bad[0].detail


@pytest.mark.parametrize(("name", "make", "reason", "detail"), BAD)
def test_a_folder_with_nothing_readable_is_an_error_that_names_the_reason(
    tmp_path: Path, name: str, make: Callable[[Path], None], reason: str, detail: str
) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    make(folder / name)
    with pytest.raises(
        SourceError, match=f"nothing in 'docs' can be read \\(1 {reason}\\)"
    ) as info:
        list(build("documents", path="docs").read(View(tmp_path)))
    assert name in info.value.problem
    assert detail in info.value.problem


def test_a_device_that_the_job_names_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="a device"):
        list(build("documents", path="/dev/zero").read(View(tmp_path)))
    with pytest.raises(Unreadable, match="a device"):
        open_file(Path("/dev/zero"))


@pytest.fixture
def shut() -> Iterator[Path]:
    """A folder with a file and a folder that this process may not read."""
    folder = Path(tempfile.mkdtemp())
    (folder / "good.md").write_text(GOOD, encoding="utf-8")
    (folder / "shut.md").write_text("secret", encoding="utf-8")
    (folder / "shut").mkdir()
    (folder / "shut" / "in.md").write_text("secret", encoding="utf-8")
    (folder / "shut.md").chmod(0)
    (folder / "shut").chmod(0)
    folder.chmod(0o755)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)  # the superuser may read all
    yield folder
    if root:
        os.seteuid(0)
    (folder / "shut").chmod(0o700)
    shutil.rmtree(folder)


def test_what_may_not_be_read_is_listed(shut: Path) -> None:
    rows, bad = parted(build("documents", path=str(shut), split="none").read(View(shut)))
    assert [row.data["document"] for row in rows] == ["good.md"]
    assert [(item.key, item.reason) for item in bad] == [
        ("shut", "permission_denied"),
        ("shut.md", "permission_denied"),
    ]


def write(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"This is {name}.", encoding="utf-8")


def names_of(view: View, *paths: str) -> list[str]:
    return [
        found.name for found in find_files(paths, view, {".md", ".txt"}) if isinstance(found, File)
    ]


def test_folders_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    write(tmp_path, "d/b.md", "d/a/z.txt", "d/a/B.MD", "d/c.md", "d/.hidden.md", "d/.git/x.md")
    assert names_of(View(tmp_path), "d") == ["a/B.MD", "a/z.txt", "b.md", "c.md"]


def test_patterns_files_and_lists(tmp_path: Path) -> None:
    write(tmp_path, "d/b.md", "d/a/z.md", "d/a/y.txt", "e/b.md", "f[1].md", "d/.x/h.md")
    view = View(tmp_path)
    assert names_of(view, "d/*.md") == ["b.md"]
    assert names_of(view, "d/**/*.md") == ["a/z.md", "b.md"]
    assert names_of(view, "d/a") == ["y.txt", "z.md"]
    assert names_of(view, "?/b.md") == ["d/b.md", "e/b.md"]
    assert names_of(view, "d/a/z.md") == ["z.md"]
    assert names_of(view, "f[1].md") == ["f[1].md"]
    assert names_of(view, "d/*") == ["a/y.txt", "a/z.md", "b.md"]


def test_a_file_that_several_paths_name_is_read_once(tmp_path: Path) -> None:
    write(tmp_path, "d/a.md", "d/b.md")
    (tmp_path / "d" / "c.md").symlink_to("a.md")
    assert names_of(View(tmp_path), "d/a.md", "d", "d/*.md") == ["a.md", "b.md"]


def test_equal_names_in_two_folders_stay_apart_and_the_first_keeps_its_own(tmp_path: Path) -> None:
    write(tmp_path, "x/a.md", "y/a.md", "z/y/a.md")
    assert names_of(View(tmp_path), "x", "y", "z/y") == ["a.md", "y/a.md", "y/y/a.md"]


def test_a_link_that_the_job_names_is_followed(tmp_path: Path) -> None:
    write(tmp_path, "real/a.md")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "file.md").symlink_to("real/a.md")
    assert names_of(View(tmp_path), "folder") == ["a.md"]
    assert names_of(View(tmp_path), "file.md") == ["file.md"]


def test_a_path_to_nothing_is_an_error_even_beside_others(tmp_path: Path) -> None:
    write(tmp_path, "d/a.md")
    with pytest.raises(SourceError, match="no such file or folder: 'nowhere'"):
        names_of(View(tmp_path), "d", "nowhere")


def test_the_cap_counts_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"12345")
    assert read_file(path, most=5) == b"12345"
    with pytest.raises(Unreadable, match="too_large: 5 bytes, at most 4"):
        read_file(path, most=4)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs a Linux /proc")
def test_the_cap_holds_for_a_file_that_is_longer_than_it_says() -> None:
    with pytest.raises(Unreadable, match="too_large: 10 bytes, at most 9"):
        read_file(Path("/proc/self/status"), most=9)


def test_file_names_that_are_no_text_are_read(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.md")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / name).write_bytes(b"text")
    assert names_of(View(tmp_path), "d") == [name]


def test_hashes_tell_names_bytes_and_reasons(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "b.md")
    first = hash_files([File(tmp_path / "a.md", "a.md"), BadSeed("x", "empty", "")])
    assert first == hash_files([File(tmp_path / "a.md", "a.md"), BadSeed("x", "empty", "other")])
    changed = [
        hash_files([File(tmp_path / "a.md", "c.md"), BadSeed("x", "empty", "")]),
        hash_files([File(tmp_path / "b.md", "a.md"), BadSeed("x", "empty", "")]),
        hash_files([File(tmp_path / "a.md", "a.md"), BadSeed("x", "binary", "")]),
        hash_files([File(tmp_path / "gone.md", "a.md"), BadSeed("x", "empty", "")]),
    ]
    assert first not in changed
    assert changed[3] == ["a.md:not_found", "x:empty"]
