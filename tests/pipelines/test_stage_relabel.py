from pathlib import Path
from typing import Any

import pytest
from fakes import FakeJob, outcomes, reasons, row
from likelihoods import TEXT_ONLY, judging
from pydantic import ValidationError

from pipelines.rows import Rejection, Row
from pipelines.stages.judging.relabel import Relabel
from prompts.errors import UsageError

TABLE = {
    "A gem.": {"good": 0.9, "bad": 0.1},
    "Fine.": {"good": 0.6, "bad": 0.4},
    "Awful.": {"good": 0.1, "bad": 0.9},
}


def stage(**changes: Any) -> Relabel:
    settings: dict[str, Any] = {
        "model": "judge",
        "field": "text",
        "labels": ["good", "bad"],
        "templates": "ask",
        "calibrate": {"method": "none"},
    }
    return Relabel(**{**settings, **changes})


def after(made: Relabel, text: str, label: Any) -> Any:
    (found,) = outcomes(made, [row(text=text, label=label)], judging(made, TABLE))
    return found


def test_a_label_that_the_model_doubts_is_rejected_with_the_evidence() -> None:
    refused = after(stage(), "Awful.", "good")
    assert isinstance(refused, Rejection)
    assert refused.reason == "other_label"
    assert refused.detail == {
        "given": "good",
        "found": "bad",
        "probabilities": {"bad": 0.9, "good": 0.1},
    }


def test_a_label_that_the_model_shares_is_kept() -> None:
    kept = after(stage(), "Awful.", "bad")
    assert isinstance(kept, Row)
    assert kept.data == {"text": "Awful.", "label": "bad"}
    assert (kept.history[0]["given"], kept.history[0]["found"]) == ("bad", None)


def test_replace_puts_the_other_label_in() -> None:
    assert after(stage(action="replace"), "Awful.", "good").data["label"] == "bad"
    assert after(stage(action="replace"), "A gem.", "good").data["label"] == "good"


def test_flag_names_the_other_label_beside_it() -> None:
    made = stage(action="flag", adds="suspect")
    assert made.columns_added() == {"suspect"}
    assert after(made, "Awful.", "good").data == {
        "text": "Awful.",
        "label": "good",
        "suspect": "bad",
    }
    assert after(made, "A gem.", "good").data["suspect"] is None


@pytest.mark.parametrize(("margin", "doubted"), [(0.1, True), (0.2, True), (0.3, False)])
def test_the_other_label_has_to_be_ahead(margin: float, doubted: bool) -> None:
    assert isinstance(after(stage(min_margin=margin), "Fine.", "bad"), Rejection) == doubted


@pytest.mark.parametrize(("least", "doubted"), [(0.5, True), (0.7, False)])
def test_the_other_label_has_to_reach_its_threshold(least: float, doubted: bool) -> None:
    made = stage(thresholds={"good": least, "bad": 1.0})
    assert isinstance(after(made, "Fine.", "bad"), Rejection) == doubted


def test_equal_labels_leave_the_given_one_alone() -> None:
    assert isinstance(after(stage(), "Not in the table.", "bad"), Row)


def test_thresholds_are_the_self_confidence_on_a_labelled_file(tmp_path: Path) -> None:
    """For `good` that of the texts labelled so, 0.9 and 0.6: "Fine." does not reach its mean."""
    file = tmp_path / "labelled.jsonl"
    lines = [("A gem.", "good"), ("Fine.", "good"), ("Awful.", "bad"), ("Awful.", "bad")]
    file.write_text("".join(f'{{"text": "{t}", "label": "{y}"}}\n' for t, y in lines))
    calibrate = {"method": "prior", "file": str(file), "label": "label"}
    made = stage(calibrate=calibrate)
    assert isinstance(after(made, "Fine.", "bad"), Row)
    assert isinstance(after(made, "A gem.", "bad"), Rejection)
    assert isinstance(after(stage(calibrate=calibrate, thresholds={"good": 0}), "Fine.", "bad"),
                      Rejection)  # fmt: skip


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"text": "A gem."}, "missing_column"),
        ({"text": "A gem.", "label": "nice"}, "unknown_label"),
        ({"text": "A gem.", "label": ["good"]}, "unknown_label"),
        ({"text": None, "label": "good"}, "not_text"),
    ],
)
def test_rows_without_a_label_or_text_are_rejected(data: dict[str, Any], reason: str) -> None:
    assert reasons(outcomes(stage(), [row(data)], judging(stage(), TABLE))) == [reason]


@pytest.mark.parametrize("changes", [{"action": "flag"}, {"adds": "suspect"}])
def test_a_flag_needs_its_column(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="go together"):
        stage(**changes)


def test_thresholds_are_of_labels() -> None:
    job = FakeJob(prompts={"ask": TEXT_ONLY}, models=["judge"], columns=["text", "label"])
    with pytest.raises(UsageError, match="'nice' is no label"):
        stage(thresholds={"nice": 0.5}).check(job)
