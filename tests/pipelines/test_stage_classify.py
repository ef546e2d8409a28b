import math
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeContext, FakeJob, outcomes, reasons, row
from jobs import files_of, launched
from likelihoods import TEXT_ONLY, judging
from pydantic import ValidationError

from chains.calls import Reply
from pipelines.rows import Rejection, Row
from pipelines.stages.judging.classify import Classify
from prompts.errors import UsageError

TABLE = {
    "A gem.": {"good": 0.6, "bad": 0.2},
    "Awful.": {"good": 0.4, "bad": 0.3},
    "N/A": {"good": 0.5, "bad": 0.25},
}


def stage(**changes: Any) -> Classify:
    settings: dict[str, Any] = {
        "model": "judge",
        "field": "text",
        "labels": ["good", "bad"],
        "templates": "ask",
        "calibrate": {"method": "none"},
    }
    return Classify(**{**settings, **changes})


def labels_of(made: Classify, *texts: str) -> list[Any]:
    rows = [row(id=f"r{at}", text=text) for at, text in enumerate(texts)]
    found = outcomes(made, rows, judging(made, TABLE))
    assert all(isinstance(each, Row) for each in found), reasons(found)
    return [each.data["label"] for each in found if isinstance(each, Row)]


def test_the_most_probable_label_is_added_with_what_speaks_for_it() -> None:
    made = stage(scores="how")
    (found,) = outcomes(made, [row(text="A gem.")], judging(made, TABLE))
    assert isinstance(found, Row)
    assert found.data == {"text": "A gem.", "label": "good", "how": {"good": 0.75, "bad": 0.25}}
    (event,) = found.history
    assert event["probabilities"] == {"good": 0.75, "bad": 0.25}
    assert (event["margin"], event["model"]) == (0.5, "judge@fake")
    assert event["prompts"][0].startswith("ask@")


def test_what_the_model_prefers_without_content_is_taken_off() -> None:
    assert labels_of(stage(), "A gem.", "Awful.") == ["good", "good"]
    calibrated = stage(calibrate={"texts": ["N/A"]})
    assert labels_of(calibrated, "A gem.", "Awful.") == ["good", "bad"]


def test_equal_labels_give_the_first() -> None:
    assert labels_of(stage(), "Not in the table.") == ["good"]
    assert labels_of(stage(labels=["bad", "good"]), "Not in the table.") == ["bad"]


def test_templates_say_labels_in_their_own_words_and_are_averaged() -> None:
    made = stage(
        templates=[
            {"prompt": "ask", "reply": "It is {label}!", "words": {"good": "great"}},
            {"prompt": "ask", "reply": "{label}"},
        ],
        labels={"good": "fine", "bad": "poor"},
    )
    table = {"A gem.": {"It is great!": 0.1, "It is poor!": 0.4, "fine": 0.9, "poor": 0.1}}
    (found,) = outcomes(made, [row(text="A gem.")], judging(made, table))
    assert isinstance(found, Row)
    odds = math.sqrt((0.1 / 0.4) * (0.9 / 0.1))
    assert found.data["label"] == "good"
    assert found.history[0]["probabilities"]["good"] == round(odds / (1 + odds), 4)


def test_a_label_that_is_hardly_ahead_is_uncertain() -> None:
    made = stage(min_margin=0.2)
    rows = [row(id="r0", text="A gem."), row(id="r1", text="Awful.")]
    kept, refused = outcomes(made, rows, judging(made, TABLE))
    assert isinstance(kept, Row)
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.detail) == ("uncertain", {"label": "good", "margin": 0.1429})


@pytest.mark.parametrize(
    ("data", "reason"),
    [({}, "missing_column"), ({"text": 7}, "not_text"), ({"text": " \n"}, "empty")],
)
def test_what_is_no_text_is_rejected(data: dict[str, Any], reason: str) -> None:
    assert reasons(outcomes(stage(), [row(data)], judging(stage(), {}))) == [reason]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply("", "error", error="context_overflow: too long"), "context_overflow"),
        (Reply("good", "stop"), "no_logprob"),
    ],
)
def test_a_text_without_likelihoods_is_rejected(reply: Reply, reason: str) -> None:
    context = FakeContext(stage(), lambda model, call: reply, prompts={"ask": TEXT_ONLY})
    assert reasons(outcomes(stage(), [row(text="A gem.")], context)) == [reason]


def test_calibration_is_asked_for_once_a_run() -> None:
    made = stage(calibrate={"texts": ["N/A", "..."]})
    context = judging(made, TABLE)
    for number in range(3):
        outcomes(made, [row(id=f"r{number}", text="A gem.")], context)
    assert [len(ask.calls) for ask in context.asked] == [4, 2, 2, 2]


def test_the_prior_is_matched_on_a_file(tmp_path: Path) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text('{"review": "A gem."}\n{"review": "Awful."}\n')
    calibrate = {"method": "prior", "file": str(file), "field": "review"}
    made = stage(calibrate=calibrate, scores="p")
    rows = [row(id="r0", text="A gem."), row(id="r1", text="Awful.")]
    found = outcomes(made, rows, judging(made, TABLE))
    good = [each.data["p"]["good"] for each in found if isinstance(each, Row)]
    assert sum(good) == pytest.approx(1, abs=1e-3)
    assert good[0] > 0.5 > good[1]
    skewed = stage(calibrate={**calibrate, "prior": {"good": 0.8, "bad": 0.2}}, scores="p")
    found = outcomes(skewed, rows, judging(skewed, TABLE))
    assert sum(e.data["p"]["good"] for e in found if isinstance(e, Row)) == pytest.approx(1.6, 1e-3)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"labels": ["good"]}, "give two labels or more"),
        ({"labels": {"good": "fine", "bad": "fine"}}, "said in the same way"),
        ({"templates": {"prompt": "ask", "reply": "It is good"}}, "write {label} once"),
        ({"calibrate": {"method": "prior"}}, "go together"),
        ({"calibrate": {"texts": []}}, "give at least one text"),
        ({"calibrate": {"prior": {"good": 0.5, "bad": 0.5}}}, "give 'file'"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        stage(**changes)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"labels": {}}, "labels"),
        ({"templates": "none"}, "templates.0.prompt"),
        ({"templates": {"prompt": "blind"}}, "templates.0.prompt"),
        ({"templates": {"prompt": "ask", "words": {"nice": "x"}}}, "templates.0.words"),
        ({"model": "other"}, "model"),
    ],
)
def test_what_a_job_lacks_is_found_before_it_runs(changes: dict[str, Any], key: str) -> None:
    blind = "variables: {a: x}\nmessages: [{role: user, content: '{{ a }}'}]"
    job = FakeJob(prompts={"ask": TEXT_ONLY, "blind": blind}, models=["judge"], columns=["text"])
    stage().check(job)
    with pytest.raises(UsageError) as error:
        stage(**changes).check(job)
    assert error.value.key == key


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"review": "A gem."}\n', "holds 1 texts"),
        ('{"a": "A gem."}\n{"a": "B"}\n', "has no column 'review'"),
        ('{"review": "A gem.", "y": "nice"}\n{"review": "B", "y": "bad"}\n', "the label 'nice'"),
    ],
)
def test_a_calibration_file_that_cannot_be_used_is_named(
    tmp_path: Path, text: str, problem: str
) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text(text)
    calibrate = {"method": "prior", "file": str(file), "field": "review"}
    made = stage(calibrate={**calibrate, **({"label": "y"} if '"y"' in text else {})})
    with pytest.raises(UsageError, match=problem):
        outcomes(made, [row(text="A gem.")], judging(made, TABLE))


@pytest.mark.parametrize("block", [1, 5, 40])
def test_the_block_size_changes_no_label(tmp_path: Path, block: int) -> None:
    found = []
    for name, size in (("one", block), ("other", 8)):
        stages = [
            {
                "kind": "classify", "model": "writer", "field": "topic",
                "labels": ["a", "a b"], "min_margin": 0.1,
                "templates": {"prompt": "ask", "reply": "it is {label}"},
            }
        ]  # fmt: skip
        run = launched(
            tmp_path, name, stages=stages, block=size, prompts={"ask": TEXT_ONLY}, rows=None
        )
        found.append(files_of(run.folder)["rejected.jsonl"] + files_of(run.folder)["rows.jsonl"])
    assert found[0] == found[1]
    assert found[0]
