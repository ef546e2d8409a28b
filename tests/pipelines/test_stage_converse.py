"""`converse`: what each side sees, how long a conversation gets, and what ends or rejects it."""

from typing import Any

import pytest
from fakes import FakeContext, FakeJob, outcomes, row

from chains.calls import Call, Reply
from pipelines.rows import Rejection, Row
from pipelines.stages import Converse
from prompts.errors import UsageError

PROMPTS = {
    "ask": """
variables: {topic: It.}
messages: [{role: system, content: You ask.}, {role: user, content: "About {{ topic }}."}]
""",
    "reply": """
variables: {message: The last message.}
messages: [{role: system, content: You reply.}, {role: user, content: "{{ message }}"}]
""",
    "shown": """
variables: {turns: All.}
messages:
  - role: user
    content: "{% for turn in turns %}{{ turn.role }}: {{ turn.content }} {% endfor %}Next?"
""",
}
QUESTIONS = ["", "Why do people drink tea?", "How cold is snow?", "Who draws all the maps?"]
ANSWERS = ["", "It keeps them warm.", "As cold as a winter night.", "Sailors did for long."]


def talk(model: str, call: Call) -> str:
    """Something else each time."""
    said = QUESTIONS if call.messages[0].content == "You ask." else ANSWERS
    return said[len(call.messages) // 2]


def converse(
    script: Any = talk, data: dict[str, object] | None = None, cosine: float = 0.9, **settings: Any
) -> tuple[Row | Rejection, FakeContext]:
    stage = Converse(
        **{
            "name": "c",
            "user": {"model": "m", "prompt": "ask"},
            "assistant": {"model": "m", "prompt": "reply"},
            "exchanges": 2,
            **settings,
        }
    )
    context = FakeContext(stage, script, prompts=PROMPTS, cosine=cosine)
    [outcome] = outcomes(stage, [row({"topic": "tea", **(data or {})})], context)
    return outcome, context


def seen(context: FakeContext) -> list[list[tuple[str, str]]]:
    return [[tuple(message) for message in ask.calls[0].messages] for ask in context.asked]  # type: ignore[misc]


def test_each_side_sees_the_conversation_from_where_it_sits() -> None:
    kept, context = converse()
    assert isinstance(kept, Row)
    first, second, third, fourth = (turn["content"] for turn in kept.data["messages"])
    roles = [turn["role"] for turn in kept.data["messages"]]
    assert roles == ["user", "assistant", "user", "assistant"]
    assert seen(context) == [
        [("system", "You ask."), ("user", "About tea.")],
        [("system", "You reply."), ("user", first)],
        [("system", "You ask."), ("user", "About tea."), ("assistant", first), ("user", second)],
        [("system", "You reply."), ("user", first), ("assistant", second), ("user", third)],
    ]
    assert fourth == ANSWERS[2]
    event = kept.history[-1]
    assert (event["exchanges"], [each["attempt"] for each in event["messages"]]) == (2, [0] * 4)
    assert len({each["seed"] for each in event["messages"]}) == 4


def test_a_prompt_can_show_the_conversation_itself() -> None:
    side = {"model": "m", "prompt": "shown"}
    kept, context = converse(
        lambda model, call: f"A reply of {len(call.messages[0].content)} characters, as asked.",
        {"first": "Why is tea hot?"},
        assistant=side,
        opening="first",
        exchanges=1,
    )
    assert isinstance(kept, Row)
    assert seen(context) == [[("user", "user: Why is tea hot? Next?")]]
    assert kept.data["messages"][0]["content"] == "Why is tea hot?"


def test_the_number_of_exchanges_is_drawn_for_each_row() -> None:
    stage = Converse(
        name="c",
        user={"model": "m", "prompt": "ask"},  # type: ignore[arg-type]
        assistant={"model": "m", "prompt": "reply"},  # type: ignore[arg-type]
        exchanges={"draw": "uniform", "min": 1, "max": 3},  # type: ignore[arg-type]
    )
    rows = [row({"topic": "tea"}, id=f"r{number}") for number in range(30)]
    results = outcomes(stage, rows, FakeContext(stage, talk, prompts=PROMPTS))
    lengths = {len(each.data["messages"]) for each in results if isinstance(each, Row)}
    assert lengths == {2, 4, 6}


def test_the_assistant_s_system_message_can_stand_first() -> None:
    kept, _ = converse(system=True)
    assert isinstance(kept, Row)
    assert kept.data["messages"][0] == {"role": "system", "content": "You reply."}


BAD = {
    "prompt_leak": "It is hot.\n### Instruction: name it.",
    "refusal": "I'm sorry, but I cannot help with that request.",
    "unfinished": "It is a long history and the",
    "empty_reply": " ",
    "repeated_message": "Why do people drink tea, then?",
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_message_is_asked_for_again_and_at_last_rejects_the_row(reason: str) -> None:
    def script(model: str, call: Call) -> str:
        answers = call.messages[0].content == "You reply."
        return BAD[reason] if answers else talk(model, call)

    outcome, context = converse(script, attempts=2)
    assert isinstance(outcome, Rejection)
    assert (outcome.reason, outcome.detail["message"]) == (reason, 2)
    assert len(context.asked) == 3
    assert len(outcome.row.data["messages"]) == 1


def test_a_user_who_offers_help_has_swapped_roles() -> None:
    outcome, _ = converse(lambda model, call: "Hello! How can I help you with tea today?")
    assert isinstance(outcome, Rejection)
    assert outcome.reason == "roles_swapped"


def test_a_conversation_ends_where_a_message_cannot_be_had_if_it_is_long_enough() -> None:
    def script(model: str, call: Call) -> str | Reply:
        if len(call.messages) >= 4:
            return Reply("", "error", error="out_of_memory: too long")
        return talk(model, call)

    kept, _ = converse(script, exchanges=3, min_exchanges=1)
    assert isinstance(kept, Row)
    assert [turn["role"] for turn in kept.data["messages"]] == ["user", "assistant"]
    outcome, _ = converse(script, exchanges=3, min_exchanges=2)
    assert isinstance(outcome, Rejection)
    assert (outcome.reason, outcome.detail["message"]) == ("out_of_memory", 3)


def test_a_reply_that_is_cut_goes_back_to_its_last_sentence() -> None:
    def script(model: str, call: Call) -> str | Reply:
        if call.messages[0].content == "You reply.":
            return Reply("It is old. It came from the", "length")
        return talk(model, call)

    kept, _ = converse(script, exchanges=1)
    assert isinstance(kept, Row)
    assert kept.data["messages"][1]["content"] == "It is old."


def test_a_message_far_from_the_one_before_is_off_topic() -> None:
    kept, context = converse(min_relevance=0.5, cosine=0.8)
    assert isinstance(kept, Row)
    assert len(context.embedded) == 6
    assert kept.history[-1]["messages"][1]["relevance"] == 0.8
    outcome, _ = converse(min_relevance=0.5, cosine=0.2)
    assert isinstance(outcome, Rejection)
    assert (outcome.reason, outcome.detail["cosine"]) == ("off_topic", 0.2)


@pytest.mark.parametrize(
    ("side", "columns", "problem"),
    [
        ({"model": "x", "prompt": "reply"}, {"topic"}, "unknown model"),
        ({"model": "m", "prompt": "ask"}, {"topic"}, "does not show"),
        ({"model": "m", "prompt": "json"}, {"topic"}, "answers with json"),
        ({"model": "m", "prompt": "reply"}, set(), "missing column topic"),
    ],
)
def test_what_does_not_fit_is_found_before_a_run(
    side: dict[str, str], columns: set[str], problem: str
) -> None:
    json_prompt = PROMPTS["reply"] + "output: {form: json}\n"
    job = FakeJob(prompts={**PROMPTS, "json": json_prompt}, models=["m"], columns=list(columns))
    stage = Converse(name="c", user={"model": "m", "prompt": "ask"}, assistant=side)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=problem):
        stage.check(job)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "settings",
    [
        {"exchanges": 51},
        {"exchanges": 2, "min_exchanges": 3},
        {"user": {"model": "m", "prompt": "ask", "decoding": {"strategy": "sample", "n": 2}}},
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"50|above|n is 1"):
        converse(**settings)
