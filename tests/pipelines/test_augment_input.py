"""What augmentation makes of input that is odd, wrong or too much for it, in whole runs."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import textmill
from jobs import job_data, prompt_text, write_job

TEXTS = {
    "empty": "",
    "blank": " \n\t ",
    "one word": "Rain.",
    "one letter": "a",
    "marks alone": "?! ...",
    "numbers alone": "3 4.5 10,000",
    "many languages": "The Hund sleeps, и кошка тоже: 狗在睡觉, والقطة أيضا.",
    "emoji": "👩‍🚀🚀 rocket 🇸🇪",
    "combining marks": "e\u0301te\u0301 is spelt twice as été",
    "markup": "<b>Bold</b> {name} and `code` at https://example.org/a?b=c",
    "long": "A sentence about rivers and bridges. " * 400,
    "one long word": "x" * 5000,
}
NO_TEXT = {"empty", "blank"}
REPLY = {"writer": {"model": "scripted", "replies": ["Some other words.", "Was it said before?"]}}
PROMPTS = {
    "again": prompt_text("Again: {{ text }}", ["text"]),
    "there": prompt_text("Into {{ language }}: {{ text }}", ["text", "language"]),
}
OPEN = {"gates": {"similarity": -1, "length_ratio": 9}}
WRITES = {"model": "writer", "prompt": "again"}
STAGES: dict[str, dict[str, Any]] = {
    "paraphrase": {**WRITES, **OPEN},
    "back_translate": {
        "model": "writer",
        "forward_prompt": "there",
        "back_prompt": "there",
        **OPEN,
    },
    "reconstruct": {**WRITES, **OPEN},
    "expand": {**WRITES, **OPEN, "length": {"unit": "words", "min": 2, "max": 90}},
    "compress": {**WRITES, **OPEN, "length": {"unit": "words", "max": 90}},
    "noise": {"rate": 0.5},
    "eda": {},
}
REASONS = {
    "identical", "form_changed", "numbers_changed", "word_doubled", "length_changed", "too_short",
    "too_similar", "meaning_changed", "unfinished", "not_translated", "repeated", "too_long",
    "context_overflow",
}  # fmt: skip


def records(folder: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(lines, encoding="utf-8")
    return {"kind": "records", "path": "rows.jsonl"}


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n") if line]


def made(run: Path) -> set[str]:
    """The sorts of text that have a variant."""
    return {
        row["data"]["sort"]
        for row in read(run / "rows.jsonl")
        if any("operation" in event for event in row["history"])
    }


@pytest.mark.parametrize("kind", STAGES)
def test_odd_texts_end_in_a_variant_or_a_reason(kind: str, tmp_path: Path) -> None:
    stage = {"kind": kind, "field": "text", "variants": 2, "attempts": 2, **STAGES[kind]}
    data = job_data(
        models=REPLY,
        prompts=PROMPTS,
        sources=[records(tmp_path, [{"sort": n, "text": t} for n, t in TEXTS.items()])],
        stages=[stage],
        embedder="scripted",
    )
    write_job(tmp_path, data)
    ended = textmill(tmp_path, "run", "job.yaml", "--out", "run", "--no-progress")
    assert (ended.code, ended.err.count("error")) == (0, 0)
    assert {"one word", "many languages"} & made(tmp_path / "run"), "some have a variant"
    kept, refused = read(tmp_path / "run/rows.jsonl"), read(tmp_path / "run/rejected.jsonl")
    for sort, text in TEXTS.items():
        mine = [row for row in kept if row["data"]["sort"] == sort]
        gone = [row["reason"] for row in refused if row["data"]["sort"] == sort]
        if sort in NO_TEXT:
            assert (mine, gone) == ([], ["empty"])
            continue
        assert len(mine) + len(gone) == 3, "the original, and two variants or their reasons"
        assert mine[0]["data"]["text"] == text
        assert all(row["data"]["text"].strip() for row in mine)
        assert len({row["data"]["text"] for row in mine}) == len(mine)
        assert set(gone) <= REASONS


def test_a_text_beyond_the_window_of_a_translator_is_refused_alone(tmp_path: Path) -> None:
    from tests.chains.tiny_models import save_t5

    save_t5(tmp_path / "t5")
    rows = [{"text": "the cat sat"}, {"text": "the dog ran after the cat " * 20}]
    stage = {
        "kind": "back_translate",
        "field": "text",
        "forward": "there",
        "back": "again",
        "forward_decoding": {"strategy": "sample", "max_tokens": 6},
        "back_decoding": {"strategy": "greedy", "max_tokens": 5},
        "gates": {"similarity": None},
    }
    write_job(
        tmp_path,
        job_data(
            models={name: {"model": "./t5", "window": 24} for name in ("there", "again")},
            sources=[records(tmp_path, rows)],
            stages=[stage],
        ),
    )
    ended = textmill(tmp_path, "run", "job.yaml", "--out", "run", "--no-progress")
    assert ended.code == 0
    kept, refused = read(tmp_path / "run/rows.jsonl"), read(tmp_path / "run/rejected.jsonl")
    assert [row["data"] for row in kept if row["order"].endswith(".0")] == rows
    long = next(row for row in refused if row["order"].startswith("1"))
    assert (long["reason"], long["attempts"]) == ("context_overflow", 1)
    assert "the window holds 24" in long["detail"]["found"]
    assert "context_overflow" not in {r["reason"] for r in refused if r is not long}


def test_one_model_of_many_languages_translates_both_ways(tmp_path: Path) -> None:
    """Two entries of one folder: each has its own direction, and the ledger keeps them apart."""
    from tests.chains.tiny_translators import CODES, save_translator

    save_translator(tmp_path / "nllb", "nllb")
    english, french = CODES["nllb"]
    models = {
        "en_fr": {"model": "./nllb", "src_lang": english, "tgt_lang": french},
        "fr_en": {"model": "./nllb", "src_lang": french, "tgt_lang": english},
    }
    source = records(tmp_path, [{"text": "the cat sat on the mat"}])
    pivots = []
    for forward, back in (("en_fr", "fr_en"), ("fr_en", "en_fr")):
        stage = {
            "kind": "back_translate",
            "field": "text",
            "forward": forward,
            "back": back,
            "forward_decoding": {"strategy": "greedy", "max_tokens": 6},
            "gates": {"similarity": None},
        }
        write_job(tmp_path, job_data(models=models, sources=[source], stages=[stage]))
        ended = textmill(tmp_path, "run", "job.yaml", "--out", forward, "--no-progress")
        assert ended.code == 0, ended.err
        run = tmp_path / forward
        rows = [*read(run / "rows.jsonl"), *read(run / "rejected.jsonl")]
        pivots += [row["history"][-1].get("pivot") for row in rows]
    assert len(set(pivots) - {None}) == 2


@pytest.mark.parametrize(
    ("missing", "found", "fix"),
    [
        ("./pivot-de", "pivot-de: no such model folder", "fix: check the path"),
        ("Helsinki-NLP/opus-mt-de-en", "is not on this machine", "hf download Helsinki-NLP/opus"),
    ],
)
def test_a_pivot_model_that_is_not_there_ends_the_run_before_any_call(
    missing: str, found: str, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "empty"))
    stage = {"kind": "back_translate", "field": "topic",
             "pivots": [{"forward": "en_fr", "back": "fr_en"},
                        {"forward": "en_de", "back": "de_en"}]}  # fmt: skip
    models = {name: {"model": "scripted"} for name in ("en_fr", "fr_en", "en_de")}
    models["de_en"] = {"model": missing}
    write_job(tmp_path, job_data(models=models, stages=[stage], embedder="scripted"))
    ended = textmill(tmp_path, "run", "job.yaml", "--out", "run", "--offline")
    assert ended.code == 4
    assert ended.out == ""
    [line] = ended.err.strip().split("\n")
    assert found in line
    assert fix in line
    assert not (tmp_path / "run/rows.jsonl").exists() or not read(tmp_path / "run/rows.jsonl")


def test_a_label_that_the_gate_does_not_know_is_refused_after_one_try(tmp_path: Path) -> None:
    rows = [{"text": "A gem of a tent.", "label": label} for label in ("positive", "mixed")]
    label = {"model": "writer", "labels": ["positive", "negative"],
             "calibrate": {"method": "none"}}  # fmt: skip
    stage = {"kind": "paraphrase", "field": "text", **WRITES, "attempts": 4,
             "gates": {"similarity": None, "difference": 0, "length_ratio": 99, "form": False,
                       "label": label}}  # fmt: skip
    source = records(tmp_path, rows)
    write_job(tmp_path, job_data(models=REPLY, prompts=PROMPTS, sources=[source], stages=[stage]))
    ended = textmill(tmp_path, "run", "job.yaml", "--out", "run", "--no-progress")
    assert ended.code == 0
    [refused] = [r for r in read(tmp_path / "run/rejected.jsonl") if r["data"]["label"] == "mixed"]
    assert (refused["reason"], refused["attempts"]) == ("unknown_label", 1)
    assert refused["detail"] == {"label": "mixed", "labels": ["positive", "negative"]}


def test_constraints_without_a_solution_are_named(tmp_path: Path) -> None:
    columns = {"start": [3, 4], "end": [1, 2]}
    source = {"kind": "attributes", "columns": columns, "where": ["end > start"], "count": 4}
    write_job(tmp_path, job_data(sources=[source], stages=[]))
    ended = textmill(tmp_path, "validate", "job.yaml")
    assert ended.code == 2
    assert "sources.0.where.0: no row meets 'end > start'" in ended.err
    assert "; fix: " in ended.err
