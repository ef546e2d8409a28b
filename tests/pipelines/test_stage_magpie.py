"""`magpie`: what the model is shown, what it may not be, and what is no user's message."""

from typing import Any

import pytest
from fakes import FakeContext, outcomes, row
from jobs import loaded_job

from chains.calls import Call, Reply
from pipelines.rows import Rejection, Row
from pipelines.stages import Magpie
from prompts.errors import UsageError


def drawn(script: Any, **settings: Any) -> tuple[list[Row | Rejection], FakeContext]:
    stage = Magpie.model_validate({"name": "m", "model": "w", **settings})
    context = FakeContext(stage, script)
    columns = {"about": "You know birds.", "first": "How do I"}
    return outcomes(stage, [row(columns)], context), context


def test_the_model_is_shown_an_open_turn_and_no_more() -> None:
    [kept], context = drawn(lambda model, call: " feed a young crow?", begin="first")
    assert isinstance(kept, Row)
    assert kept.data["instruction"] == "How do I feed a young crow?"
    [call] = context.asked[0].calls
    assert call.messages == (("user_start", "How do I"),)
    _, context = drawn(lambda model, call: "Why do geese fly north?", system="about")
    [call] = context.asked[0].calls
    assert call.messages == (("system", "You know birds."), ("user_start", ""))


def test_each_of_several_messages_is_a_row_with_a_seed_of_its_own() -> None:
    found, _ = drawn(
        lambda model, call: f"Why is number {call.seed} odd?",
        decoding={"strategy": "sample", "n": 3},
    )
    assert len({each.data["instruction"] for each in found if isinstance(each, Row)}) == 3


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply("Hi!", "stop"), "too_short"),
        (Reply("Why do geese fly so far to the", "length"), "cut_at_max_tokens"),
        (Reply("I'm sorry, but I cannot help with that request.", "stop"), "refusal"),
        (Reply("", "error", error="chat_template: no"), "chat_template"),
    ],
)
def test_what_is_no_message_is_drawn_again_and_rejected(reply: Reply, reason: str) -> None:
    [refused], context = drawn(lambda model, call: reply, attempts=2)
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.attempts, len(context.asked)) == (reason, 2, 2)


def test_a_server_is_refused_by_name(tmp_path: Any) -> None:
    model = {"model": "big", "server": "http://127.0.0.1:9/v1"}
    with pytest.raises(UsageError, match="model 'writer' is behind a server") as caught:
        loaded_job(
            tmp_path, models={"writer": model}, stages=[{"kind": "magpie", "model": "writer"}]
        )
    assert caught.value.key == "stages.0.model"


def test_a_strategy_that_repeats_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="samples"):
        Magpie.model_validate({"model": "w", "decoding": {"strategy": "greedy"}})


def test_calls_of_an_open_turn_have_keys_of_their_own() -> None:
    from chains.calls import Message
    from chains.decoding import Sample
    from pipelines.ledger import call_key

    keys = [
        call_key("f", Call((Message(role, "How"),), Sample(), 1)) for role in ("user", "user_start")
    ]
    assert len(set(keys)) == 2
