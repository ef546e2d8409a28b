from pathlib import Path
from typing import Any

import pytest
from source_views import View, build, parted

from pipelines.sources import SOURCES
from prompts.errors import SourceError, UsageError

FAQ = "q,a\nWhen?,Now.\nWho?,You.\n"


def faq(folder: Path, **settings: Any) -> Any:
    (folder / "faq.csv").write_text(FAQ, encoding="utf-8")
    return build("loader", loader="CSVLoader", options={"file_path": "faq.csv"}, **settings)


def test_rows_are_passages_with_the_loaders_metadata(tmp_path: Path) -> None:
    source = faq(tmp_path)
    assert source.columns(View(tmp_path)) == {"context", "document", "start", "end", "metadata"}
    rows, bad = parted(source.read(View(tmp_path)))
    assert bad == []
    assert [row.data for row in rows] == [
        {
            "context": f"q: {q}\na: {a}",
            "document": "faq.csv",
            "start": 0,
            "end": len(f"q: {q}\na: {a}"),
            "metadata": {"source": "faq.csv", "row": number},
        }
        for number, (q, a) in enumerate([("When?", "Now."), ("Who?", "You.")])
    ]


def test_where_a_passage_stands_does_not_change_which_it_is(tmp_path: Path) -> None:
    before = [row.identity() for row in parted(faq(tmp_path).read(View(tmp_path)))[0]]
    source = faq(tmp_path)
    (tmp_path / "faq.csv").write_text("q,a\nNew?,Yes.\n" + FAQ[4:], encoding="utf-8")
    after = [row.identity() for row in parted(source.read(View(tmp_path)))[0]]
    assert after[1:] == before


def test_texts_are_split(tmp_path: Path) -> None:
    text = "One two three four. " * 4
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    options, split = {"file_path": "a.txt"}, {"tokens": 10, "overlap": 0}
    source = build("loader", loader="TextLoader", options=options, split=split)
    rows, _ = parted(source.read(View(tmp_path)))
    assert [row.data["document"] for row in rows] == ["a.txt", "a.txt"]
    assert all(text[r.data["start"] : r.data["end"]] == r.data["context"] for r in rows)


def test_documents_of_a_folder_are_named_from_inside_it(tmp_path: Path) -> None:
    (tmp_path / "notes" / "sub").mkdir(parents=True)
    (tmp_path / "notes" / "sub" / "a.md").write_text("Some text.", encoding="utf-8")
    source = build("loader", loader="ObsidianLoader", options={"path": "notes"})
    rows, _ = parted(source.read(View(tmp_path)))
    assert [row.data["context"] for row in rows] == ["Some text."]
    assert rows[0].data["metadata"]["path"] == "sub/a.md"


def test_an_empty_document_is_one_entry(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("\n\n", encoding="utf-8")
    source = build("loader", loader="TextLoader", options={"file_path": "a.py"})
    with pytest.raises(SourceError, match=r"1 empty.*'a.py#1'"):
        list(source.read(View(tmp_path)))


def test_a_loader_that_fails_midway_keeps_what_it_gave(tmp_path: Path) -> None:
    source = faq(tmp_path)
    good = "".join(f"{number},more than the decoder reads at once\n" for number in range(1000))
    (tmp_path / "faq.csv").write_bytes(b"q,a\n" + good.encode() + b"Bad?,caf\xe9\n")
    rows, bad = parted(source.read(View(tmp_path)))
    assert 700 < len(rows) <= 1000
    assert [(item.key, item.reason) for item in bad] == [
        (f"CSVLoader#{len(rows) + 1}", "loader_failed")
    ]
    assert "Error loading faq.csv" in bad[0].detail, "no row holds a machine's path"


@pytest.mark.parametrize(
    ("settings", "kind", "problem"),
    [
        ({"loader": "os.system"}, UsageError, "names no document loader"),
        ({"loader": "CSVLoder"}, UsageError, "write 'CSVLoader'"),
        ({"options": {"file_path": "gone.csv"}}, SourceError, "options.file_path: no such file"),
        ({"split": {"model": "wirter"}}, UsageError, "unknown model 'wirter'"),
    ],
)
def test_what_is_wrong_is_known_before_the_run(
    tmp_path: Path, settings: dict[str, Any], kind: type[Exception], problem: str
) -> None:
    (tmp_path / "faq.csv").write_text(FAQ, encoding="utf-8")
    given = {"loader": "CSVLoader", "options": {"file_path": "faq.csv"}, **settings}
    with pytest.raises(kind, match=problem):
        build("loader", **given).columns(View(tmp_path))


def test_the_fingerprint_tells_what_would_be_read(tmp_path: Path) -> None:
    source = faq(tmp_path)
    first = source.fingerprint(View(tmp_path))
    assert source.fingerprint(View(tmp_path)) == first
    assert faq(tmp_path, split="none").fingerprint(View(tmp_path)) != first
    (tmp_path / "faq.csv").write_text(FAQ + "More?,No.\n", encoding="utf-8")
    assert source.fingerprint(View(tmp_path)) != first


def test_a_resolved_source_is_read_back_as_it_was(tmp_path: Path) -> None:
    source = faq(tmp_path, split="none")
    assert SOURCES.build(source.model_dump(mode="json")) == source
