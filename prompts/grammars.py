"""Grammars that hold a model to an output form while it writes, in the words of llguidance.

    grammar_of("choice", '["yes", "no"]')      # what an LLMatcher takes
    grammar_of("regex", "[A-Z]{2}[0-9]{4}")
    grammar_of("json", '{"type": "integer"}')

JSON is written as `{"a": 1, "b": [2, 3]}`, with no other white space, so that a weak model cannot
write blanks for ever, and strings escape only what they must.
"""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from prompts.narrow_schema import narrowed

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

Form = Literal["json", "choice", "regex"]
LONGEST = 200  # characters of a message

_UNWRITTEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
"""What JSON may hold only as an escape that is not allowed below: the engine leaves it out."""

_ESCAPE = re.compile(r"\\.", re.DOTALL)
_CLASS = re.compile(r"\[\^?\]?([^]]*)\]")
_SET = re.compile(r"\[|&&|--|\|\||~~")
"""Set operations to the engine, characters to Python, inside of `[...]`."""
_POSSESSIVE = re.compile(r"(?:[*+?]|\{[0-9]*,?[0-9]*\})\+")
"""A repetition that gives nothing back to Python, and one of a repetition to the engine."""

_JSON: "JsonCompileOptions" = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "json_allowed_escapes": '"\\nt',  # \u could write half of a character
    "coerce_one_of": True,
    "lenient": True,
}


@cache
def grammar_of(form: Form, source: str) -> str:
    """The grammar of an output form.

    Args:
        form: Which one.
        source: json: a JSON Schema as JSON. choice: the texts as a JSON list. regex: the pattern.

    Returns:
        JSON, as `llguidance.LLMatcher` takes it.

    Raises:
        ValueError: Nothing fits the schema, the engine would not write a value of it as it is, or
            it cannot express the pattern or reads it otherwise than Python.
    """
    from llguidance import LLMatcher

    if form == "json":
        return _json_grammar(json.loads(source))
    if form == "regex":
        fault = _read_in_two_ways(source)
        if fault:
            raise ValueError(fault)
        return _sound(LLMatcher.grammar_from_regex(source))
    texts = " | ".join(json.dumps(text, ensure_ascii=False) for text in json.loads(source))
    # One terminal: of several the lexer would take the longest and never stop at "yes".
    return _sound(LLMatcher.grammar_from_lark(f"start: CHOICE\nCHOICE: {texts}\n"))


def _json_grammar(schema: dict[str, Any]) -> str:
    """Of the narrowed schema, or where nothing is left of that, of the schema as it stands."""
    for value in _fixed(schema):
        unwritten = _UNWRITTEN.search(value) if isinstance(value, str) else None
        if unwritten:
            what = f"control character U+{ord(unwritten.group()):04X}"
            raise ValueError(f"the {what} of an 'enum' or 'const' is never written")
        if type(value) in (int, float) and not _keeps_its_digits(value):
            raise ValueError(f"{value} of an 'enum' or 'const' has digits that are not kept")
    try:
        return _sound(_from_schema(narrowed(schema, _expressible)))
    except ValueError:
        return _sound(_from_schema(schema))


def _fixed(part: Any, *, named: bool = False) -> Iterator[Any]:
    """What `enum` and `const` are made of; `named` where keys are names of properties."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key in ("enum", "const") and not named:
                yield from _parts(value)
            else:
                yield from _fixed(value, named=key == "properties" and not named)
    elif isinstance(part, list):
        for each in part:
            yield from _fixed(each)


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _parts(each)
    else:
        yield value


def _keeps_its_digits(value: float) -> bool:
    """Whether the engine, which reads numbers to some 15 digits, writes it as it is."""
    digits = Decimal(repr(value)).normalize().as_tuple().digits
    return len(digits) <= 15 and abs(value) < (2**63 if isinstance(value, int) else 2**53)


def _from_schema(schema: dict[str, Any]) -> str:
    from llguidance import LLMatcher

    # The order of the keys is the order in which they are written.
    return LLMatcher.grammar_from_json_schema(json.dumps(schema), overrides=_JSON)


def _read_in_two_ways(pattern: str) -> str:
    """How to write what the engine reads otherwise than Python; empty if there is nothing."""
    plain = _ESCAPE.sub("x", pattern)
    if any(_SET.search(found[1]) for found in _CLASS.finditer(plain)):
        return "a '[', '&&', '--', '||' or '~~' inside of [...] needs a backslash"
    if _POSSESSIVE.search(_CLASS.sub("x", plain)):
        return "a '+' behind another quantifier, as in 'a?+', needs a group: '(?:a?)+'"
    return ""


def _expressible(pattern: str) -> bool:
    if _read_in_two_ways(pattern):
        return False
    try:
        _sound(_from_schema({"type": "string", "pattern": pattern}))
    except ValueError:
        return False
    return True


def _sound(grammar: str) -> str:
    from llguidance import LLMatcher

    failed, messages = LLMatcher.validate_grammar_with_warnings(grammar)
    if failed:
        raise ValueError(_short(messages[0]))
    return grammar


def _short(message: str) -> str:
    """The clause of the engine's message that says what is wrong."""
    found = re.search(r"error: (.+)", message)
    clause = found[1] if found else message.splitlines()[0]
    return re.sub(r"^at .* \(in regex\): ", "", clause)[:LONGEST]
