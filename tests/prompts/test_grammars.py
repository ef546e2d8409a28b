import json
from typing import Any

import pytest
from llguidance import LLMatcher, LLTokenizer

from prompts.grammars import grammar_of
from prompts.narrow_schema import LARGEST, narrowed
from prompts.schema import ReplySchema

BYTES = LLTokenizer("byte")


def accepts(schema: Any, text: str) -> bool:
    """Whether the text is a whole reply under the schema's grammar."""
    matcher = LLMatcher(BYTES, grammar_of("json", json.dumps(schema)), log_level=0)
    tokens = BYTES.tokenize_str(text)
    assert not matcher.is_error(), matcher.get_error()
    return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()


def obj(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties]}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer"}, [str(LARGEST), str(-LARGEST)], [str(LARGEST + 1), "01", "1.0"]),
        ({"type": "number"}, ["1.5", "-0.333333", "7"], ["1e999", "0.3333333", "1" * 16, ".5"]),
        ({"type": "number", "maximum": 1e300}, ["5"], ["1" * 16, "1e3"]),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, ["0.25", "0"], ["1", "-0.5"]),
        ({"type": "number", "minimum": 1e-9, "maximum": 2e-9}, ["0.0000000015"], ["0.1"]),
        ({"minimum": 3}, ["3", "4.5"], ["2", '"text"']),
        ({"type": ["number", "null"]}, ["null", "1"], ["1e999", '"a"']),
        ({"const": 10**17}, [str(10**17)], ["1"]),
        ({"type": "string"}, ['"a\\n\\"\\\\é"'], ['"\\ud800"', '"\\u0041"', '"a\nb"', '"\t"']),
        ({"pattern": "^a+$"}, ['"aa"'], ['"b"', "5"]),
        ({"type": "string", "pattern": "^(?=a)[ab]$"}, ['"a"', '"zz"'], ["5"]),
        (obj(a={"type": "null"}), ['{"a": null}'], ['{"a":null}', '{"a": null, "b": 1}', "{}"]),
        (
            {**obj(a={"type": "null"}), "additionalProperties": True},
            ['{"a": null, "b": [1]}'],
            ['{"a": null, "b": 1e999}'],
        ),
        ({"required": ["a"]}, ['{"a": 1}', '{"a": {"b": [1]}}'], ["{}", "5"]),
        ({"properties": {"a": {}}, "required": ["b"]}, ['{"b": 1}', '{"a": 1, "b": 2}'], ["{}"]),
        (
            {"allOf": [obj(a={"type": "null"}), obj(b={"type": "null"})]},
            ['{"a": null, "b": null}'],
            ['{"a": null}', '{"a": null, "b": null, "c": 1e999}'],
        ),
        ({"allOf": [{"type": "array"}]}, ['[1, "a", {"b": 2}]'], ["[1e999]", "[[[[[1]]]]]"]),
        ({"allOf": [obj(a={"type": "integer"}), {"required": ["b"]}]}, ['{"a": 1, "b": 2}'], []),
        ({"type": "array", "prefixItems": [{"type": "null"}]}, ["[null, 5]"], ["[1]"]),
        ({"oneOf": [{"type": "null"}, {"enum": ["a", None]}]}, ["null", '"a"'], ["1"]),
        (
            {"$ref": "#/$defs/t", "$defs": {"t": {"items": {"$ref": "#/$defs/t"}}}},
            ["[[], [[]]]"],
            ["[1]", "5"],
        ),
        ({"$ref": "#/$defs/x", "$defs": {"x": True}}, ["[1]", "null"], ["1e999"]),
        ({}, ["[[[1]]]", '{"a": {"b": ["c"]}}'], ["[[[[1]]]]", "1" * 16, "1e9"]),
        ({"description": "anything", "not": {"type": "null"}}, ["1"], ["1e999"]),
        ({"type": "integer", "minimum": 10**16}, [str(10**16 + 5)], ["7"]),
        ({"allOf": [{"type": "string"}, {"minimum": 3}]}, ['"a"'], ["5"]),
        ({"type": "array", "items": {"const": 1}, "uniqueItems": True}, ["[1, 1]"], ["[2]"]),
    ],
)
def test_what_a_schema_lets_through(schema: Any, good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not accepts(schema, text)] == []
    assert [text for text in bad if accepts(schema, text)] == []


def test_names_and_constants_are_no_schemas() -> None:
    schema = obj(type={"const": {"minimum": 1, "x": {}}}, items={"enum": [{}, {"type": "null"}]})
    found = narrowed(schema)
    assert found["properties"] == schema["properties"]
    assert accepts(schema, '{"type": {"minimum": 1, "x": {}}, "items": {"type": "null"}}')


def test_narrowing_leaves_the_schema_itself_as_it_is() -> None:
    schema = obj(a={"type": "number"}, b={})
    before = json.dumps(schema)
    assert ReplySchema(narrowed(schema)).fault({"a": 1.5, "b": [[]]}) == ""
    assert json.dumps(schema) == before


@pytest.mark.parametrize(
    ("form", "source", "problem"),
    [
        ("json", '{"type": "integer", "minimum": 3, "maximum": 2}', "Unsatisfiable schema: minim"),
        ("json", '{"allOf": [{"type": "string"}, {"type": "null"}]}', "incompatible types"),
        ("json", '{"enum": []}', "anyOf is empty"),
        ("regex", "(?=a)b", "look-around, including look-ahead and look-behind, is not supp"),
        ("regex", r"(a)\1", "backreferences are not supported"),
        ("regex", "[0[0]]", "inside of .* needs a backslash"),
        ("regex", "x[]a--b]", "inside of .* needs a backslash"),
        ("regex", "a?+", "a '.' behind another quantifier"),
        ("regex", r"\\a{2,3}+", "a '.' behind another quantifier"),
        ("regex", r"\bfoo", "lookarounds not supported yet"),
    ],
)
def test_what_cannot_be_written_is_refused(form: Any, source: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        grammar_of(form, source)


@pytest.mark.parametrize(
    "pattern", [r"a\?+", "[?+]+", "[]?+]", "[^\\]*+]x", "a}+", "(a?)+", r"[0\[0]"]
)
def test_what_is_read_in_one_way_is_taken(pattern: str) -> None:
    assert grammar_of("regex", pattern)


def test_both_readings_of_a_class_of_letters_pass_the_check() -> None:
    outside = ReplySchema({"pattern": r"^\w+\W$"})
    assert outside.fault("a\u00e9") == outside.fault("\u00e9!") == ""
    assert outside.fault("a") == r"'a' does not match '^\\w+\\W$'"
