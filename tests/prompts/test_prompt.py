import hashlib
from typing import Any

import pytest

from prompts.errors import UsageError
from prompts.prompt import Output, Prompt

FULL = """\
notes: For tests.
variables:
  context: The passage.
  tone: How to sound.
messages:
  - role: system
    content: You are {{ tone }}.
  - role: user
    content: |
      Passage: {{ context }}
      Reply like {"a": {"b": 1}}.
examples:
  - {values: {context: Tea is hot.}, reply: " What is hot? "}
  - {values: {context: Ice is cold.}, reply: 'What is cold?'}
"""


def error_of(source: str | bytes) -> str:
    with pytest.raises(UsageError) as caught:
        Prompt.parse("mine", source, file="mine.yaml")
    assert caught.value.exit_code == 2
    return str(caught.value)


def user(content: str, rest: str = "") -> str:
    return f"messages:\n- {{role: user, content: '{content}'}}\n{rest}"


def test_renders_a_chat_with_examples_before_the_last_message() -> None:
    prompt = Prompt.parse("mine", FULL)
    chat = prompt.render({"context": "  Rain is {{ wet }}.\n", "tone": "calm", "other": object()})
    json_line = '\nReply like {"a": {"b": 1}}.'
    assert chat == [
        ("system", "You are calm."),
        ("user", "Passage: Tea is hot." + json_line),
        ("assistant", "What is hot?"),
        ("user", "Passage: Ice is cold." + json_line),
        ("assistant", "What is cold?"),
        ("user", "Passage:   Rain is {{ wet }}.\n" + json_line),
    ]


def test_knows_its_variables_and_its_content_hash() -> None:
    prompt = Prompt.parse("qa/mine@short", FULL)
    sha = hashlib.sha256(FULL.encode()).hexdigest()[:12]
    assert (prompt.sha, prompt.label) == (sha, f"qa/mine@short@{sha}")
    assert prompt.source == FULL
    assert prompt.variables_used() == {"context", "tone"}
    assert prompt.warnings() == []
    assert prompt.output == Output(form="text")


def test_every_byte_of_the_source_is_in_the_hash() -> None:
    assert Prompt.parse("a", FULL).sha != Prompt.parse("a", FULL + "# more\n").sha
    assert Prompt.parse("a", FULL).sha == Prompt.parse("b", FULL.encode()).sha


def test_an_unused_variable_is_a_warning() -> None:
    prompt = Prompt.parse("mine", user("hi", "variables: {text: The text.}\n"))
    assert prompt.warnings() == ["prompt mine: variable 'text' is declared and not used"]
    assert prompt.render({}) == [("user", "hi")]


def test_a_chat_may_have_earlier_turns() -> None:
    source = "messages:\n- {role: user, content: a}\n- {role: assistant, content: b}\n"
    prompt = Prompt.parse("mine", source + "- {role: user, content: c}\n")
    assert prompt.render({}) == [("user", "a"), ("assistant", "b"), ("user", "c")]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "",
            "mine.yaml: the file is empty; fix: write at least one 'key: value' line",
        ),
        ("- a", "mine.yaml:1: a prompt is a mapping, found a list; fix: write 'key: value' lines"),
        (b"a: caf\xe9", "mine.yaml:1: byte 0xe9 is not UTF-8; fix: save the file as UTF-8"),
        ("notes: x", "mine.yaml: messages: missing; fix: add 'messages'"),
        (
            user("hi", "output:\n  form: text\n  shema: {}\n"),
            "mine.yaml:5: output.shema: unknown key 'shema'; fix: write 'schema'",
        ),
        (
            user("hi", "exmples: []\n"),
            "mine.yaml:3: exmples: unknown key 'exmples'; fix: write 'examples'",
        ),
        (
            user("hi", "sha: abc\n"),
            "mine.yaml:3: sha: unknown key 'sha'; "
            "fix: known keys: examples, messages, notes, output, tests, variables",
        ),
        (
            user("hi", "output: {form: jsn}\n"),
            "mine.yaml:3: output.form: found 'jsn'; fix: input should be 'text', 'lines', 'json', "
            "'choice', 'regex' or 'code'",
        ),
        ("messages: []", "mine.yaml:1: messages: no messages; fix: add a message with role: user"),
        (
            "messages: [{role: usr, content: hi}]",
            "mine.yaml:1: messages.0.role: found 'usr'; "
            "fix: input should be 'system', 'user' or 'assistant'",
        ),
        (
            user(""),
            "mine.yaml:2: messages.0.content: found ''; "
            "fix: string should have at least 1 character",
        ),
        (
            "messages: [{role: system, content: hi}]",
            "mine.yaml:1: messages.0.role: the last message is not the user's; "
            "fix: end with role: user",
        ),
        (
            user("hi", "- {role: user, content: again}\n"),
            "mine.yaml:3: messages.1.role: role 'user'; fix: make it 'assistant': "
            "a chat is one system message or none, then user and assistant in turn",
        ),
        (
            user("hi {{ x }}"),
            "mine.yaml:2: messages.0.content: undefined variable 'x'; "
            "fix: add 'x: ...' under 'variables' (declared: none)",
        ),
        (
            FULL.replace("Passage: {{ context }}", "Passage:\n      {{ contxt }}"),
            "mine.yaml:11: messages.1.content: undefined variable 'contxt'; "
            "fix: write 'context' (declared: context, tone)",
        ),
        (
            FULL.replace('{"a": {"b": 1}}', "{{ context."),
            "mine.yaml:11: messages.1.content: template syntax: expected name or number; "
            "fix: close every '{{', '{%' and '{#', or write text of that look as {{ '{{' }}",
        ),
        (
            FULL.replace('{"a": {"b": 1}}', "{{ context.__class__ }}"),
            "mine.yaml:11: messages.1.content: attribute '__class__': "
            "a template reaches items only; fix: leave it out",
        ),
        (
            FULL.replace('{"a": {"b": 1}}', "{% include '/etc/passwd' %}"),
            "mine.yaml:11: messages.1.content: 'include' in a template; "
            "fix: a template holds variables, filters, 'if' and 'for'",
        ),
        (
            user("{{ lipsum.__globals__ }}"),
            "mine.yaml:2: messages.0.content: attribute '__globals__': "
            "a template reaches items only; fix: leave it out",
        ),
        (
            user("{{ 9*10**9 }}"),
            "mine.yaml:2: messages.0.content: arithmetic in a template; "
            "fix: a template holds variables, filters, 'if' and 'for'",
        ),
        (
            user("hi", "variables: {self: x}\n"),
            "mine.yaml:3: variables.self: 'self' is a reserved word; fix: rename",
        ),
        (
            user("hi", "variables: {a b: x}\n"),
            "mine.yaml:3: variables.a b: 'a b' cannot name a variable; "
            "fix: use letters, digits and underscores, a letter first",
        ),
        (
            FULL.replace("{context: Ice is cold.}", "{}"),
            "mine.yaml:14: examples.1.values: the example has no value for 'context'; "
            "fix: add 'context: ...'",
        ),
        (
            FULL.replace("{context: Ice is cold.}", "{context: x, contxt: z}"),
            "mine.yaml:14: examples.1.values.contxt: unknown variable 'contxt'; "
            "fix: write 'context' (known: context, tone)",
        ),
        (
            FULL.replace("{context: Ice is cold.}", "{context: ~}"),
            "mine.yaml:14: examples.1.values: a null value; "
            "fix: drop such rows, or use default('...', true)",
        ),
        (
            FULL + "output: {form: json}",
            "mine.yaml:13: examples.0.reply: the reply is not JSON; fix: the output's form is json",
        ),
        (
            user("hi", "output: {form: json, schema: {maximum: 5}}\nexamples: [{reply: '7'}]\n"),
            "mine.yaml:4: examples.0.reply: the reply does not match the schema: "
            "7 is greater than the maximum of 5; fix: write one that fits 'output'",
        ),
        (
            user("hi", "output: {form: choice, choices: [a, b]}\nexamples: [{reply: c}]\n"),
            "mine.yaml:4: examples.0.reply: the reply is none of the choices; "
            "fix: write one that fits 'output'",
        ),
        (
            user("hi", "output: {form: regex, pattern: 'a+'}\nexamples: [{reply: aab}]\n"),
            "mine.yaml:4: examples.0.reply: the reply does not match the pattern; "
            "fix: write one that fits 'output'",
        ),
        (
            user("hi", "output: {form: code, language: python}\nexamples: [{reply: 'f('}]\n"),
            "mine.yaml:4: examples.0.reply: the reply is no python: line 1: '(' was never closed; "
            "fix: write one that fits 'output'",
        ),
        (
            user("hi", "output:\n  schema: {type: object}\n"),
            "mine.yaml:4: output.schema: a schema is for form json, not text; "
            "fix: write 'form: json'",
        ),
        (
            user("hi", "output:\n  form: json\n  schema: {type: objct}\n"),
            "mine.yaml:5: output.schema: not a JSON Schema: type: 'objct' is not valid under any "
            "of the given schemas; fix: mend that keyword",
        ),
    ],
)
def test_a_faulty_file_is_one_line_with_the_place(source: str | bytes, message: str) -> None:
    assert error_of(source) == message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "a: prompt mine: no value for 'a'; fix: available: none"),
        ({"b": 1, "c": 2}, "a: prompt mine: no value for 'a'; fix: available: b, c"),
        (
            {"a": None},
            "messages.0.content: prompt mine: a null value; "
            "fix: drop such rows, or use default('...', true)",
        ),
        (
            {"a": " \n"},
            "messages.0.content: prompt mine: the message is empty; "
            "fix: give values that are not empty",
        ),
        ({"a": object()}, "prompt mine: a value of the type object is not plain data"),
        (
            {"a": "x" * 1_000_001},
            "messages.0.content: prompt mine: renders to more than 1,000,000 characters",
        ),
    ],
)
def test_values_that_cannot_be_rendered_are_a_usage_error(
    values: dict[str, Any], message: str
) -> None:
    prompt = Prompt.parse("mine", user("{{ a }}", "variables: {a: A}\n"))
    with pytest.raises(UsageError) as caught:
        prompt.render(values)
    assert str(caught.value) == message


def test_a_prompt_is_frozen() -> None:
    prompt = Prompt.parse("mine", FULL)
    with pytest.raises(ValueError, match="frozen"):
        prompt.name = "other"
