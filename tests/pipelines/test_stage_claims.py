import pytest
from fakes import FakeContext, outcomes, reasons, row

from pipelines.rows import Rejection, Row
from pipelines.stages import STAGES, Claims
from prompts.errors import UsageError

CONTEXT = (
    "The stove in Room 4 burns for 70 minutes. Guests open the windows. Maria Lang built the cabin."
)
LEXICAL = Claims(field="answer", similarity=None)


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        ("The stove burns for 70 minutes.", None),
        ("The cabin was built by Maria Lang.", None),
        ("Yes.", None),
        ("", None),
        ("The stove burns for 90 minutes.", ["90"]),
        ("The cabin was built by Carl Orff in 1931.", ["1931", "Carl", "Orff"]),
        ("Penguins sleep because glaciers melt.", []),
        ("The stove built Maria because the cabin burns for minutes.", []),
    ],
)
def test_claims_need_support(answer: str, missing: list[str] | None) -> None:
    [result] = outcomes(LEXICAL, [row(answer=answer, context=CONTEXT)])
    if missing is None:
        assert isinstance(result, Row)
    else:
        assert isinstance(result, Rejection)
        assert result.reason == "unsupported_claim"
        [claim] = result.detail["claims"]
        assert (claim["sentence"], claim["missing"]) == (answer, missing)


def test_meaning_supports_words_but_neither_numbers_nor_names() -> None:
    stage = Claims(field="answer")
    answers = ["Visitors unlatch panes.", "Visitors unlatch 12 panes."]
    for cosine, expected in ((0.9, ["", "unsupported_claim"]), (0.5, ["unsupported_claim"] * 2)):
        rows = [row(id=f"r{i}", answer=a, context=CONTEXT) for i, a in enumerate(answers)]
        assert reasons(outcomes(stage, rows, FakeContext(stage, cosine=cosine))) == expected


def test_flagging_keeps_every_row_with_its_claims() -> None:
    stage = Claims(field="answer", similarity=None, action="flag", adds="doubts")
    answer = "The stove burns for 70 minutes. It cost 900 crowns."
    [kept] = outcomes(stage, [row(answer=answer, context=[{"text": CONTEXT}])])
    assert isinstance(kept, Row)
    [doubt] = kept.data["doubts"]
    assert (doubt["sentence"], doubt["missing"]) == ("It cost 900 crowns.", ["900"])
    assert kept.history[-1]["unsupported"] == 1


def test_some_unsupported_claims_may_be_let_through() -> None:
    answer = "It cost 900 crowns. It weighs 80 tons."
    rows = [row(answer=answer, context=CONTEXT)]
    for most, expected in ((0, "unsupported_claim"), (1, "unsupported_claim"), (2, "")):
        stage = Claims(field="answer", similarity=None, max_unsupported=most)
        assert reasons(outcomes(stage, rows)) == [expected]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ({"answer": "Yes."}, "missing_column"),
        ({"context": "x"}, "missing_column"),
        ({"answer": 3, "context": "x"}, "not_text"),
        ({"answer": "It cost 900 crowns.", "context": ""}, "unsupported_claim"),
    ],
)
def test_rows_that_cannot_be_checked(data: dict[str, object], reason: str) -> None:
    stage = Claims(field="answer")
    assert reasons(outcomes(stage, [row(data)], FakeContext(stage))) == [reason]


def test_the_source_has_to_be_named() -> None:
    with pytest.raises(UsageError, match="name the column that holds the source"):
        STAGES.build({"kind": "claims", "field": "answer", "against": []}, key="stages.0")
