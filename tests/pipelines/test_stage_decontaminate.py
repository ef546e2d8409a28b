"""Rows that hold an item of an evaluation set are found, and told by set, item and evidence."""
# ruff: noqa: RUF001 - apostrophes that look alike are one here

import json
import logging
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import assert_line, textmill
from fakes import FakeContext, outcomes, reasons, row
from jobs import files_of, job_data, launched, loaded_job, write_job
from source_views import View

from pipelines.rows import Rejection
from pipelines.runner import identity
from pipelines.stages import STAGES, Stage
from pipelines.stages.overlap.ngrams import NgramIndex
from pipelines.stages.overlap.words import common, encoded, words
from prompts.errors import SourceError, UsageError

SUMS = (
    "A gardener plants 12 rows of beans with 15 beans in each row. How many beans are there?",
    "Tom's ducks lay 1,200 eggs in a year, and he eats three of them every single morning.",
    "What is half of ninety?",
    "Add four.",
)
CITY = "Which city became the seat of the government after the long war in the north?"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two evaluation sets: sums.jsonl and facts.csv."""
    lines = [json.dumps({"id": f"s{n}", "q": q, "a": "180 beans"}) for n, q in enumerate(SUMS)]
    (tmp_path / "sums.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "facts.csv").write_text(f'question,answer\n"{CITY}",Rome\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stage(**settings: Any) -> Stage:
    sets = {
        "sums": {"path": "sums.jsonl", "columns": ["q", "a"]},
        "facts": {"path": "facts.csv", "columns": ["question", "answer"]},
    }
    given = {"kind": "decontaminate", "field": "text", "sets": sets, "similarity": None}
    return STAGES.build({**given, **settings})


def found(text: Any, **settings: Any) -> tuple[str, dict[str, Any]]:
    """The reason for which a row with this text is rejected, and its evidence."""
    made = stage(**settings)
    (outcome,) = outcomes(made, [row(text=text)], FakeContext(made))
    return (outcome.reason, dict(outcome.detail)) if isinstance(outcome, Rejection) else ("", {})


@pytest.mark.parametrize(
    "text",
    [
        SUMS[0],
        SUMS[0].upper().replace(".", " ...\n").replace("?", ""),
        f"Please solve this.\n\n{SUMS[0]}\n\nThe answer is 180.",
        [{"role": "user", "content": SUMS[0]}, {"role": "assistant", "content": "180"}],
    ],
)
def test_a_copy_is_found_however_it_is_set(folder: Path, text: Any) -> None:
    reason, detail = found(text)
    assert reason == "benchmark_copy:sums"
    assert detail == {
        "set": "sums",
        "item": "1",
        "column": "q",
        "share": 1.0,
        "words": 18,
        "text": " ".join(words(SUMS[0])),
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Tom’s ducks lay 1200 eggs in a year, and he eats none.", "benchmark_copy:sums"),
        ("Tom's ducks lay 1,200 eggs in spring, and he eats none.", ""),  # no eight words in a row
        ("Half of ninety: what is half of ninety?", "benchmark_copy:sums"),  # whole, with 5 words
        ("What is half of eighty?", ""),
        ("Add four.", ""),  # shorter than min_words
        ("180 beans", ""),
        (f"Nobody knows. {CITY}", "benchmark_copy:facts"),
        ("", ""),
    ],
)
def test_short_items_are_compared_as_wholes_and_long_ones_by_their_share(
    folder: Path, text: str, reason: str
) -> None:
    assert found(text)[0] == reason


def test_settings_move_the_bounds(folder: Path) -> None:
    half = "A gardener plants 12 rows of beans in spring."
    assert found(half, n=7, min_share=0.38)[0] == "benchmark_copy:sums"
    assert found(half, n=7, min_share=0.39)[0] == ""
    assert found(half, n=8, min_share=0.1)[0] == ""
    assert found("Now add four.", min_words=2)[0] == "benchmark_copy:sums"


def test_the_item_with_the_greatest_share_is_named_by_its_key(folder: Path) -> None:
    sets = {"sums": {"path": "sums.jsonl", "columns": ["q"], "key": "id"}}
    text = f"{SUMS[2]} Tom's ducks lay 1,200 eggs in a year, and he eats three."
    reason, detail = found(text, sets=sets)
    assert (reason, detail["item"], detail["share"]) == ("benchmark_copy:sums", "s2", 1.0)


def test_an_item_may_be_spread_over_several_columns(folder: Path) -> None:
    made = stage(field=["instruction", "input"], min_share=0.9, n=7)
    first, second = CITY.split(" after ")
    apart = row(instruction=first, input=f"after {second}")
    (outcome,) = outcomes(made, [apart])
    assert isinstance(outcome, Rejection)
    assert (outcome.detail["share"], outcome.detail["words"]) == (1.0, 8)
    (outcome,) = outcomes(made, [row(instruction=CITY)])
    assert reasons([outcome]) == ["missing_column"]


def test_runs_of_words_do_not_go_across_texts(folder: Path) -> None:
    apart = CITY.split(" of ")
    assert found(apart, min_share=0.9)[0] == ""
    assert found(" of ".join(apart), min_share=0.9)[0] == "benchmark_copy:facts"


class Vectors(FakeContext):
    """A context whose embedder knows a few texts; any other is far from them and each other."""

    known = {SUMS[0]: (1.0, 0.0), "Beans in a garden: in how many places?": (0.9, 0.4358899)}

    def embed(self, texts: Any) -> Any:
        self.embedded += texts
        vectors = np.zeros((len(texts), 64), dtype=np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            vector[:2] = self.known.get(text, (0.0, 0.0))
            if text not in self.known:
                vector[2 + len(text) % 60] = 1.0
        return vectors


def test_paraphrases_are_found_by_the_cosine(folder: Path) -> None:
    near, far = list(Vectors.known)[1], "The weather was lovely."
    made = stage(similarity=0.89)
    context = Vectors(made)
    results = outcomes(made, [row(id="r1", text=near), row(id="r2", text=far)], context)
    assert reasons(results) == ["benchmark_paraphrase:sums", ""]
    (first, _) = results
    assert isinstance(first, Rejection)
    assert first.detail == {
        "set": "sums",
        "item": "1",
        "column": "q",
        "similarity": 0.9,
        "text": SUMS[0],
    }
    assert context.embedded == [near, *SUMS[:3], CITY]  # `far` has four words, `Add four.` two
    assert reasons(outcomes(stage(similarity=0.91), [row(text=near)], Vectors(made))) == [""]


def test_copies_cost_no_embedding_and_without_a_bound_nothing_does(folder: Path) -> None:
    made = stage(similarity=0.9)
    context = FakeContext(made)
    assert reasons(outcomes(made, [row(text=SUMS[0])], context)) == ["benchmark_copy:sums"]
    assert context.embedded == []
    assert (made.uses_embedder(), stage().uses_embedder()) == (True, False)


def test_items_that_are_not_looked_for_are_counted(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found("x", sets={"sums": {"path": "sums.jsonl", "columns": ["q"]}})
    (said,) = [r.getMessage() for r in caplog.records if "overlap" in r.name]
    assert said == "sums: 1 of 4 items are not looked for (item 4: fewer than 5 words)"


def test_a_set_without_usable_texts_is_an_error(folder: Path) -> None:
    with pytest.raises(SourceError, match="no item has a text of 5 words") as raised:
        found("x", sets={"sums": {"path": "sums.jsonl", "columns": ["a"]}})
    assert raised.value.key == "sets.sums"


@pytest.mark.parametrize(
    ("sets", "key", "problem"),
    [
        ({}, "sets", "found {}"),
        ([], "sets", "'sets' is a mapping, found a list"),
        ({"a b": {"path": "sums.jsonl"}}, "sets", "found 'a b'"),
        ({"sums": "sums.jsonl"}, "sets.sums", "found 'sums.jsonl'"),
        ({"sums": {"kind": "topics"}}, "sets.sums.kind", "cannot be read from 'topics'"),
        ({"sums": {"path": "x", "colums": []}}, "sets.sums.colums", "unknown key 'colums'"),
    ],
)
def test_wrong_sets_are_refused(sets: Any, key: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem.replace("{", r"\{")) as raised:
        stage(sets=sets)
    assert raised.value.key.startswith(key)


def test_settings_survive_being_written_and_read(folder: Path) -> None:
    made = stage(sets={"sums": {"path": "sums.jsonl", "columns": {"text": "q"}, "key": "id"}})
    assert STAGES.build(made.model_dump(mode="json")) == made


def test_sets_are_checked_before_the_run(folder: Path) -> None:
    stage().check(View(folder))  # type: ignore[arg-type]
    with pytest.raises(SourceError, match="no column 'question'") as raised:
        stage(sets={"a": {"path": "sums.jsonl", "columns": ["question"]}}).check(View(folder))  # type: ignore[arg-type]
    assert raised.value.key == "sets.a.columns"
    (folder / "saved").mkdir()
    (folder / "saved/state.json").write_text("{}")
    with pytest.raises(SourceError, match="can be read") as raised:
        stage(sets={"a": {"path": "saved"}}).check(View(folder))  # type: ignore[arg-type]
    assert raised.value.fix.endswith("add 'kind: hf_dataset'")


def test_the_fingerprint_changes_with_the_sets(folder: Path) -> None:
    before = stage().fingerprint(View(folder))
    assert stage().fingerprint(View(folder)) == before
    (folder / "facts.csv").write_text("question,answer\nWho are you?,Me\n")
    assert stage().fingerprint(View(folder)) != before


def test_a_dataset_folder_is_a_set(folder: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list([{"prompt": CITY}]).save_to_disk(str(folder / "saved"))
    sets = {"saved": {"kind": "hf_dataset", "path": "saved", "columns": ["prompt"]}}
    stage(sets=sets).check(View(folder))  # type: ignore[arg-type]
    assert found(CITY, sets=sets)[0] == "benchmark_copy:saved"


def job(folder: Path, **settings: Any) -> dict[str, Any]:
    texts = [SUMS[0], "A clean row about the sea.", CITY, f"{SUMS[0]} Well?", "Another clean row."]
    lines = (json.dumps({"text": text}) for text in texts)
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n")
    data = stage(**settings).model_dump(mode="json", exclude={"name"})
    sources = [{"kind": "records", "path": "rows.jsonl"}]
    return {"sources": sources, "stages": [data], "prompts": {}, "embedder": "scripted"}


def test_a_run_counts_by_set_and_gives_the_same_bytes_in_blocks(folder: Path) -> None:
    runs = [launched(folder, f"run{b}", **job(folder, similarity=0.9), block=b) for b in (1, 2, 64)]
    manifest = json.loads((runs[0].folder / "manifest.json").read_text())
    (counts,) = [each for each in manifest["stages"] if each["stage"] == "decontaminate"]
    assert (counts["in"], counts["out"]) == (5, 2)
    assert counts["rejected"] == {"benchmark_copy:facts": 1, "benchmark_copy:sums": 2}
    files = [files_of(run.folder) for run in runs]
    for name in ("rows.jsonl", "rejected.jsonl"):
        assert files[0][name] == files[1][name] == files[2][name]


def test_an_edited_set_is_another_run(folder: Path) -> None:
    loaded = loaded_job(folder, **job(folder))
    before = identity(loaded)
    (folder / "sums.jsonl").write_text(json.dumps({"q": CITY, "a": "Rome"}))
    assert identity(loaded) != before


def test_the_command_line_names_the_set_and_shows_its_rows(folder: Path) -> None:
    path = write_job(folder, job_data(**job(folder)))
    assert textmill(folder, "run", str(path), "--out", "run").code == 0
    shown = textmill(folder, "inspect", "run", "--reason", "benchmark_copy", "-n", "9")
    assert shown.out.count("benchmark_copy:") >= 3
    shown = textmill(folder, "inspect", "run", "--reason", "benchmark_copy:facts", "--json")
    assert [r["detail"]["set"] for r in json.loads(shown.out)["rows"]] == ["facts"]
    (folder / "facts.csv").write_text("question,answer\n")
    ended = textmill(folder, "validate", str(path))
    assert ended.code == 3
    assert_line(ended.err, "...stages.0.sets.facts: ...")


def test_a_dry_run_asks_no_embedder(folder: Path) -> None:
    data = job_data(**job(folder, similarity=0.9))
    ended = textmill(folder, "run", str(write_job(folder, data)), "--dry-run", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out)["stages"]["decontaminate"]["assumed"] == 0


def test_the_index_finds_what_a_search_of_all_pairs_finds() -> None:
    draw = random.Random(5)
    texts = [[draw.choice("abc") for _ in range(draw.randint(1, 12))] for _ in range(40)]
    for n in (3, 5):
        index = NgramIndex(texts, n)
        for _ in range(20):
            pieces = [[draw.choice("abcd") for _ in range(draw.randint(0, 20))] for _ in range(2)]
            expected = {
                i: share for i, text in enumerate(texts) if (share := brute(text, pieces, n))
            }
            got = {i: each.share for i, each in index.overlaps(pieces).items()}
            assert got == expected


def brute(text: list[str], pieces: list[list[str]], n: int) -> float:
    least = min(n, len(text))
    covered: set[int] = set()
    for start in range(len(text)):
        for end in range(start + least, len(text) + 1):
            run = text[start:end]
            if any(run == p[i : i + len(run)] for p in pieces for i in range(len(p))):
                covered |= set(range(start, end))
    return round(len(covered) / len(text), 4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Janet’s eggs cost $1,200.50!", ["janet's", "eggs", "cost", "1200.50"]),
        ("is_prime(n) -> 3.", ["is", "prime", "n", "3"]),
        ("茶は hot、3,4", ["茶", "は", "hot", "3", "4"]),
        ("ÉCOLE Straße e\u0301te\u0301", ["école", "strasse", "été"]),
        ("?!…", []),
    ],
)
def test_words_are_what_a_reader_would_call_the_same(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_the_longest_run_is_told_by_its_place() -> None:
    ours, theirs = words("she paid 1200 for the red sofa"), words("he sold the red sofa")
    assert common(*encoded(ours, theirs), n=3) == (0.4286, 3, 4)
    assert common(*encoded(ours, []), n=3)[:2] == (0.0, 0)
    assert common(*encoded([], theirs), n=3) == (0.0, 0, 0)
