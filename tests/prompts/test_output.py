from typing import Any

import pytest

from prompts.errors import UsageError
from prompts.file_format import Output


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (
            {"form": "text", "schema": {}},
            "output.schema: a schema is for form json, not text; fix: write 'form: json'",
        ),
        ({"choices": ["a"]}, "output.choices: a list of choices is for form choice, not text"),
        ({"form": "json", "pattern": "a"}, "output.pattern: a pattern is for form regex, not json"),
        (
            {"form": "regex", "pattern": "a", "language": "sql"},
            "output.language: a language is for",
        ),
        ({"form": "choice"}, "output.choices: form choice needs a list of choices"),
        ({"form": "regex"}, "output.pattern: form regex needs a pattern"),
        ({"form": "code"}, "output.language: form code needs a language"),
        ({"form": "choice", "choices": ["a", "b "]}, "output.choices.1: a choice is a text with"),
        ({"form": "choice", "choices": ["a", "a"]}, "output.choices.1: 'a' is listed twice"),
        ({"form": "regex", "pattern": "(a"}, "output.pattern: not a usable regular expression: mi"),
        ({"form": "regex", "pattern": "a*"}, "output.pattern: the pattern matches an empty reply"),
        (
            {"form": "regex", "pattern": "(?=a)a"},
            "output.pattern: no reply can be held to this: look-around",
        ),
        (
            {"form": "json", "schema": {"allOf": [{"type": "null"}, {"type": "string"}]}},
            "output.schema: no reply can be held to this: Unsatisfiable schema",
        ),
        (
            {"form": "json", "schema": {"items": {"anyOf": [{"enum": [0, ["a\x00b"]]}]}}},
            "output.schema: no reply can be held to this: the control character U+0000 of an",
        ),
        (
            {"form": "regex", "pattern": "x[[0]]"},
            "output.pattern: no reply can be held to this: a '['",
        ),
        (
            {"form": "json", "schema": {"items": {"enum": [1, 0.30000000000000004]}}},
            "output.schema: no reply can be held to this: 0.30000000000000004 of an 'enum'",
        ),
        (
            {"form": "json", "schema": {"const": 2**53 + 1}},
            "output.schema: no reply can be held to this: 9007199254740993 of an",
        ),
        (
            {"form": "json", "schema": {"properties": {"a": {"const": {"b\r": 1}}}}},
            "output.schema: no reply can be held to this: the control character U+000D of an",
        ),
    ],
)
def test_what_does_not_fit_is_refused_when_a_prompt_is_loaded(
    keys: dict[str, Any], line: str
) -> None:
    with pytest.raises(UsageError) as caught:
        Output.model_validate(keys)
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": ["a\tb\nc", 0.1, -2, 123456789012345, True], "description": "a\x00b"},
        {"type": "string", "pattern": "^[[0]]$"},  # not held to, and looked at afterwards
        {"properties": {"enum": {"description": "a\x00b"}, "const": {"type": "integer"}}},
    ],
)
def test_what_can_be_written_is_not_refused(schema: dict[str, Any]) -> None:
    assert Output.model_validate({"form": "json", "schema": schema}).json_schema == schema


def test_a_language_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="Input should be 'bash', 'c', 'css'"):
        Output.model_validate({"form": "code", "language": "pyhton"})


def test_code_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        Output(form="code", language="bash")
    line = "output.language: code in bash needs the package tree-sitter"
    assert str(caught.value) == f"{line}; fix: pip install 'textmill[code]'"
