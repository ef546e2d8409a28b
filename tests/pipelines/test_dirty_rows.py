"""The recipe `filter` takes every planted defect out for the right reason, and no clean row."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipelines.job import PROJECT, load_job
from pipelines.launch import Options, launch

RECIPE = PROJECT / "pipelines/recipes/filter.yaml"
DIRTY = PROJECT / "examples/seeds/dirty.jsonl"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


PLANTED = lines(DIRTY)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], list[str]]:
    """Instruction and response -> the reasons for which such rows were rejected, "" for kept."""
    job = load_job(RECIPE, overrides=["exports=[]"])
    run = launch(job, tmp_path_factory.mktemp("filter") / "run", Options()).folder
    found: dict[tuple[str, str], list[str]] = {}
    for record in [*lines(run / "rows.jsonl"), *lines(run / "rejected.jsonl")]:
        place = (record["data"]["instruction"], record["data"]["response"])
        found.setdefault(place, []).append(record.get("reason", ""))
    return found


@pytest.mark.parametrize("row", PLANTED, ids=lambda row: f"{row['instruction'][:40]}")
def test_each_row_meets_the_end_it_was_written_for(
    row: dict[str, str], outcome: dict[tuple[str, str], list[str]]
) -> None:
    same = [r["defect"] for r in PLANTED if place(r) == place(row)]
    assert sorted(outcome[place(row)]) == sorted(same)


def place(row: dict[str, str]) -> tuple[str, str]:
    return row["instruction"], row["response"]


def test_the_file_has_clean_rows_and_every_sort_of_defect() -> None:
    defects = Counter(row["defect"].partition(":")[0] for row in PLANTED)
    assert defects.pop("") >= 30
    assert set(defects) == {
        "benchmark_copy", "benchmark_paraphrase", "boilerplate", "duplicate", "empty", "mojibake",
        "near_duplicate", "other_language", "personal_data", "prompt_leak", "refusal", "repetition",
        "secret", "toxic", "unfinished",
    }  # fmt: skip
