"""Stages that ask classifiers, on classifiers of random weights, by the way of a whole run."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from jobs import files_of, launched

from chains.calls import Call, Message
from chains.decoding.score import Score
from chains.models import ModelSpec, open_model
from pipelines.launch import Launched
from prompts.errors import UsageError

sys.path.insert(0, str(Path(__file__).parents[1] / "chains"))

from tiny_models import save_classifier

LABELS = ("contradiction", "entailment", "neutral")
ROWS = [
    {"text": "The cat sat. It ran.", "context": "A cat.", "label": "neutral"},
    {"text": "A dog ran after the cat.", "context": "A dog.", "label": "entailment"},
    {"text": "Rivers and rooms.", "context": "A small model.", "label": "neutral"},
]


@pytest.fixture(scope="module")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("heads")
    save_classifier(folder / "nli", "bert", LABELS)
    save_classifier(folder / "value", "bert", ("reward",))
    save_classifier(folder / "vague", "bert", ("LABEL_0", "LABEL_1"))
    return folder


def ran(folder: Path, heads: Path, stage: dict[str, Any], **changes: Any) -> Launched:
    (folder / "rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in ROWS))
    names = ("nli", "value", "vague")
    models = {name: {"model": str(heads / name), "dtype": "float32"} for name in names}
    settings: dict[str, Any] = {
        "models": models,
        "sources": [{"kind": "records", "path": "rows.jsonl"}],
        "stages": [stage],
        **changes,
    }
    return launched(folder, changes.pop("run", "run"), **settings)


def lines(run: Launched, name: str = "rows.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.folder / name).read_text().splitlines()]


def head(heads: Path, name: str) -> Any:
    return open_model(ModelSpec(model=str(heads / name), dtype="float32"))


def test_a_classifier_gives_its_own_labels(tmp_path: Path, heads: Path) -> None:
    run = ran(
        tmp_path, heads, {"kind": "classify", "model": "nli", "field": "text", "adds": "found"}
    )
    found = [line["data"]["found"] for line in lines(run)]
    model = head(heads, "nli")
    assert found == [model.invoke(each["text"]).content for each in ROWS]
    event = lines(run)[0]["history"][-1]
    assert set(event["probabilities"]) == set(LABELS)
    assert sum(event["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    assert "prompts" not in event


def test_its_labels_can_be_renamed_and_fewer(tmp_path: Path, heads: Path) -> None:
    stage = {"kind": "classify", "model": "nli", "field": "text",
             "labels": {"yes": "entailment", "no": "contradiction"}}  # fmt: skip
    assert {line["data"]["label"] for line in lines(ran(tmp_path, heads, stage))} <= {"yes", "no"}


def test_rows_and_blocks_change_no_byte(tmp_path: Path, heads: Path) -> None:
    stage = {"kind": "relabel", "model": "nli", "field": "text", "action": "replace"}
    found = []
    for name, block in (("a", 1), ("b", 8)):
        (tmp_path / name).mkdir()
        run = ran(tmp_path / name, heads, stage, block=block)
        found.append(files_of(run.folder)["rows.jsonl"])
    assert found[0] == found[1]
    assert found[0].count(b"\n") == 3


def test_a_reward_is_the_value_of_the_head(tmp_path: Path, heads: Path) -> None:
    stage = {"kind": "reward", "model": "value", "prompt": "context", "answer": "text"}
    run = ran(tmp_path, heads, stage)

    pairs = [(Message("user", r["context"]), Message("assistant", r["text"])) for r in ROWS]
    calls = [Call(pair, Score(target="")) for pair in pairs]
    known = {
        i: replies[0].score for part in head(heads, "value").answer(calls) for i, replies in part
    }
    values = [line["data"]["reward"] for line in lines(run)]
    assert values == [round(known[at], 4) for at in range(3)]
    least = sorted(values)[1]
    (tmp_path / "again").mkdir()
    run = ran(tmp_path / "again", heads, {**stage, "min": least})
    (low,) = lines(run, "rejected.jsonl")
    assert (low["reason"], low["detail"]) == ("low_reward", {"reward": min(values)})


def test_a_reward_model_ranks_families_of_one(tmp_path: Path, heads: Path) -> None:
    stage = {"kind": "rank", "model": "value", "field": "text", "over": "family"}
    run = ran(tmp_path, heads, stage)
    assert [line["data"]["best"] for line in lines(run)] == [each["text"] for each in ROWS]


def test_each_sentence_has_to_follow(tmp_path: Path, heads: Path) -> None:
    stage = {"kind": "entailment", "model": "nli", "field": "text", "min": 0.0, "adds": "least"}
    run = ran(tmp_path, heads, stage)
    assert [len(line["history"][-1]["entailment"]) for line in lines(run)] == [2, 1, 1]

    pair = (Message("user", "A cat."), Message("user", "It ran."))
    [[(_, [reply])]] = head(heads, "nli").answer(
        [Call(pair, Score(target="entailment", end=False))]
    )
    assert lines(run)[0]["history"][-1]["entailment"][1] == round(math.exp(reply.logprob), 4)
    least = [line["data"]["least"] for line in lines(run)]
    (tmp_path / "again").mkdir()
    run = ran(tmp_path / "again", heads, {**stage, "min": sorted(least)[1]})
    (refused,) = lines(run, "rejected.jsonl")
    assert refused["reason"] == "not_entailed"
    assert refused["detail"]["probability"] == min(least)
    assert refused["detail"]["sentence"] in refused["data"]["text"]


def test_toxicity_takes_the_higher_of_list_and_classifier(tmp_path: Path, heads: Path) -> None:
    labels = ["contradiction", "neutral"]
    stage = {"kind": "toxicity", "fields": ["text"], "model": "nli", "labels": labels,
             "action": "flag"}  # fmt: skip
    found = [line["data"]["toxicity"] for line in lines(ran(tmp_path, heads, stage))]
    calls = [
        Call((Message("user", each["text"]),), Score(target=label, end=False))
        for each in ROWS
        for label in labels
    ]
    model = head(heads, "nli")
    chances = {i: math.exp(r.logprob) for part in model.answer(calls) for i, [r] in part}
    assert found == [round(max(chances[2 * i], chances[2 * i + 1]), 4) for i in range(len(ROWS))]
    (tmp_path / "again").mkdir()
    most = sorted(found)[-2]
    run = ran(tmp_path / "again", heads, {**stage, "action": "reject", "max_score": most})
    (refused,) = lines(run, "rejected.jsonl")
    assert (refused["reason"], refused["detail"]["probability"]) == ("toxic", max(found))


@pytest.mark.parametrize(
    ("stage", "problem"),
    [
        ({"kind": "toxicity", "model": "nli", "labels": ["rude"]}, "no label 'rude'"),
        ({"kind": "toxicity", "model": "nli"}, "a model needs labels"),
        ({"kind": "entailment", "model": "vague", "field": "text"}, "no label of the model says"),
        ({"kind": "entailment", "model": "nli", "field": "text", "label": "yes"}, "no label 'yes'"),
        ({"kind": "reward", "model": "nli", "answer": "text"}, "has 3 labels, not a value"),
        ({"kind": "rank", "model": "nli", "field": "text"}, "has 3 labels"),
        ({"kind": "classify", "model": "value", "field": "text"}, "has one output, not labels"),
        (
            {"kind": "classify", "model": "nli", "field": "text", "labels": ["yes", "neutral"]},
            "the classifier has no label 'yes'",
        ),
    ],
)
def test_a_head_that_does_not_fit_the_stage_is_named(
    tmp_path: Path, heads: Path, stage: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        ran(tmp_path, heads, stage)
