import hashlib
import json
import tarfile
from collections import Counter
from pathlib import Path

import pytest
from made_files import MADE, TEXT, docx, eml, pdf, pptx, xlsx
from source_views import View, build, parted

from chains.loading import Limits
from chains.loading.sandbox import Reader
from pipelines.launch import Options, launch
from pipelines.source_reports import MOST_FILES, file_lines, source_reports
from prompts.errors import SourceError, UsageError

JOB = """
name: files
sources: [{kind: documents, path: lawn, split: {tokens: 16, overlap: 0}, max_pages: 3}]
models: {writer: {model: scripted}}
stages: [{kind: length, field: context, unit: words, min: 3}]
exports: [{kind: jsonl}]
"""


def put(folder: Path, **files: bytes) -> None:
    """Files by name, with `_` for the dot before the ending."""
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / ".".join(name.rsplit("_", 1))).write_bytes(data)


def read(view: View, **settings: object) -> tuple[list[dict[str, object]], list[tuple[str, str]]]:
    rows, bad = parted(build("documents", **settings).read(view))
    return [row.data for row in rows], [(item.key, item.reason) for item in bad]


@pytest.mark.parametrize("split", ["none", {"tokens": 8, "overlap": 2}])
def test_a_passage_of_any_format_is_what_stands_at_its_span(tmp_path: Path, split: object) -> None:
    (tmp_path / "docs").mkdir()
    for name, data in MADE.items():
        (tmp_path / "docs" / name).write_bytes(data)
    rows, bad = read(View(tmp_path), path="docs", split=split, duplicates="keep")
    assert bad == []
    assert {row["document"] for row in rows} == set(MADE)
    with Reader(Limits()) as reader:
        texts = {name: reader.read(data, name).text for name, data in MADE.items()}
    for row in rows:
        assert texts[row["document"]][row["start"] : row["end"]] == row["context"]


def test_a_row_says_what_document_and_which_pages_it_comes_from(tmp_path: Path) -> None:
    data = pdf("Grass is green.", "Water is wet and flows down.", "Snow is white.")
    put(tmp_path / "docs", a_pdf=data)
    rows, _ = read(View(tmp_path), path="docs", split={"tokens": 8, "overlap": 0})
    assert [row["metadata"]["pages"] for row in rows] == [["1", "1"], ["2", "2"], ["3", "3"]]
    (whole,), _ = read(View(tmp_path), path="docs", split="none")
    assert whole["metadata"] == {
        "format": "pdf",
        "sha256": hashlib.sha256(data).hexdigest(),
        "language": "en",
        "encoding": None,
        "title": None,
        "author": None,
        "date": None,
        "url": None,
        "page_count": 3,
        "pages": ["1", "3"],
    }


@pytest.mark.parametrize(
    ("name", "data", "key", "value"),
    [
        ("a.md", "Grüße aus Köln und München, liebe Leute.".encode("utf-16"), "encoding", "utf-16"),
        ("a.md", "Grüße aus Köln und München, liebe Leute.".encode(), "language", "de"),
        ("a.md", b"1 2 3", "language", None),
        ("a.eml", eml("Lawn care", TEXT), "title", "Lawn care"),
        ("a.pptx", pptx("One.", "Two."), "pages", ["1", "2"]),
        ("a.xlsx", xlsx(Lawn=[["a", 1]], Meadow=[["b", 2]]), "pages", ["Lawn", "Meadow"]),
        (
            "a.html",
            b'<html><head><title>Lawn</title><meta name="author" content="Ana Gray"></head>'
            b"<body><p>Grass is green.</p></body></html>",
            "author",
            "Ana Gray",
        ),
    ],
)
def test_what_a_file_says_of_itself_is_in_its_rows(
    tmp_path: Path, name: str, data: bytes, key: str, value: object
) -> None:
    (tmp_path / name).write_bytes(data)
    (row,), _ = read(View(tmp_path), path=name, split="none")
    assert row["metadata"][key] == value


def test_metadata_is_no_part_of_what_a_row_is(tmp_path: Path) -> None:
    put(tmp_path / "docs", a_eml=eml("Lawn", TEXT))
    source = build("documents", path="docs", split="none")
    (before,), _ = parted(source.read(View(tmp_path)))
    put(tmp_path / "docs", a_eml=eml("Lawn", TEXT).replace(b"a@example.org", b"b@example.org"))
    (after,), _ = parted(source.read(View(tmp_path)))
    assert after.data != before.data
    assert after.identity() == before.identity()


def test_a_document_that_reads_like_an_earlier_one_is_named_with_its_twin(tmp_path: Path) -> None:
    put(tmp_path / "docs", a_docx=docx(TEXT), b_md=b"\n  GRASS is  green today.\n", c_md=b"Other.")
    rows, bad = parted(build("documents", path="docs", split="none").read(View(tmp_path)))
    assert [row.data["document"] for row in rows] == ["a.docx", "c.md"]
    assert [(item.key, item.reason, item.detail) for item in bad] == [
        ("b.md", "duplicate_document", "reads like 'a.docx'")
    ]
    rows, bad = parted(
        build("documents", path="docs", split="none", duplicates="keep").read(View(tmp_path))
    )
    assert (len(rows), bad) == (3, [])


def test_types_pass_over_other_files(tmp_path: Path) -> None:
    put(tmp_path / "docs", a_docx=docx(TEXT), b_pdf=pdf("B."), c_bin=b"\0", d_md=b"D.")
    rows, bad = read(View(tmp_path), path="docs", split="none", types=["pdf", "text"])
    assert ([row["document"] for row in rows], bad) == (["b.pdf", "d.md"], [])
    with pytest.raises(UsageError, match="no format 'pfd'; there are text, html, pdf"):
        build("documents", path="docs", types=["pfd"])
    with pytest.raises(SourceError, match="nothing to read in 'docs'"):
        read(View(tmp_path), path="docs", types=["epub"])


def test_parts_without_text_are_itemised_and_the_rest_is_read(tmp_path: Path) -> None:
    put(tmp_path / "docs", a_pdf=pdf("One.", None, "Three.", "Four."))
    rows, bad = read(View(tmp_path), path="docs", split="none", max_pages=3)
    assert [row["context"] for row in rows] == ["One.\n\nThree."]
    assert bad == [("a.pdf#page 2", "scanned"), ("a.pdf#page 4", "too_many_pages")]


def test_a_slow_file_is_given_up_and_the_next_one_read(tmp_path: Path) -> None:
    rows = "".join(f"<tr><td>{n}</td></tr>" for n in range(400_000))
    put(tmp_path / "docs", a_html=f"<table>{rows}</table>".encode(), b_md=b"B.")
    found, bad = read(View(tmp_path), path="docs", split="none", max_seconds=0.5)
    assert [row["document"] for row in found] == ["b.md"]
    assert bad == [("a.html", "timed_out")]


def finished(tmp_path: Path) -> Path:
    from pipelines.job import load_job

    long = " ".join(f"Sentence number {n} is about grass." for n in range(9))
    put(
        tmp_path / "lawn",
        a_pdf=pdf("Grass is green today.", None, "Wet.", "Never read."),
        b_md=long.encode(),
        c_md=b"Short.",
        d_pdf=pdf("Locked.", password="x"),
        e_md=long.encode(),
    )
    (tmp_path / "job.yaml").write_text(JOB, encoding="utf-8")
    return launch(load_job(tmp_path / "job.yaml"), tmp_path / "run", Options()).folder


def test_a_run_accounts_for_every_file(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    files = {entry["file"]: entry for entry in manifest["reports"]["source:documents"]["files"]}
    lines = (folder / "rows.jsonl").read_text(encoding="utf-8").split("\n")
    written = [json.loads(line) for line in lines if line]
    assert {name: entry["rows"] for name, entry in files.items() if entry["rows"]} == Counter(
        row["data"]["document"] for row in written
    )
    assert files["a.pdf"] == {
        "file": "a.pdf",
        "pages": 4,
        "passages": 1,
        "rows": 1,
        "rejected": {"scanned": 1, "too_many_pages": 1},
    }
    assert files["b.md"]["passages"] == files["b.md"]["rows"] > 2
    assert files["c.md"]["rejected"] == {"too_short": 1}
    assert files["d.pdf"]["rejected"] == {"encrypted": 1}
    assert files["e.md"]["rejected"] == {"duplicate_document": 1}
    source = next(entry for entry in manifest["stages"] if entry["stage"] == "source:documents")
    of_source = ("scanned", "too_many_pages", "encrypted", "duplicate_document")
    said = Counter[str]()
    for entry in files.values():
        said.update({k: n for k, n in entry["rejected"].items() if k in of_source})
    assert said == Counter(source["rejected"])


def test_the_table_shows_files_without_rows_first_and_sums_up_the_rest() -> None:
    entries = [
        {"file": f"{n}.md", "pages": 2, "passages": 3, "rows": n, "rejected": {"too_short": 1}}
        for n in (5, 0, *range(1, MOST_FILES + 1))
    ]
    lines = file_lines({"source:documents": {"files": entries}, "stage": {"cells": []}})
    assert len(lines) == MOST_FILES + 2
    assert lines[0].split() == ["file", "pages", "passages", "rows", "rejected"]
    assert lines[1].split() == ["0.md", "2", "3", "0", "too_short", "1"]
    assert lines[2].split()[0] == "5.md"
    assert lines[-1].split() == "and 2 more 4 6 39 too_short 2".split()  # noqa: SIM905
    assert file_lines({}) == []


def test_a_source_that_was_changed_is_named_on_resume(tmp_path: Path) -> None:
    from pipelines.job import load_job

    folder = finished(tmp_path)
    (folder / "manifest.json").unlink()
    put(tmp_path / "lawn", c_md=b"Another text.")
    with pytest.raises(UsageError, match="the source documents changed since the run began"):
        launch(load_job(tmp_path / "job.yaml"), folder, Options())


def test_a_run_without_files_reports_none(tmp_path: Path) -> None:
    from pipelines.folder import RunFolder

    source = build("topics", topics=["a"], count=1)
    assert source_reports((source,), RunFolder(tmp_path)) == {}


@pytest.mark.slow
def test_every_file_of_a_real_collection_gives_text_or_one_reason(
    test_data: Path, tmp_path: Path
) -> None:
    with tarfile.open(test_data / "data" / "documents.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    root = tmp_path / "documents"
    files = [path for path in root.rglob("*") if path.is_file()]
    source = build("documents", path="documents", split={"tokens": 100, "overlap": 10})
    rows, bad = parted(source.read(View(tmp_path)))
    read = {row.data["document"] for row in rows}
    faults = {item.key for item in bad if item.key.rpartition("#")[0] in read}
    assert Counter([*read, *(item.key for item in bad if item.key not in faults)]) == Counter(
        path.relative_to(root).as_posix() for path in files
    )
    reasons = Counter(item.reason for item in bad)
    assert reasons["unsupported_type"] > 0
    assert reasons["encrypted"] >= 2
    assert reasons["scanned"] >= 3
    assert not reasons["crashed"] + reasons["timed_out"] + reasons["too_much_memory"]
    with Reader(Limits()) as reader:
        for document in sorted(read):
            text = reader.read((root / document).read_bytes(), document).text
            for row in rows:
                data = row.data
                if data["document"] == document:
                    assert text[data["start"] : data["end"]] == data["context"]
