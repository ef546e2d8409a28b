import pytest
from fakes import FakeJob, outcomes, reasons, row

from pipelines.rows import Rejection
from pipelines.stages import STAGES, LengthFilter
from prompts.errors import UsageError


def test_rows_outside_the_window_are_rejected_with_their_length() -> None:
    texts = ["One.", "One. Two.", "One. Two. Three."]
    rows = [row(id=f"r{i}", answer=text) for i, text in enumerate(texts)]
    stage = LengthFilter(field="answer", unit="sentences", min=2, max=2)
    results = outcomes(stage, rows)
    assert reasons(results) == ["too_short", "", "too_long"]
    assert results[1] == rows[1]
    assert isinstance(results[2], Rejection)
    assert results[2].detail == {"unit": "sentences", "length": 3, "min": 2, "max": 2}


@pytest.mark.parametrize(
    ("data", "reason"), [({}, "missing_column"), ({"answer": ["a", "b"]}, "not_text")]
)
def test_rows_without_text_are_rejected(data: dict[str, object], reason: str) -> None:
    assert reasons(outcomes(LengthFilter(field="answer", min=1), [row(data)])) == [reason]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"unit": "tokens", "max": 5}, "name the model"),
        ({"unit": "words", "max": 5, "model": "writer"}, "unit tokens only"),
        ({"min": 3, "max": 2}, "no text fits"),
        ({}, "give one of them"),
        ({"max": 5, "field": ""}, "at least 1 character"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        STAGES.build({"kind": "length", "field": "answer", **settings}, key="stages.0")


def test_the_model_that_counts_must_exist() -> None:
    stage = LengthFilter(field="answer", unit="tokens", max=5, model="writer")
    stage.check(FakeJob(models=["writer"]))
    with pytest.raises(UsageError, match="model: unknown model 'writer'"):
        stage.check(FakeJob())


def test_tokens_are_counted_by_the_models_tokenizer() -> None:
    """The scripted model's tokens are words and marks."""
    stage = LengthFilter(field="answer", unit="tokens", min=4, max=4, model="writer")
    rows = [row(id=f"r{i}", answer=text) for i, text in enumerate(["It is, so", "It is so"])]
    assert reasons(outcomes(stage, rows)) == ["", "too_short"]
