"""The stages together in real runs on scripted models: accounts, repeats, blocks and resumes."""

import json
from pathlib import Path
from typing import Any

import pytest
from jobs import files_of, launched, loaded_job, prompt_text

from pipelines.calling import Caller, Interrupted
from pipelines.launch import Options, launch
from pipelines.runner import Watch

REPLIES = [
    "The river moves slowly before the old bridge.",
    "The river moves slowly before the new bridge.",
    "Sure! Here is a sentence: Every teacher reads a story at seven.",
    "Every teacher, at 7, reads some story again.",
    "A small machine repairs itself while it works. It th",
    "No end",
    "Large gardens keep quiet visitors between two rivers. I hope this helps!",
    "Two rivers keep large gardens quiet for visitors.",
]
GATES = {"similarity": 0.0, "length_ratio": 4}
CHANGES: dict[str, Any] = {
    "models": {
        "writer": {"model": "scripted", "replies": [*REPLIES]},
        "en_fr": {"model": "scripted", "replies": ["Une phrase.", "Deux phrases."]},
        "fr_en": {"model": "scripted", "replies": [*REPLIES]},
    },
    "embedder": "scripted",
    "prompts": {
        "ask": prompt_text("Ask about {{ topic }}.", ["topic"]),
        "reword": prompt_text("Reword: {{ text }}", ["text"]),
    },
    "stages": [
        {"kind": "generate", "model": "writer", "prompt": "ask", "adds": "text"},
        {"kind": "clean", "field": "text"},
        {"kind": "length", "field": "text", "unit": "words", "min": 3, "max": 9},
        {"kind": "dedup", "field": ["text", "topic"], "threshold": 0.6},
        {
            "kind": "paraphrase",
            "model": "writer",
            "prompt": "reword",
            "field": "text",
            "variants": 2,
            "gates": {**GATES},
        },
        {
            "kind": "back_translate",
            "forward": "en_fr",
            "back": "fr_en",
            "field": "text",
            "keep_original": False,
            "gates": {**GATES},
        },
        {"kind": "dedup", "name": "again", "field": "text", "method": "exact"},
        {"kind": "grounded", "field": "text", "against": ["text", "topic"]},
    ],
}


class StopAtBatch(Watch):
    """Asks to stop once, after a number of batches."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def on_batch(self, caller: Caller) -> None:
        self.left -= 1

    def stop_requested(self) -> bool:
        return self.left <= 0


def read(run: Path, file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / file).read_bytes().split(b"\n") if line]


def test_every_row_is_accounted_for(tmp_path: Path) -> None:
    done = launched(tmp_path, **CHANGES)
    for entry in done.run.counts:
        assert entry["in"] + entry["created"] == entry["out"] + sum(entry["rejected"].values())
    funnel = {entry["stage"]: entry for entry in done.run.counts}
    assert funnel["clean"]["rejected"]["unfinished"] > 0
    assert funnel["dedup"]["rejected"]["near_duplicate"] > 0
    assert funnel["paraphrase"]["created"] == 2 * funnel["paraphrase"]["in"]
    assert funnel["back_translate"]["created"] == 0
    assert funnel["back_translate"]["out"] > 0
    assert funnel["again"]["rejected"]["duplicate"] > 0
    assert funnel["grounded"]["rejected"] == {}
    assert len(read(done.folder, "rows.jsonl")) == funnel["grounded"]["out"] > 0


def test_variants_keep_the_family_of_their_row(tmp_path: Path) -> None:
    done = launched(tmp_path, **CHANGES)
    rows = read(done.folder, "rows.jsonl") + read(done.folder, "rejected.jsonl")
    families = {row["id"]: row["family"] for row in rows}
    variants = [row for row in rows if row["history"][-1].get("operation") == "paraphrase"]
    assert variants
    assert all(families[row["history"][-1]["parent"]] == row["family"] for row in variants)


def test_the_block_size_changes_no_row(tmp_path: Path) -> None:
    found = set()
    for block in (1, 7, 64):
        done = launched(tmp_path, f"run{block}", **{**CHANGES, "block": block})
        found.add((done.folder / "rows.jsonl").read_bytes())
    assert len(found) == 1


@pytest.mark.parametrize("batches", [3, 9, 20])
def test_a_resumed_run_is_the_same_to_the_byte(tmp_path: Path, batches: int) -> None:
    (tmp_path / "whole").mkdir()
    whole = launched(tmp_path / "whole", **CHANGES)
    run = tmp_path / "run"
    with pytest.raises(Interrupted):
        launch(loaded_job(tmp_path, **CHANGES), run, Options(watch=StopAtBatch(batches)))
    resumed = launch(loaded_job(tmp_path, **CHANGES), run, Options())
    assert files_of(resumed.folder) == files_of(whole.folder)
