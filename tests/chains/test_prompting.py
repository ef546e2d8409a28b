import time
from pathlib import Path
from typing import Any

import pytest
from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableParallel
from tiny_models import save_causal

from chains.calls import Message
from chains.decoding import Greedy
from chains.models import open_model
from chains.models.spec import ModelSpec
from chains.prompting import as_template, build_chain, render_chat
from prompts.errors import UsageError
from prompts.prompt import Prompt

SOURCE = """\
variables: {context: The passage., tone: How to sound.}
messages:
  - {role: system, content: "Be {{ tone }}."}
  - {role: user, content: 'Read {{ context }} as {"a": {x}}.'}
examples:
  - {values: {context: tea}, reply: '["hot"]'}
output: {form: json, schema: {type: array}}
"""
VALUES = {"context": "{rain} {{ x }}", "tone": "calm"}


@pytest.fixture
def prompt() -> Prompt:
    return Prompt.parse("mine", SOURCE)


def test_the_template_is_a_langchain_template_with_the_declared_variables(prompt: Prompt) -> None:
    template = as_template(prompt)
    assert template.input_variables == ["context", "tone"]
    assert template.invoke(VALUES).to_messages() == [
        SystemMessage("Be calm."),
        HumanMessage('Read tea as {"a": {x}}.'),
        AIMessage('["hot"]'),
        HumanMessage('Read {rain} {{ x }} as {"a": {x}}.'),
    ]


def test_render_chat_gives_what_the_template_and_the_prompt_give(prompt: Prompt) -> None:
    chat = render_chat(prompt, VALUES)
    assert all(isinstance(message, Message) for message in chat)
    assert list(chat) == prompt.render(VALUES)
    roles = {"system": "system", "human": "user", "ai": "assistant"}
    messages = as_template(prompt).format_messages(**VALUES)
    assert list(chat) == [(roles[message.type], message.content) for message in messages]


def test_a_row_may_have_further_columns(prompt: Prompt) -> None:
    row = {**VALUES, "self": 1, "stop": 2, "odd name": object()}
    assert render_chat(prompt, row) == render_chat(prompt, VALUES)


def test_a_missing_variable_is_never_empty_text(prompt: Prompt) -> None:
    with pytest.raises(UsageError, match="no value for 'tone'; fix: available: context"):
        render_chat(prompt, {"context": "x"})
    with pytest.raises(KeyError, match="tone"):
        as_template(prompt).invoke({"context": "x"})


def test_values_keep_their_types_and_reach_no_attribute() -> None:
    source = "variables: {x: X}\nmessages: [{role: user, content: '{{ x.a }}{{ x.b }}'}]"
    prompt = Prompt.parse("mine", source)
    assert render_chat(prompt, {"x": {"a": 1, "b": [True]}}) == (Message("user", "1[true]"),)
    with pytest.raises(UsageError, match="is not plain data"):
        render_chat(prompt, {"x": HumanMessage("secret")})


def test_serialised_langchain_objects_in_a_row_stay_data() -> None:
    source = "variables: {x: X}\nmessages: [{role: user, content: '{{ x }}'}]"
    row: dict[str, Any] = {"x": {"lc": 1, "type": "secret", "id": ["PATH"]}}
    chat = render_chat(Prompt.parse("mine", source), row)
    assert chat == (Message("user", '{"lc": 1, "type": "secret", "id": ["PATH"]}'),)


def test_partial_values_can_be_set_beforehand(prompt: Prompt) -> None:
    partial = as_template(prompt).partial(tone="calm")
    chat = partial.invoke({"context": VALUES["context"]}).to_messages()
    assert chat == as_template(prompt).invoke(VALUES).to_messages()


def test_a_chain_takes_values_to_the_parsed_reply(prompt: Prompt) -> None:
    model = FakeListChatModel(responses=['Sure: ["wet", "cold"]', '{"a": 1}', "[1]", "[2]"])
    chain = build_chain(prompt, model)
    assert chain.invoke(VALUES) == ["wet", "cold"]
    with pytest.raises(OutputParserException, match=r"schema_mismatch: .* is not of type 'array'"):
        chain.invoke(VALUES)
    both = RunnableParallel(a=chain, b=chain).invoke(VALUES, {"max_concurrency": 1})
    assert sorted(both.values()) == [[1], [2]]


CHOICE = """\
variables: {text: A text.}
messages: [{role: user, content: "{{ text }}: good or bad?"}]
output: {form: choice, choices: [good, bad]}
"""


def test_a_model_in_a_chain_is_held_to_the_form(tmp_path: Path) -> None:
    save_causal(tmp_path)
    model = open_model(ModelSpec(model=str(tmp_path), dtype="float32"))
    chain = build_chain(Prompt.parse("mine", CHOICE), model)
    texts = [{"text": word} for word in ("tea", "rain", "a stone")]
    assert set(chain.with_config(max_concurrency=3).batch(texts)) <= {"good", "bad"}
    free = model.invoke("tea: good or bad?").content  # random weights write neither by themselves
    assert free not in {"good", "bad"}


def test_settings_that_fight_the_form_are_refused() -> None:
    model = open_model(ModelSpec(model="scripted")).model_copy(
        update={"decoding": Greedy(stop=("\n",))}
    )
    with pytest.raises(UsageError, match="stop cannot be kept with output form choice"):
        build_chain(Prompt.parse("mine", CHOICE), model)


def test_rendering_is_cheap(prompt: Prompt) -> None:
    """The figure aimed at is 0.15 ms of CPU a call; the bound leaves room for a slow machine."""
    values = {**VALUES, "context": "word " * 200}
    render_chat(prompt, values)
    best = min(_cpu_seconds(prompt, values) for _ in range(5))
    assert best / 100 < 0.0005


def _cpu_seconds(prompt: Prompt, values: dict[str, Any]) -> float:
    began = time.process_time()
    for _ in range(100):
        render_chat(prompt, values)
    return time.process_time() - began
