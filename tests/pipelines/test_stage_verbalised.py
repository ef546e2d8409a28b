"""`verbalised`: the wording, the form, the tail, and one row for every reply or one drawn."""

import json
from collections import Counter
from typing import Any

import pytest
from fakes import FakeContext, outcomes, reasons, row

from chains.decoding.grammar import GrammarSettings
from pipelines.rows import Rejection, Row
from pipelines.stages import Verbalised

PROMPT = """
variables: {topic: T.}
messages: [{role: user, content: "Joke about {{ topic }}."}]
examples: [{values: {topic: a}, reply: b}]
"""
TOLD = [("A tea joke.", 0.6), ("Rare tea.", 0.08), ("a tea joke", 0.05), ("Cold tea.", 0.02)]


def listed(entries: list[tuple[Any, Any]]) -> str:
    return json.dumps({"responses": [{"text": t, "probability": p} for t, p in entries]})


def asked(reply: str, rows: int = 1, **settings: Any) -> tuple[list[Row | Rejection], FakeContext]:
    stage = Verbalised.model_validate(
        {"name": "v", "model": "m", "prompt": "joke", "adds": "text", "candidates": 4, **settings}
    )
    context = FakeContext(stage, lambda model, call: reply, prompts={"joke": PROMPT})
    return outcomes(
        stage, [row({"topic": "tea"}, id=f"r{n}") for n in range(rows)], context
    ), context


def test_every_reply_is_a_row_with_its_probability() -> None:
    found, context = asked(listed(TOLD))
    assert reasons(found) == ["", "", "repeated", ""]
    assert [each.data["text"] for each in found if isinstance(each, Row)] == [
        "A tea joke.", "Rare tea.", "Cold tea.",
    ]  # fmt: skip
    assert [e.history[-1]["probability"] for e in found if isinstance(e, Row)] == [0.6, 0.08, 0.02]
    [call] = context.asked[0].calls
    assert len(call.messages) == 1  # without the example of a single reply
    assert call.messages[0].content.startswith("Joke about tea.\n\nGive 4 different replies")
    [guide] = call.guides
    assert isinstance(guide, GrammarSettings)


def test_replies_above_the_threshold_are_itemised() -> None:
    found, context = asked(listed(TOLD), max_probability=0.1)
    assert reasons(found) == ["too_probable", "", "repeated", ""]
    assert "below 0.1" in context.asked[0].calls[0].messages[0].content


def test_one_is_drawn_by_the_probabilities_told() -> None:
    entries = [("One.", 0.5), ("Two.", 0.25), ("Three.", 0.25), ("Four.", 0.0)]
    found, _ = asked(listed(entries), rows=400, keep="draw")
    counts = Counter(each.data["text"] for each in found if isinstance(each, Row))
    assert counts["Four."] == 0
    # Of 400 draws 200 are expected, with a standard deviation of 10.
    assert 160 < counts["One."] < 240
    assert 60 < counts["Two."] < 140
    again, _ = asked(listed(entries), rows=400, keep="draw")
    assert again == found


def test_where_no_reply_is_in_the_tail_the_row_is_rejected() -> None:
    [refused], _ = asked(listed([(f"Joke {n}.", 0.25) for n in range(4)]), keep="draw",
                         max_probability=0.1)  # fmt: skip
    assert isinstance(refused, Rejection)
    assert refused.reason == "too_probable"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("No list at all.", "no_json"),
        (listed(TOLD)[:-4], "cut_json"),
        (listed(TOLD[:3]), "schema_mismatch"),
        (listed([*TOLD[:3], ("More than all.", 1.5)]), "schema_mismatch"),
        (listed([*TOLD[:3], ("", 0.1)]), "schema_mismatch"),
        (listed([*TOLD[:3], ("Unsure.", "low")]), "schema_mismatch"),
    ],
)
def test_a_list_that_cannot_be_read_is_asked_for_again(reply: str, reason: str) -> None:
    [refused], context = asked(reply, attempts=2)
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.attempts, len(context.asked)) == (reason, 2, 2)


def test_the_form_allows_what_is_read_and_nothing_else() -> None:
    output = Verbalised(model="m", prompt="p", adds="t", candidates=2).output
    assert output.fault(json.loads(listed(TOLD[:2]))) == ""
    assert output.fault(json.loads(listed(TOLD[:1]))) != ""
