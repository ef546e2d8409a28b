import time
from typing import Any

import pytest

from prompts.schema import ReplySchema

SCORE = {
    "type": "object",
    "properties": {"score": {"type": "integer", "minimum": 1, "maximum": 5}},
    "required": ["score"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"score": 3}, ""),
        ({"score": 7}, "score: 7 is greater than the maximum of 5"),
        ({"score": "3"}, "score: '3' is not of type 'integer'"),
        ({}, "'score' is a required property"),
        ({"score": 3, "x": 1}, "Additional properties are not allowed ('x' was unexpected)"),
        ([1], "[1] is not of type 'object'"),
    ],
)
def test_says_where_a_value_does_not_match(value: Any, fault: str) -> None:
    assert ReplySchema(SCORE).fault(value) == fault


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "objct"}, "type: 'objct' is not valid"),
        ({"properties": {"a": {"minimum": "x"}}}, "properties: a: minimum: 'x' is not of type"),
        ({"$ref": "http://127.0.0.1/x"}, "'$ref: http://127.0.0.1/x' leads outside the schema"),
        ({"items": [{"$ref": "other.json"}]}, "'$ref: other.json' leads outside the schema"),
        ({"$ref": "file:///etc/passwd"}, "'$ref: file:///etc/passwd' leads outside the schema"),
        ({"$id": "http://127.0.0.1/"}, "'$id' is not supported"),
        ({"$ref": "#/nowhere"}, "a '$ref' leads nowhere or back to itself"),
        ({"$ref": "#"}, "a '$ref' leads nowhere or back to itself"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(schema: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 (the text is asserted below)
        ReplySchema(schema)
    assert str(caught.value).startswith(problem)


def test_references_inside_the_schema_work() -> None:
    schema = {"$defs": {"n": {"type": "null"}}, "items": {"$ref": "#/$defs/n"}}
    assert ReplySchema(schema).fault([None, 1]) == "1: 1 is not of type 'null'"


@pytest.mark.parametrize("pattern", ["^(a|aa)+$", "^(a|a)*$"])
def test_a_pattern_that_backtracks_without_end_is_stopped(pattern: str) -> None:
    began = time.monotonic()
    fault = ReplySchema({"pattern": pattern}).fault("a" * 200 + "b")
    assert fault == f"matching '{pattern}' took too long"
    assert time.monotonic() - began < 10


def test_patterns_match_anywhere_unless_anchored() -> None:
    schema = ReplySchema({"pattern": "b+"})
    assert schema.fault("abc") == ""
    assert schema.fault("ac") == "'ac' does not match 'b+'"
    assert schema.fault(5) == ""


def test_a_fault_does_not_quote_a_whole_reply() -> None:
    assert len(ReplySchema({"type": "null"}).fault("x" * 10_000)) == 200
