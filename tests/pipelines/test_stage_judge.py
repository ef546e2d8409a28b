import json
import math
from typing import Any

import pytest
from fakes import FakeContext, FakeJob, outcomes, reasons, row
from pydantic import ValidationError

from chains.calls import Call, Reply
from chains.decoding.score import Score
from pipelines.rows import Rejection, Row
from pipelines.stages.judging.judge import Judge
from prompts.errors import UsageError

PROMPTS = {
    "rate": "variables: {text: x, rubric: z}\n"
    'messages: [{role: user, content: "{{ rubric }} {{ text }}"}]\noutput: {form: json}',
    "again": "variables: {text: x}\n"
    'messages: [{role: user, content: "Again {{ text }}"}]\noutput: {form: json}',
}


def stage(**changes: Any) -> Judge:
    settings: dict[str, Any] = {"model": "judge", "prompt": "rate", "values": {"rubric": "Kind."}}
    return Judge(**{**settings, **changes})


def marks(model: str, call: Call) -> Reply:
    """Twice as likely a mark as the one before; texts that begin with "Again" the other way."""
    assert isinstance(call.decoding, Score)
    mark = json.loads(call.decoding.target)["score"]
    flip = call.messages[-1].content.startswith("Again")
    return Reply(call.decoding.target, "stop", logprob=math.log(2) * (-mark if flip else mark))


def judged(made: Judge, script: Any = marks, **columns: Any) -> Any:
    context = FakeContext(made, script, prompts=PROMPTS)
    return outcomes(made, [row({"text": "Sit.", **columns})], context)[0]


def test_the_score_is_the_mean_mark_under_the_likelihoods() -> None:
    found = judged(stage())
    weights = [2**mark for mark in range(1, 6)]
    mean = sum(m * w for m, w in zip(range(1, 6), weights, strict=True)) / sum(weights)
    assert found.data["score"] == round(mean, 4)
    assert found.history[0]["marks"]["5"] == round(32 / sum(weights), 4)
    assert found.history[0]["votes"] == [round(mean, 4)]


def test_every_prompt_has_a_vote_and_their_spread_is_told() -> None:
    found = judged(stage(prompt=["rate", "again"]))
    assert found.data["score"] == 3.0
    first, second = found.history[0]["votes"]
    assert found.history[0]["spread"] == round(first - second, 4) > 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"min_score": 4.5}, "low_score"),
        ({"min_score": 4.0}, ""),
        ({"prompt": ["rate", "again"], "max_spread": 1}, "votes_differ"),
    ],
)
def test_a_score_can_be_too_low_and_votes_too_far_apart(
    changes: dict[str, Any], reason: str
) -> None:
    assert reasons([judged(stage(**changes))]) == [reason]


def test_replies_are_read_and_those_without_a_mark_are_no_votes() -> None:
    made = stage(read="reply", votes=3)
    said = iter(['{"score": 4}', "I cannot say.", '{"score": "2"}'])
    found = judged(made, lambda model, call: next(said))
    assert (found.data["score"], found.history[0]["votes"]) == (3.0, [4.0, 2.0])
    assert found.history[0]["unread"] == 1


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("I cannot say.", "no_json"),
        ('{"score": 9}', "no_mark"),
        ('{"score": true}', "no_mark"),
        ('{"mark": 3}', "no_mark"),
        (Reply('{"sc', "length"), "cut_at_max_tokens"),
        (Reply("", "error", error="context_overflow: long"), "context_overflow"),
    ],
)
def test_replies_that_cannot_be_read_reject_the_row(reply: Any, reason: str) -> None:
    found = judged(stage(read="reply"), lambda model, call: reply)
    assert isinstance(found, Rejection)
    assert found.reason == reason


def test_votes_have_seeds_of_their_own() -> None:
    made = stage(read="reply", votes=2)
    context = FakeContext(made, lambda m, c: '{"score": 1}', prompts=PROMPTS)
    outcomes(made, [row(text="Sit.")], context)
    seeds = [call.seed for call in context.asked[0].calls]
    assert len(set(seeds)) == 2


def test_a_model_that_tells_no_likelihood_rejects_the_row() -> None:
    assert reasons([judged(stage(), lambda m, c: Reply("", "stop"))]) == ["no_logprob"]


def test_a_row_without_a_column_of_the_prompt_is_rejected() -> None:
    context = FakeContext(stage(), marks, prompts=PROMPTS)
    assert reasons(outcomes(stage(), [row()], context)) == ["missing_column"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"scale": [3, 1]}, "from the lowest to the highest"),
        ({"reply": "Good"}, "write {mark} once"),
        ({"votes": 2}, "need 'read: reply'"),
        ({"votes": 2, "read": "reply", "decoding": {"strategy": "greedy"}}, "samples"),
        ({"inputs": {"rubric": "r"}}, "choose one"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        stage(**changes)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"values": {"rubric": "x", "tone": "y"}}, "values"),
        ({"inputs": {"words": "text"}}, "inputs"),
        ({"prompt": "none"}, "prompt"),
    ],
)
def test_what_a_job_lacks_is_found_before_it_runs(changes: dict[str, Any], key: str) -> None:
    job = FakeJob(prompts=PROMPTS, models=["judge"], columns=["text"])
    stage().check(job)
    with pytest.raises(UsageError) as error:
        stage(**changes).check(job)
    assert error.value.key == key


def test_a_kept_row_is_a_row() -> None:
    assert isinstance(judged(stage()), Row)
