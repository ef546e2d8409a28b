"""Any schema or pattern is refused when the prompt is read, or every finished reply fits it."""

import json
from typing import Any

import pytest
import regex
import torch
from fuzzing import fuzzed
from hypothesis import given
from hypothesis import strategies as st
from table_engine import TableEngine, decode, random_table
from tiny_models import tiny_tokenizer

from chains.decoding import Sample
from chains.decoding.grammar import guides_for
from chains.decoding.search import Request, Vocabulary
from chains.parsing import ParseFault, parse_reply
from prompts.errors import UsageError
from prompts.file_format import Output
from prompts.registry import validate

WIDTH = 330
TOKENIZER = tiny_tokenizer(pad_token="<pad>")
KNOWN = Vocabulary(
    decode=lambda tokens: str(TOKENIZER.decode(list(tokens), skip_special_tokens=True)),
    ends=frozenset({0, 2}),
    tokenizer=TOKENIZER,
)
TABLE = random_table(WIDTH, 11)

SMALL = st.integers(-3, 6)
NAMES = st.sampled_from(["a", "b", "name", "ä", 'q"', ""])
SCALARS = st.one_of(st.none(), st.booleans(), SMALL, st.floats(-9, 9), st.text(max_size=3))
LEAVES = st.one_of(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["integer", "number"])},
        optional={"minimum": SMALL, "maximum": SMALL, "multipleOf": st.integers(1, 4)},
    ),
    st.fixed_dictionaries(
        {"type": st.just("string")},
        optional={
            "minLength": st.integers(0, 4),
            "maxLength": st.integers(0, 6),
            "pattern": st.sampled_from(["^[a-c]+$", "x", "^(a|bc)*$", "^\\d{2}$", "[", "^$"]),
            "format": st.sampled_from(["date", "email", "nothing"]),
        },
    ),
    st.fixed_dictionaries({"enum": st.lists(SCALARS, min_size=0, max_size=3)}),
    st.fixed_dictionaries({"const": SCALARS}),
    st.fixed_dictionaries({"type": st.sampled_from(["boolean", "null", "objekt", "array"])}),
)


def _larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(NAMES, inner, max_size=3)},
            optional={
                "required": st.lists(NAMES, max_size=2),
                "additionalProperties": st.one_of(st.booleans(), inner),
            },
        ),
        st.fixed_dictionaries(
            {"type": st.just("array"), "items": inner},
            optional={"minItems": st.integers(0, 3), "maxItems": st.integers(0, 3)},
        ),
        st.builds(
            lambda word, parts: {word: parts},
            st.sampled_from(["anyOf", "allOf"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
    )


# Of the keywords that the engine knows; `not`, `uniqueItems` and such are checked afterwards.
SCHEMAS = st.recursive(LEAVES, _larger, max_leaves=5)
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["type", "items", "enum", "$ref", "properties", "not", "anyOf", "x"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)
PATTERNS = st.text("ab01|()[]{}*+?.^$\\d-,:<=!#&~é\n", min_size=1, max_size=12)


def form(**settings: Any) -> Output | None:
    """The output form of a prompt; None where the prompt is refused with one line."""
    try:
        return validate(Output, settings, key="output")
    except UsageError as exc:
        refused = exc
    assert refused.key.startswith("output")
    assert "\n" not in str(refused)
    return None


def finished(output: Output, seed: int) -> list[str]:
    """What a model with random logits writes to an end, of four rows."""
    guides = guides_for(output)
    task = Request((seed,), seed, 60, guides=tuple(guide.open(KNOWN, ()) for guide in guides))
    tasks = [(Sample(temperature=2.0, max_tokens=60, n=4), task)]
    found = [each for several in decode(TableEngine(TABLE), tasks, KNOWN) for each in several]
    return [each.text for each in found if each.finish == "stop"]


@fuzzed(60)
@given(SCHEMAS, st.integers(0, 300))
def test_a_reply_held_to_any_schema_validates(schema: Any, seed: int) -> None:
    torch.set_num_threads(1)
    output = form(form="json", schema=schema)
    if output is not None:
        for text in finished(output, seed):
            found = parse_reply(output, text)
            if isinstance(found, ParseFault):  # as docs/prompts.md says of objects with free keys
                assert found.reason == "duplicate_keys", (json.dumps(schema), text)


@fuzzed(60)
@given(ANY_JSON)
def test_any_json_is_a_schema_or_refused(schema: Any) -> None:
    output = form(form="json", schema=schema)
    assert output is None or isinstance(output.json_schema, dict | None)


@fuzzed(80)
@given(PATTERNS, st.integers(0, 300))
def test_a_reply_held_to_any_pattern_matches_it(pattern: str, seed: int) -> None:
    output = form(form="regex", pattern=pattern)
    if output is not None:
        for text in finished(output, seed):
            assert regex.fullmatch(pattern, text, timeout=2), (pattern, text)


@pytest.mark.parametrize("schema", [{"type": "integer", "minimum": 5}, {"enum": ["a", "b"]}])
def test_the_fuzzed_forms_are_not_all_refused(schema: Any) -> None:
    output = form(form="json", schema=schema)
    assert output is not None
    assert finished(output, 3)
