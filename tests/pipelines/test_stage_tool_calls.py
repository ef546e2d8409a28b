"""`tool_calls`: calls are checked against the tools, and become messages that trainers read."""

import json
from typing import Any

import pytest
from fakes import FakeContext, FakeJob, outcomes, row

from chains.calls import Call, Reply
from pipelines.rows import Rejection, Row
from pipelines.stages import ToolCalls
from prompts.errors import UsageError

TOOLS: tuple[dict[str, Any], ...] = (
    {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "maximum": 9}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
    {"name": "time"},
)
REQUEST = "Will it rain in OSLO for 3 days?"
GOOD = {"name": "weather", "arguments": {"city": "Oslo", "days": 3}}
PROMPT = """
variables: {request: What is asked., tools: The tools.}
messages: [{role: system, content: "{{ tools }}"}, {role: user, content: "{{ request }}"}]
"""


def made(calls: object, request: object = REQUEST, **settings: Any) -> Row | Rejection:
    stage = ToolCalls(name="t", tools=TOOLS, **settings)
    [outcome] = outcomes(stage, [row({"request": request, "calls": calls})])
    return outcome


@pytest.mark.parametrize(
    "calls", [GOOD, [GOOD], json.dumps(GOOD), f"```json\n{json.dumps(GOOD)}\n```"]
)
def test_a_right_call_becomes_a_conversation_with_the_tools(calls: object) -> None:
    kept = made(calls)
    assert isinstance(kept, Row)
    user, assistant = kept.data["messages"]
    assert user == {"role": "user", "content": REQUEST}
    [call] = assistant["tool_calls"]
    assert (assistant["content"], call["type"]) == ("", "function")
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"]) == GOOD["arguments"]
    assert [tool["function"]["name"] for tool in kept.data["tools"]] == ["weather", "time"]
    assert kept.data["tools"][0]["type"] == "function"


@pytest.mark.parametrize(
    ("calls", "reason"),
    [
        ("no call", "no_json"),
        (None, "bad_call"),
        ([], "call_count"),
        ([GOOD, GOOD], "call_count"),
        ({"name": "weather"}, "bad_call"),
        ({**GOOD, "why": "so"}, "bad_call"),
        ({"name": "news", "arguments": {}}, "unknown_tool"),
        ({"name": "weather", "arguments": {}}, "bad_arguments"),
        ({"name": "weather", "arguments": {"city": 3}}, "bad_arguments"),
        ({"name": "weather", "arguments": {"city": "Oslo", "days": 30}}, "bad_arguments"),
        ({"name": "weather", "arguments": {"city": "Bergen"}}, "ungrounded_argument"),
        ({"name": "weather", "arguments": {"city": "Os"}}, "ungrounded_argument"),
        ({"name": "weather", "arguments": {"city": "Oslo", "days": 4}}, "ungrounded_argument"),
    ],
)
def test_a_wrong_call_is_rejected(calls: object, reason: str) -> None:
    outcome = made(calls)
    assert isinstance(outcome, Rejection)
    assert outcome.reason == reason


def test_several_calls_and_invented_values_can_be_allowed() -> None:
    other = {"name": "weather", "arguments": {"city": "Bergen"}}
    kept = made([GOOD, other], max_calls=2, grounded=False)
    assert isinstance(kept, Row)
    ids = [call["id"] for call in kept.data["messages"][1]["tool_calls"]]
    assert len(set(ids)) == 2
    assert made([GOOD, other], max_calls=2, grounded=False) == kept


def test_a_model_writes_the_call_held_to_the_tools_and_is_asked_again() -> None:
    replies = iter(["{", json.dumps({**GOOD, "arguments": {"city": "Rome"}}), json.dumps(GOOD)])
    asked: list[Call] = []

    def script(model: str, call: Call) -> str | Reply:
        asked.append(call)
        return next(replies)

    stage = ToolCalls(name="t", tools=TOOLS, model="writer")
    context = FakeContext(stage, script, prompts={"tool/call": PROMPT})
    [kept] = outcomes(stage, [row(request=REQUEST)], context)
    assert isinstance(kept, Row)
    assert kept.data["calls"] == [GOOD]
    assert kept.history[-1]["attempt"] == 2
    assert len({call.seed for call in asked}) == 3
    assert "The weather in a city." in asked[0].messages[0].content
    assert asked[0].guides[0].kind == "grammar"
    stage.check(FakeJob(prompts={"tool/call": PROMPT}, models=["writer"]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tools", "problem"),
    [
        ([{"name": "a"}, {"name": "a"}], "two tools"),
        ([{"name": "a", "parameters": {"type": "string"}}], "an object"),
        (
            [{"name": "a", "parameters": {"type": "object", "properties": {"x": {"type": "n"}}}}],
            "JSON Schema",
        ),
    ],
)
def test_faulty_tools_are_refused(tools: Any, problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        ToolCalls(tools=tools)
    assert caught.value.key.startswith("tools.")
