import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.exceptions import OutputParserException

from chains.parsing import MAX_DEPTH, MAX_REPLY, ParsedValue, ParseFault, parse_reply, parser_for
from prompts.prompt import Output

TEXT, LINES, JSON = Output(form="text"), Output(form="lines"), Output(form="json")
SCORE = Output(
    form="json",
    schema={
        "type": "object",
        "properties": {"score": {"type": "integer", "minimum": 1, "maximum": 5}},
        "required": ["score"],
    },
)
CHOICE = Output(form="choice", choices=("yes", "yes, but", "no"))
CODE = Output(form="regex", pattern=r"[A-Z]\d+(\n\d)?")
PYTHON = Output(form="code", language="python")
ECHO = 'Rate the text from 1 to 5. Reply like {"score": 1} or like {"score": 5}.'


@pytest.mark.parametrize(
    ("output", "reply", "value"),
    [
        (TEXT, "  Paris.\n\n", "Paris."),
        (TEXT, "two\n\nparts", "two\n\nparts"),
        (TEXT, '{"not": "read"}', '{"not": "read"}'),
        (LINES, "red\nblue", ["red", "blue"]),
        (
            LINES,
            "1. red\n2) blue\n\n- green\n* gold\n\u2022 grey\r\n",
            ["red", "blue", "green", "gold", "grey"],
        ),
        (LINES, "-5 degrees\n1.5 litres\n3 eggs\n-\n", ["-5 degrees", "1.5 litres", "3 eggs"]),
        (LINES, "one\u2028line\u0085still", ["one\u2028line\u0085still"]),
        (CHOICE, " yes, but\n", "yes, but"),
        (CODE, "A1\n2", "A1\n2"),
        (CODE, "A12\n", "A12"),
        (PYTHON, "\n\n    \ndef f():\n    return 1  \n", "    \ndef f():\n    return 1"),
        (PYTHON, "Here it is:\n```python\nx = '```'\n```\nHope it helps.", "x = '```'"),
        (Output(form="code", language="html"), "<p>a</p>", "<p>a</p>"),
        (JSON, '{"a": [1, -2.5, true, null, "x"]}', {"a": [1, -2.5, True, None, "x"]}),
        (JSON, '"text"', "text"),
        (JSON, "5", 5),
        (JSON, '```json\n{"a": 1}\n```', {"a": 1}),
        (JSON, "```\n5\n```", 5),
        (JSON, 'Sure! Here it is:\n```json\n{"a": "}"}\n```\nHope it helps.', {"a": "}"}),
        (JSON, 'The 5" stove isn\'t {cheap}: {"a": 1}', {"a": 1}),
        (JSON, '{"a": "\\u00e9\\ud83d\\ude00"}', {"a": "é😀"}),
        (JSON, '"' + "[" * 200 + '"', "[" * 200),
        (JSON, "[" * MAX_DEPTH + "]" * MAX_DEPTH, eval("[" * MAX_DEPTH + "]" * MAX_DEPTH)),
        (JSON, str(2**63 - 1), 2**63 - 1),
        (SCORE, '{"score": 5, "why": "good"}', {"score": 5, "why": "good"}),
    ],
)
def test_reads_a_good_reply(output: Output, reply: str, value: Any) -> None:
    assert parse_reply(output, reply) == ParsedValue(value)


@pytest.mark.parametrize(
    ("output", "reply", "reason", "detail"),
    [
        (TEXT, "", "empty_reply", "0 characters, none to be seen"),
        (TEXT, " \n\t\u200b\x00", "empty_reply", "5 characters, none to be seen"),
        (TEXT, "x" * 10_000_000, "too_long", f"10000000 characters, at most {MAX_REPLY}"),
        (TEXT, "caf\udce9", "lone_surrogate", "U+DCE9"),
        (LINES, "", "empty_reply", "0 characters, none to be seen"),
        (LINES, "-\n1.\n *", "empty_reply", "list marks alone"),
        (LINES, "a\n\ud800", "lone_surrogate", "U+D800"),
        (JSON, "", "empty_reply", "0 characters, none to be seen"),
        (JSON, "I cannot do that.", "no_json", "Expecting value at character 0"),
        (JSON, ECHO, "several_json", "2 values"),
        (JSON, '{"a": 1}\n{"b": 2}', "several_json", "2 values"),
        (JSON, '{"score": 3', "cut_json", '{"score": 3'),
        (JSON, 'Sure: {"why": "it is', "cut_json", '{"why": "it is'),
        (JSON, '```json\n{"a": [1, 2,', "cut_json", '{"a": [1, 2,'),
        (JSON, "{'a': 1}", "bad_json", "Expecting property name enclosed in double quotes"),
        (JSON, "[1,]", "bad_json", ""),
        (JSON, '{"a": 1,}', "bad_json", ""),
        (JSON, '{"a": "x\ny"}', "bad_json", "Invalid control character"),
        (JSON, '{"a": undefined}', "bad_json", "Expecting value"),
        (JSON, '{"a" 1}', "bad_json", "Expecting ':' delimiter"),
        (JSON, '{"a": 1} // note', "", {"a": 1}),
        (JSON, '{"a": NaN}', "not_finite", "NaN"),
        (JSON, '{"a": -Infinity}', "not_finite", "-Infinity"),
        (JSON, '{"a": 1e999}', "not_finite", "1e999"),
        (JSON, '{"a": 1, "b": {"c": 1, "c": 2}}', "duplicate_keys", "c"),
        (JSON, "7" * 5000, "huge_integer", "5000 digits"),
        (JSON, '{"a": 9223372036854775808}', "huge_integer", "19 digits"),
        (JSON, '{"a": "\\ud800"}', "lone_surrogate", "U+D800"),
        (JSON, "[" * 100_000, "too_deep", f"more than {MAX_DEPTH} levels"),
        (JSON, "[" * 100_000 + "]" * 100_000, "too_deep", f"more than {MAX_DEPTH} levels"),
        (JSON, '{"a":' * 100_000, "too_deep", f"more than {MAX_DEPTH} levels"),
        (JSON, "See: " + "[" * 60 + "]" * 60, "too_deep", f"more than {MAX_DEPTH} levels"),
        (JSON, '{"a": "' + "x" * 10_000_000 + '"}', "too_long", "10000009 characters"),
        (CHOICE, "Yes", "not_a_choice", "Yes"),
        (CHOICE, "yes, b", "not_a_choice", "yes, b"),
        (CHOICE, "x" * 300, "not_a_choice", "xxx"),
        (CODE, "see A1", "no_match", "see A1"),
        (Output(form="regex", pattern="(a+)+"), "a" * 5000 + "b", "no_match", "aaa"),
        (PYTHON, "x = 1\ndef f(:", "not_code", "line 2: invalid syntax"),
        (PYTHON, "```python\nx = 1", "not_code", "line 1: invalid syntax"),
        (PYTHON, "```\nx\n```\nor\n```\ny\n```", "several_blocks", "2 fenced blocks"),
        (PYTHON, "```python\n```", "empty_reply", "a fenced block without code"),
        (SCORE, '{"score": 9}', "schema_mismatch", "score: 9 is greater than the maximum of 5"),
        (SCORE, '{"score": "5"}', "schema_mismatch", "score: '5' is not of type 'integer'"),
        (SCORE, '{"points": 5}', "schema_mismatch", "'score' is a required property"),
        (SCORE, "5", "schema_mismatch", "5 is not of type 'object'"),
        (SCORE, "null", "schema_mismatch", "None is not of type 'object'"),
    ],
)
def test_a_bad_reply_is_a_fault_with_its_reason(
    output: Output, reply: str, reason: str, detail: Any
) -> None:
    parsed = parse_reply(output, reply)
    if not reason:
        assert parsed == ParsedValue(detail)
        return
    assert isinstance(parsed, ParseFault)
    assert parsed.reason == reason
    assert parsed.detail.startswith(detail)
    assert len(parsed.detail) <= 200


@given(st.sampled_from([TEXT, LINES, JSON, SCORE, CHOICE, CODE, PYTHON]), st.text(max_size=80))
def test_any_text_gives_a_value_or_a_fault(output: Output, reply: str) -> None:
    parsed = parse_reply(output, reply)
    if isinstance(parsed, ParseFault):
        assert parsed.reason
    else:
        assert parsed.value is not None or reply.strip() == "null"


@given(st.text(alphabet='{}[]":,\\u0d8tfn1e-.N \n`a', max_size=60))
def test_json_like_text_gives_a_value_or_a_fault(reply: str) -> None:
    assert isinstance(parse_reply(JSON, reply), ParsedValue | ParseFault)


def test_the_langchain_parser_gives_the_value_or_raises_with_the_reason() -> None:
    parser = parser_for(SCORE)
    assert parser.invoke('{"score": 4}') == {"score": 4}
    with pytest.raises(OutputParserException) as caught:
        parser.invoke('{"score": 9}')
    expected = "schema_mismatch: score: 9 is greater than the maximum of 5"
    assert str(caught.value).startswith(expected)
    assert caught.value.llm_output == '{"score": 9}'


def test_importing_it_does_not_import_langchain() -> None:
    code = "import sys, chains.parsing; print('langchain_core' in sys.modules)"
    repository = Path(__file__).resolve().parents[2]
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True
    )
    assert result.stdout == "False\n"
