from dataclasses import replace
from typing import Any

import pytest

from pipelines.rows import Fault, Row
from pipelines.stages.likelihood import Likelihood

ROW = Row("a", (0,), "a", {"answer": "Nine."})
STAGE = Likelihood(of="answer", min_mean=-0.25)


def generated(**event: Any) -> Row:
    return replace(ROW, history=({"stage": "answer", **event},))


@pytest.mark.parametrize(("logprob", "kept"), [(-1.0, True), (-2.5, True), (-2.6, False)])
def test_the_mean_over_the_tokens_decides(logprob: float, kept: bool) -> None:
    fault = STAGE.fault(generated(logprob=logprob, tokens=[50, 10]))
    assert (fault is None) == kept
    if fault is not None:
        assert fault == Fault("unlikely", {"mean": -0.26})


@pytest.mark.parametrize("row", [ROW, generated(tokens=[50, 10])])
def test_a_text_without_a_likelihood_is_named(row: Row) -> None:
    assert STAGE.fault(row) == Fault("no_logprob", {"of": "answer"})


def test_of_two_texts_by_one_stage_the_last_counts() -> None:
    events = [{"stage": "answer", "logprob": p, "tokens": [1, 1]} for p in (-9.0, -0.1)]
    assert STAGE.fault(replace(ROW, history=tuple(events))) is None
