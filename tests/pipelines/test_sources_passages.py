"""How documents are cut into passages, as a job says it."""

import json
from pathlib import Path
from typing import Any

import pytest
from jobs import launched, loaded_job
from source_views import View

from chains.loading import Part, Reading
from pipelines.sources.passages import Split, cutter, passages
from prompts.errors import UsageError

PAGES = "One two three.\n\nFour five six.\n\nSeven eight nine ten eleven twelve. Thirteen."
READING = Reading(
    PAGES, (Part(0, 14, "page", "1"), Part(16, 30, "page", "2"), Part(32, len(PAGES), "page", "3"))
)
BOOK = "# Leave\n\nTwenty days.\n\n## Sick days\n\nCall before nine.\n"


def contexts(reading: Reading, **settings: Any) -> list[str]:
    cut = cutter(Split.model_validate({"overlap": 0, **settings}), View(Path()))
    found = list(passages(reading, "x.pdf", cut))
    for seed in found:
        assert reading.text[seed.data["start"] : seed.data["end"]] == seed.data["context"]
    return [seed.data["context"] for seed in found]


def test_pages_are_passages_and_large_ones_are_cut() -> None:
    assert contexts(READING, by="pages", tokens=8) == [
        "One two three.",
        "Four five six.",
        "Seven eight nine ten eleven twelve.",
        "Thirteen.",
    ]
    assert contexts(READING, by="pages", tokens=50)[2] == PAGES[32:]


def test_a_document_without_pages_is_cut_by_tokens() -> None:
    plain = Reading(PAGES)
    assert contexts(plain, by="pages", tokens=9) == contexts(plain, tokens=9)
    assert contexts(plain, by="pages", tokens=50) == [PAGES]


def test_text_between_pages_is_not_lost() -> None:
    reading = Reading("Title. Page one. Foot.", (Part(7, 16, "page", "1"),))
    assert contexts(reading, by="pages", tokens=50) == ["Title.", "Page one.", "Foot."]


def test_sections_and_sentences_are_passages() -> None:
    assert contexts(Reading(BOOK), by="headings", tokens=50) == [
        "# Leave\n\nTwenty days.",
        "## Sick days\n\nCall before nine.",
    ]
    assert contexts(Reading(PAGES), by="sentences", tokens=8) == [
        "One two three.\n\nFour five six.",
        "Seven eight nine ten eleven twelve.",
        "Thirteen.",
    ]


def job(folder: Path, **split: Any) -> dict[str, Any]:
    (folder / "book.md").write_text(BOOK, encoding="utf-8")
    source = {"kind": "documents", "path": "book.md", "split": split}
    return {"sources": [source], "stages": [], "prompts": {}}


def test_rows_say_below_which_headings_they_stand(tmp_path: Path) -> None:
    split = {"by": "headings", "headings": True, "overlap": 0}
    run = launched(tmp_path, **job(tmp_path, **split))
    rows = [json.loads(line) for line in (run.folder / "rows.jsonl").read_text().splitlines()]
    assert [row["data"]["headings"] for row in rows] == [["Leave"], ["Leave", "Sick days"]]
    without = launched(tmp_path, "other", **job(tmp_path, by="headings", overlap=0))
    others = [json.loads(line) for line in (without.folder / "rows.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == [row["id"] for row in others]
    assert "headings" not in others[0]["data"]
    stage = {"kind": "length", "field": "headings", "unit": "words", "min": 1}
    with pytest.raises(UsageError, match="needs column 'headings'"):
        loaded_job(tmp_path, **{**job(tmp_path), "stages": [stage]})


@pytest.mark.parametrize("window", [256, 264])
def test_passages_that_do_not_fit_the_window_are_refused(tmp_path: Path, window: int) -> None:
    settings = job(tmp_path, tokens=200)
    settings["models"] = {"writer": {"model": "scripted", "window": window}}
    if window - 64 >= 200:
        loaded_job(tmp_path, **settings)
        return
    with pytest.raises(UsageError) as raised:
        loaded_job(tmp_path, **settings)
    assert raised.value.key == "sources.0.split.tokens"
    assert str(raised.value.problem) == "passages of 200 tokens do not fit the window of 256 tokens"
    assert "write 192 or less" in str(raised.value.fix)


def test_the_embedded_model_s_window_is_known(tmp_path: Path) -> None:
    settings = job(tmp_path, tokens=9000)
    settings["models"] = {"writer": {"model": "embedded"}}
    with pytest.raises(UsageError, match="window of 8192 tokens"):
        loaded_job(tmp_path, **settings)


@pytest.mark.parametrize(
    ("split", "found"),
    [
        ({"by": "page"}, "'tokens', 'sentences', 'headings' or 'pages'"),
        ({"headngs": True}, "headings"),
    ],
)
def test_wrong_ways_of_cutting_are_named(tmp_path: Path, split: dict[str, Any], found: str) -> None:
    with pytest.raises(UsageError, match=found):
        loaded_job(tmp_path, **job(tmp_path, **split))
