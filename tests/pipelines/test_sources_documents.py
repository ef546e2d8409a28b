from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from source_views import View, build, parted

from chains.loading.base import Reading, Unreadable
from chains.loading.encodings import decode
from pipelines.rows import digest
from pipelines.sources import SOURCES, Seed, seeds
from pipelines.sources.passages import Split, cutter, passages
from prompts.errors import SourceError, UsageError

NASTY = "שלום עולם. مرحبا بالعالم. 👩\u200d👧 e\u0301 "
NASTY += "\x00 a\u2028b\x85c\r\nd\u2029\ufeff\u00a0 日本語。はい。"
SECTIONS = [
    f"## Section {n}\n\nThis section is about number {n}, and it says so.\n" for n in range(9)
]


def write(folder: Path, **texts: str) -> None:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.md").write_bytes(text.encode("utf-8"))


def without_metadata(seed: Seed) -> dict[str, object]:
    return {name: value for name, value in seed.data.items() if name != "metadata"}


def rows(view: View, **settings: object) -> list[Seed]:
    found, bad = parted(build("documents", **settings).read(view))
    assert bad == []
    return found


def test_a_passage_is_what_stands_at_its_span(tmp_path: Path) -> None:
    text = "\ufeff" + "".join(SECTIONS) + NASTY * 20
    write(tmp_path / "docs", a=text, b="Short.\n")
    decoded = {"a.md": text.removeprefix("\ufeff"), "b.md": "Short.\n"}
    found = rows(View(tmp_path), path="docs", split={"tokens": 16, "overlap": 4})
    assert len(found) > 20
    for row in found:
        data = row.data
        assert list(data) == ["context", "document", "start", "end", "metadata"]
        assert decoded[data["document"]][data["start"] : data["end"]] == data["context"]
    assert without_metadata(found[-1]) == {
        "context": "Short.",
        "document": "b.md",
        "start": 0,
        "end": 6,
    }


@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(NASTY + "\n .")))
def test_any_text_is_cut_exactly_or_refused(text: str) -> None:
    cut = cutter(Split(tokens=8, overlap=4), View(Path()))
    try:
        decoded = decode(text.encode("utf-8"))
        found = list(passages(Reading(decoded), "x.txt", cut))
    except Unreadable:
        assume(False)
    covered: set[int] = set()
    for seed in found:
        span = range(seed.data["start"], seed.data["end"])
        assert decoded[span.start : span.stop] == seed.data["context"]
        covered.update(span)
    assert all(char.isspace() for place, char in enumerate(decoded) if place not in covered)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_spans_count_characters_of_the_decoded_text(tmp_path: Path, encoding: str) -> None:
    text = "Für Übungen ist die Größe egal.\r\n\r\nStraße und Mädchen sind schöne Wörter."
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    (row,) = rows(View(tmp_path), path="a.txt", split="none")
    assert without_metadata(row) == {
        "context": text,
        "document": "a.txt",
        "start": 0,
        "end": len(text),
    }


def test_split_none_makes_one_row_a_document(tmp_path: Path) -> None:
    write(tmp_path / "docs", a="".join(SECTIONS), b="B.")
    assert [r.data["document"] for r in rows(View(tmp_path), path="docs", split="none")] == [
        "a.md",
        "b.md",
    ]


def test_text_put_into_one_document_moves_no_other_id(tmp_path: Path) -> None:
    text = "".join(SECTIONS)
    split = {"tokens": 24, "overlap": 0}
    write(tmp_path / "docs", a=text, b=text, c="Same.", d="Same.")
    before = {
        (r.data["document"], r.data["context"]): r.identity()
        for r in rows(View(tmp_path), path="docs", split=split, duplicates="keep")
    }
    assert len(set(before.values())) == len(before), "equal texts of two documents differ"
    write(tmp_path / "docs", a="A new paragraph at the top.\n\n" + text, aa="A new document.")
    after = {
        (r.data["document"], r.data["context"]): r.identity()
        for r in rows(View(tmp_path), path="docs", split=split, duplicates="keep")
    }
    assert {key: after[key] for key in before if key[0] != "a.md"} == {
        key: value for key, value in before.items() if key[0] != "a.md"
    }
    kept = [key for key in before if key[0] == "a.md" and key in after]
    assert len(kept) == len(SECTIONS) - 1, "all but the passage that took the paragraph in"
    assert all(after[key] == before[key] for key in kept), "only their spans have moved"


def test_spans_are_the_only_columns_outside_the_identity() -> None:
    seed = Seed({"context": "x", "start": 3, "end": 4}, "a.md", frozenset({"start", "end"}))
    assert seed.identity() == digest({"context": "x"}, "a.md")
    assert Seed({"context": "x"}, "a.md").identity() == seed.identity()
    assert Seed({"context": "y"}, "a.md").identity() != seed.identity()
    assert Seed({"context": "x"}, "b.md").identity() != seed.identity()


def test_columns_are_known_before_anything_is_read(tmp_path: Path) -> None:
    write(tmp_path / "docs", a="text")
    expected = {"context", "document", "start", "end", "metadata"}
    assert build("documents", path="docs").columns(View(tmp_path)) == expected
    with pytest.raises(UsageError, match="unknown model 'wirter'"):
        build("documents", path="docs", split={"model": "wirter"}).columns(View(tmp_path))
    (tmp_path / "none").mkdir()
    with pytest.raises(SourceError, match="nothing to read in 'none'"):
        build("documents", path="none").columns(View(tmp_path))
    (tmp_path / "none" / "x.bin").write_bytes(b"%PDF")
    with pytest.raises(SourceError, match="1 unsupported_type"):
        build("documents", path="none").columns(View(tmp_path))


@pytest.mark.parametrize(
    ("settings", "key", "problem"),
    [
        ({}, "sources.0.path", "missing"),
        ({"path": ""}, "sources.0.path.0", "at least 1 character"),
        ({"path": []}, "sources.0.path", "at least 1 item"),
        ({"path": "d", "splt": 1}, "sources.0.splt", "write 'split'"),
        ({"path": "d", "split": "tokens"}, "sources.0.split", "the word none"),
        ({"path": "d", "split": {"tokens": 4}}, "sources.0.split.tokens", "equal to 8"),
        ({"path": "d", "split": {"tokens": 20, "overlap": 11}}, "sources.0.split", "half"),
        ({"path": "d", "split": {"token": 20}}, "sources.0.split.token", "write 'tokens'"),
        ({"path": "d", "max_mb": 0}, "sources.0.max_mb", "greater than 0"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, object], key: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as raised:
        build("documents", **settings)
    assert raised.value.key == key


def test_a_resolved_source_is_read_back_as_it_was() -> None:
    for split in ("none", {"tokens": 100, "overlap": 5, "model": "writer"}):
        source = build("documents", path=["a", "b/*.md"], split=split)
        assert SOURCES.build(source.model_dump(mode="json")) == source


def test_the_fingerprint_tells_what_would_be_read(tmp_path: Path) -> None:
    write(tmp_path / "docs", a="One.", b="Two.")
    view = View(tmp_path)
    first = build("documents", path="docs").fingerprint(view)
    (tmp_path / "docs").rename(tmp_path / "moved")
    moved = build("documents", path="moved")
    assert moved.fingerprint(view) == first
    assert build("documents", path="moved", split="none").fingerprint(view) != first
    write(tmp_path / "moved", b="Two!")
    assert moved.fingerprint(view) != first
    write(tmp_path / "moved", b="Two.")
    assert moved.fingerprint(view) == first
    write(tmp_path / "moved", c="Three.")
    assert moved.fingerprint(view) != first


def test_shuffled_rows_keep_their_order_when_others_come(tmp_path: Path) -> None:
    write(tmp_path / "docs", **{f"d{n:02}": f"Text {n}." for n in range(20)})
    view = View(tmp_path)
    source = build("documents", path="docs", split="none", shuffle=True)
    order = [seed.key for seed in seeds(source, view)]
    assert sorted(order) == [f"d{n:02}.md" for n in range(20)] != order
    assert [seed.key for seed in seeds(source, view)] == order
    assert [seed.key for seed in seeds(source, View(tmp_path, seed=8))] != order
    write(tmp_path / "docs", d99="New.", d00="Edited.")
    kept = [seed.key for seed in seeds(source, view) if seed.key not in {"d99.md", "d00.md"}]
    assert kept == [key for key in order if key != "d00.md"]


def test_equal_rows_are_all_shuffled_and_what_is_bad_comes_first(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"q": "a"}\n{"q": "a"}\nbad\n{"q": "b"}\n', encoding="utf-8")
    found = list(seeds(build("records", path="q.jsonl", shuffle=True), View(tmp_path)))
    assert getattr(found[0], "reason", "") == "bad_json"
    assert sorted(seed.data["q"] for seed in found[1:] if isinstance(seed, Seed)) == ["a", "a", "b"]


def test_unshuffled_rows_come_as_they_are_read(tmp_path: Path) -> None:
    write(tmp_path / "docs", a="One.", b="Two.")
    source = build("documents", path="docs", split="none")
    assert list(seeds(source, View(tmp_path))) == list(source.read(View(tmp_path)))
