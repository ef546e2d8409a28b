import pytest
from fakes import outcomes, reasons, row

from pipelines.rows import Rejection, Row
from pipelines.stages import STAGES, Clean
from prompts.errors import UsageError


def test_a_text_is_cleaned_and_the_history_says_how() -> None:
    before = row(answer='Sure! Here is the answer: "At nine." It al', other=1)
    [after] = outcomes(Clean(name="clean", field="answer"), [before])
    assert isinstance(after, Row)
    assert after.data == {"answer": "At nine.", "other": 1}
    changed = ["boilerplate", "quotes", "ending"]
    assert after.history == ({"stage": "clean", "field": "answer", "changed": changed},)


def test_a_clean_text_leaves_no_trace() -> None:
    before = row(answer="At nine.")
    assert outcomes(Clean(field="answer"), [before]) == [before]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"answer": "Sure!\n\n"}, ""),
        ({"answer": "  "}, "empty"),
        ({"answer": "Answer:"}, "empty"),
        ({"answer": "It opens at ni"}, "unfinished"),
        ({"answer": 7}, "not_text"),
        ({"answer": None}, "not_text"),
        ({}, "missing_column"),
    ],
)
def test_what_cannot_be_cleaned_is_rejected(data: dict[str, object], reason: str) -> None:
    assert reasons(outcomes(Clean(field="answer"), [row(data)])) == [reason]


def test_a_rejected_row_keeps_its_text() -> None:
    [rejection] = outcomes(Clean(field="answer"), [row(answer="**Answer:** It op")])
    assert isinstance(rejection, Rejection)
    assert rejection.row.data["answer"] == "**Answer:** It op"
    assert rejection.detail == {"changed": ["boilerplate", "ending"]}


def test_endings_may_be_left_alone() -> None:
    [after] = outcomes(
        Clean(field="topic", ending=False), [row(topic="Topic: **Renewable energy**")]
    )
    assert isinstance(after, Row)
    assert after.data["topic"] == "Topic: **Renewable energy**"


def test_a_misspelt_switch_is_named() -> None:
    with pytest.raises(UsageError, match="unknown key 'qoutes'; fix: write 'quotes'"):
        STAGES.build({"kind": "clean", "field": "a", "qoutes": False})
