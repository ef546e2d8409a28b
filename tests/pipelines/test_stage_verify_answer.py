"""`verify_answer`: which answers and steps are right, where the answer stands, labels for lines."""

from typing import Any

import pytest
from fakes import outcomes, row

from pipelines.rows import Rejection, Row
from pipelines.stages import VerifyAnswer
from prompts.errors import UsageError


def judged(solution: object, expected: object = "3 * 4 + 2", **settings: Any) -> Row | Rejection:
    stage = VerifyAnswer(name="v", field="solution", expected="expected", **settings)
    [outcome] = outcomes(stage, [row({"solution": solution, "expected": expected})])
    return outcome


@pytest.mark.parametrize(
    ("solution", "reason"),
    [
        ("3 * 4 = 12.\n12 + 2 = 14.\nThe answer is 14.", ""),
        ("It is simply 14", ""),
        ("The answer is 3 * 4 + 2 = 14 eggs, of 20.", ""),
        ("#### 14", ""),
        ("Final: $\\boxed{14}$ and not 15", ""),
        ("Answer: 14.0 eggs (out of 20)", ""),
        ("3 * 4 = 12.\n12 + 2 = 15.\nThe answer is 14.", "wrong_step"),
        ("3 * 4 = 12.\nThe answer is 12.", "wrong_answer"),
        ("The answer is -14.", "wrong_answer"),
        ("The answer is fourteen.", "no_answer"),
        ("", "no_answer"),
        (None, "not_text"),
    ],
)
def test_a_solution_is_right_or_rejected_with_the_reason(solution: object, reason: str) -> None:
    outcome = judged(solution)
    assert (outcome.reason if isinstance(outcome, Rejection) else "") == reason


@pytest.mark.parametrize(
    ("expected", "settings", "reason"),
    [
        (14, {}, ""),
        (14.0, {}, ""),
        ("$14", {}, ""),
        (13.99, {"tolerance": 0.02}, ""),
        (13.99, {}, "wrong_answer"),
        ("two", {}, "bad_expected"),
        (None, {}, "bad_expected"),
        (True, {}, "bad_expected"),
        (float("inf"), {}, "bad_expected"),
        (14, {"min_equations": 1}, "no_steps"),
        (14, {"last_number": False}, "no_answer"),
        (14, {"last_number": False, "markers": ("makes",)}, ""),
    ],
)
def test_settings_and_what_is_expected(
    expected: object, settings: dict[str, Any], reason: str
) -> None:
    outcome = judged("That MAKES 14", expected, **settings)
    assert (outcome.reason if isinstance(outcome, Rejection) else "") == reason


def test_a_rejection_tells_what_was_found_and_expected() -> None:
    outcome = judged("12 / 5 = 2.4. The answer is 2.4.", adds="found")
    assert isinstance(outcome, Rejection)
    assert outcome.detail == {"found": 2.4, "expected": 14}
    assert outcome.row.data["found"] == 2.4


def test_flag_keeps_all_rows_with_verdicts_and_a_label_for_every_line() -> None:
    settings = {"action": "flag", "verdict": "ok", "steps": "steps", "labels": "labels"}
    solution = "3 * 4 = 12\n\n12 + 2 = 15\nThe answer is 15."
    wrong = judged(solution, **settings)
    assert isinstance(wrong, Row)
    assert wrong.data["ok"] is False
    assert wrong.data["steps"] == ["3 * 4 = 12", "12 + 2 = 15", "The answer is 15."]
    assert wrong.data["labels"] == [True, False, False]
    assert wrong.history[-1]["equation"] == "12 + 2 = 15"
    right = judged(solution.replace("15", "14"), **settings)
    assert isinstance(right, Row)
    assert (right.data["ok"], right.data["labels"]) == (True, [True, True, True])


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"action": "flag"}, "verdict"),
        ({"verdict": "ok"}, "verdict"),
        ({"labels": "labels"}, "labels without steps"),
        ({"equations": False, "min_equations": 1}, "not looked at"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    settings: dict[str, Any], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        VerifyAnswer(field="solution", **settings)
