import math
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeContext, FakeJob, outcomes, reasons, row
from jobs import launched, prompt_text

from chains.calls import Call, Reply
from chains.decoding.score import Score
from pipelines.rows import Rejection, Row
from pipelines.stages import STAGES, Perplexity
from prompts.errors import UsageError

PROMPT = prompt_text("Answer {{ question }}", ["question"])


def scored(model: str, call: Call) -> Reply:
    """Each word of the text costs 2 nats, one of the prompt's words 1."""
    assert isinstance(call.decoding, Score)
    words = call.decoding.target.split()
    known = call.messages[-1].content.split()
    return Reply(" ".join(words), "stop", 3, len(words), -sum(2 - (w in known) for w in words))


def judged(data: dict[str, Any], script: Any = scored, **settings: Any) -> Any:
    stage = STAGES.build({"kind": "perplexity", "field": "text", "model": "writer", **settings})
    context = FakeContext(stage, script, prompts={"ask": PROMPT})
    [result] = outcomes(stage, [row(data)], context)
    return result


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        ({}, 2.0),
        ({"given": "question"}, 1.5),
        ({"prompt": "ask"}, 1.5),
        ({"prompt": "ask", "inputs": {"question": "text"}}, 1.0),
        ({"given": "question", "relative": True}, -0.5),
    ],
)
def test_the_value_is_the_exponential_of_the_mean_loss(
    settings: dict[str, Any], value: float
) -> None:
    kept = judged({"text": "tea is", "question": "what is it"}, adds="ppl", **settings)
    assert isinstance(kept, Row)
    assert kept.data["ppl"] == round(math.exp(value), 4)
    event = kept.history[-1]
    assert (event["model"], event["perplexity"], event["tokens"]) == (
        "writer@fake",
        kept.data["ppl"],
        2,
    )


@pytest.mark.parametrize(
    ("settings", "reason", "bound"),
    [({"max": 7.3}, "perplexity_high", 7.3), ({"min": 7.5}, "perplexity_low", 7.5)],
)
def test_values_beyond_the_bounds_are_rejected(
    settings: dict[str, Any], reason: str, bound: float
) -> None:
    result = judged({"text": "tea is hot"}, **settings)
    assert isinstance(result, Rejection)
    assert result.reason == reason
    assert dict(result.detail) == {"perplexity": 7.3891, "tokens": 3, "bound": bound}


def test_between_the_bounds_no_column_is_added() -> None:
    kept = judged({"text": "tea is hot"}, min=7, max=8)
    assert isinstance(kept, Row)
    assert set(kept.data) == {"text"}


@pytest.mark.parametrize(
    ("data", "script", "reason"),
    [
        ({"text": "  "}, scored, "empty"),
        ({"text": 3}, scored, "not_text"),
        ({"question": "x"}, scored, "missing_column"),
        ({"text": "tea"}, lambda m, c: Reply("tea", "stop", 1, 1), "no_logprob"),
        (
            {"text": "tea"},
            lambda m, c: Reply("", "error", error="context_overflow: 9 tokens"),
            "context_overflow",
        ),
    ],
)
def test_what_has_no_score_is_rejected(data: dict[str, Any], script: Any, reason: str) -> None:
    assert reasons([judged(data, script, max=9)]) == [reason]


@pytest.mark.parametrize("settings", [{"given": "question"}, {"prompt": "ask"}])
def test_a_row_without_the_context_is_rejected(settings: dict[str, Any]) -> None:
    assert reasons([judged({"text": "tea"}, max=9, **settings)]) == ["missing_column"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "neither 'min' nor 'max'"),
        ({"min": 3, "max": 2}, "above"),
        ({"max": 9, "prompt": "ask", "given": "question"}, "exclude"),
        ({"max": 9, "relative": True}, "relative"),
        ({"max": 9, "inputs": {"question": "q"}}, "inputs"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        STAGES.build({"kind": "perplexity", "field": "text", "model": "writer", **settings})


def test_model_and_prompt_are_checked_before_the_run() -> None:
    stage = Perplexity(field="text", model="writer", max=9, prompt="ask", inputs={"q": "x"})
    with pytest.raises(UsageError, match="unknown model"):
        stage.check(FakeJob())
    with pytest.raises(UsageError, match="no variable 'q'"):
        stage.check(FakeJob(models=["writer"], prompts={"ask": PROMPT}))
    plain = Perplexity(field="text", model="writer", max=9, prompt="ask")
    with pytest.raises(UsageError, match="missing column question"):
        plain.check(FakeJob(models=["writer"], prompts={"ask": PROMPT}))


def test_a_second_run_is_answered_by_the_ledger(tmp_path: Path) -> None:
    stages = [{"kind": "perplexity", "field": "topic", "model": "writer", "adds": "ppl"}]
    first = launched(tmp_path, "a", stages=stages)
    again = launched(tmp_path, "b", stages=stages)
    assert first.meter.known < first.meter.calls
    assert again.meter.known == again.meter.calls
    assert again.meter.calls == 40
