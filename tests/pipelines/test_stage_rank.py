import itertools
import math
from typing import Any

import pytest
from fakes import FakeContext, FakeJob, outcomes, reasons, row
from pydantic import ValidationError

from chains.calls import Call, Reply
from chains.decoding.score import Score
from pipelines.rows import Rejection, Row
from pipelines.stages.judging.rank import Rank
from prompts.errors import UsageError

PAIR = """
variables: {first: one, second: another}
messages: [{role: user, content: "{{ first }}|{{ second }}"}]
"""
QUALITY = {"good": 4.0, "fair": 2.0, "bad": 1.0}
TO_A = 3.0  # odds that the model gives to the first place, whatever stands there


def compare(model: str, call: Call) -> Reply:
    assert isinstance(call.decoding, Score)
    first, second = call.messages[-1].content.split("|")
    odds = TO_A * QUALITY[first] / QUALITY[second]
    share = odds / (1 + odds) if call.decoding.target.endswith("A") else 1 / (1 + odds)
    return Reply(call.decoding.target, "stop", logprob=math.log(share))


def stage(**changes: Any) -> Rank:
    return Rank(**{"model": "judge", "field": "texts", "prompt": "pair", **changes})


def ranked(made: Rank, *rows: Row, script: Any = compare) -> list[Any]:
    return outcomes(made, rows, FakeContext(made, script, prompts={"pair": PAIR}))


@pytest.mark.parametrize("texts", list(itertools.permutations(QUALITY)))
def test_the_order_of_the_candidates_decides_nothing(texts: tuple[str, ...]) -> None:
    (found,) = ranked(stage(rejected="worst"), row(texts=list(texts)))
    assert (found.data["best"], found.data["worst"]) == ("good", "bad")
    strengths = dict(zip(texts, found.history[0]["strengths"], strict=True))
    assert strengths["good"] > strengths["fair"] > strengths["bad"]
    assert sum(strengths.values()) == pytest.approx(1.5, abs=1e-3)


def test_equal_candidates_have_equal_strengths() -> None:
    (found,) = ranked(stage(), row(texts=["good", "good"]))
    assert found.history[0]["strengths"] == [0.5, 0.5]


def test_a_single_candidate_is_the_best_and_costs_nothing() -> None:
    made = stage()
    context = FakeContext(made, compare, prompts={"pair": PAIR})
    (found,) = outcomes(made, [row(texts=["bad"])], context)
    assert isinstance(found, Row)
    assert (found.data["best"], context.asked) == ("bad", [])


@pytest.mark.parametrize(
    ("changes", "texts", "reason"),
    [
        ({"min_margin": 0.5}, ["good", "fair"], "no_preference"),
        ({"rejected": "worst"}, ["good"], "no_preference"),
        ({"rejected": "worst"}, ["good", "good"], "no_preference"),
        ({}, [], "empty_list"),
        ({}, "good", "not_a_list"),
        ({}, ["good", 7], "not_a_list"),
    ],
)
def test_rows_without_a_preference_are_rejected(
    changes: dict[str, Any], texts: Any, reason: str
) -> None:
    assert reasons(ranked(stage(**changes), row(texts=texts))) == [reason]


def test_the_best_row_of_a_family_goes_on() -> None:
    made = stage(field="text", over="family", rejected="worst")
    rows = [
        row(id="r0", family="f", text="fair"),
        row(id="r1", family="g", text="bad"),
        row(id="r2", family="f", text="good"),
        row(id="r3", family="f", text=None),
        row(id="r4", family="g", text="fair"),
    ]
    found = {(o.row if isinstance(o, Rejection) else o).id: o for o in ranked(made, *rows)}
    assert found["r2"].data == {"text": "good", "best": "good", "worst": "fair"}
    assert found["r4"].data["worst"] == "bad"
    assert (found["r0"].reason, found["r0"].detail) == ("not_best", {"best": "r2"})
    assert (found["r1"].reason, found["r3"].reason) == ("not_best", "not_text")


def test_an_error_of_the_model_rejects_the_whole_family() -> None:
    made = stage(field="text", over="family")
    rows = [row(id="r0", family="f", text="fair"), row(id="r1", family="f", text="good")]
    broken = Reply("", "error", error="context_overflow: long")
    assert reasons(ranked(made, *rows, script=lambda m, c: broken)) == ["context_overflow"] * 2


@pytest.mark.parametrize("changes", [{"reply": "A"}, {"choices": ["A", "A"]}])
def test_settings_that_cannot_be_meant_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(**changes)


def test_a_prompt_has_to_show_both() -> None:
    one = "variables: {first: x}\nmessages: [{role: user, content: '{{ first }}'}]"
    job = FakeJob(prompts={"pair": PAIR, "one": one}, models=["judge"], columns=["texts"])
    stage().check(job)
    with pytest.raises(UsageError, match="has no variable 'second'"):
        stage(prompt="one").check(job)
