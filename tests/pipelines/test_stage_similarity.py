"""`similarity`: the cosine of two columns, as a number and as a bound."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FakeContext, outcomes, row

from pipelines.job import load_job
from pipelines.launch import Options, launch
from pipelines.rows import Rejection, Row
from pipelines.stages.searching import cosine
from pipelines.stages.similarity import Similarity
from prompts.errors import UsageError


def stage(**settings: Any) -> Similarity:
    return Similarity(field="answer", against="question", **settings)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"min": 0.5, "max": 0.8}, None),
        ({"min": 0.75}, "not_similar"),
        ({"max": 0.65}, "too_similar"),
        ({"min": 0.7, "max": 0.7}, None),
    ],
)
def test_both_bounds_are_included(settings: dict[str, float], reason: str | None) -> None:
    tested = stage(**settings)
    context = FakeContext(tested, cosine=0.7)
    [found] = outcomes(tested, [row(answer="At nine.", question="When?")], context)
    assert (found.reason if isinstance(found, Rejection) else None) == reason
    event = found.detail if isinstance(found, Rejection) else found.history[-1]
    assert event["similarity"] == 0.7
    assert context.embedded == ["At nine.", "When?"]


def test_the_number_becomes_a_column() -> None:
    tested = stage(adds="score")
    assert tested.columns_added() == {"score"}
    [found] = outcomes(tested, [row(answer="At nine.", question="When?")], FakeContext(tested))
    assert isinstance(found, Row)
    assert found.data["score"] == 0.9


def test_a_row_without_one_of_the_texts_is_rejected() -> None:
    rows = [row(answer="At nine."), replace(row(answer="At nine.", question=9), id="b")]
    tested = stage(min=0.1)
    found = outcomes(tested, rows, FakeContext(tested))
    assert [each.reason for each in found if isinstance(each, Rejection)] == [
        "missing_column",
        "not_text",
    ]


@pytest.mark.parametrize(
    ("settings", "said"),
    [({}, "does nothing"), ({"min": 0.9, "max": 0.5}, "0.9 is above max 0.5")],
)
def test_settings_without_sense_are_refused(settings: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        stage(**settings)


def test_paraphrases_are_nearer_than_other_sentences(tmp_path: Path) -> None:
    pairs = [
        ("A man plays a guitar.", "Someone is playing guitar."),
        ("A man plays a guitar.", "The bread costs two euros."),
    ]
    items = [{"one": one, "other": other} for one, other in pairs]
    job = {
        "name": "pairs",
        "sources": [{"kind": "records", "path": "pairs.jsonl"}],
        "stages": [{"kind": "similarity", "field": "one", "against": "other", "min": 0.5}],
    }
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    (tmp_path / "job.yaml").write_text(json.dumps(job))
    launch(load_job(tmp_path / "job.yaml"), tmp_path / "run", Options())
    rows = (tmp_path / "run/rows.jsonl").read_text().splitlines()
    assert [json.loads(line)["data"]["other"] for line in rows] == ["Someone is playing guitar."]


def test_a_text_kept_in_half_precision_is_no_more_than_equal_to_itself() -> None:
    long = np.full(3, 0.57763671875, np.float32)  # 1/sqrt(3) in half precision, rounded up
    assert float(long @ long) > 1
    assert cosine(long, long) == 1.0
    assert cosine(long, -long) == -1.0
