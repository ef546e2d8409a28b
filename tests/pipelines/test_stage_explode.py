import pytest
from fakes import outcomes, reasons, row

from pipelines.rows import Row
from pipelines.stages import Explode


def test_every_item_becomes_a_row_of_one_family() -> None:
    before = row(id="r4", family="f", topic="tea", questions=["Why?", {"q": "When?"}])
    results = outcomes(Explode(name="question", field="questions", adds="question"), [before])
    assert all(isinstance(result, Row) for result in results)
    assert [r.data["question"] for r in results if isinstance(r, Row)] == ["Why?", {"q": "When?"}]
    assert [r.order for r in results if isinstance(r, Row)] == [(4, 0), (4, 1)]
    assert {r.family for r in results if isinstance(r, Row)} == {"f"}
    first, second = results
    assert isinstance(first, Row)
    assert isinstance(second, Row)
    assert first.id == "r4"
    assert second.id == before.child("question", 1).id
    event = {"stage": "question", "parent": "r4", "item": 1, "of": 2}
    assert second.history == (event,)
    assert second.data["topic"] == "tea"
    assert second.data["questions"] == before.data["questions"]


def test_without_adds_the_item_takes_the_lists_place() -> None:
    stage = Explode(name="x", field="questions")
    assert stage.columns_added() == {"questions"}
    results = outcomes(stage, [row(questions=["Why?"])])
    assert [r.data for r in results if isinstance(r, Row)] == [{"questions": "Why?"}]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"questions": []}, "empty_list"),
        ({"questions": "Why?"}, "not_a_list"),
        ({"questions": None}, "not_a_list"),
        ({}, "missing_column"),
    ],
)
def test_what_is_no_list_is_rejected(data: dict[str, object], reason: str) -> None:
    assert reasons(outcomes(Explode(name="x", field="questions"), [row(data)])) == [reason]
