"""JSON Schema for what a model replies: checked when a prompt is loaded, then used on every reply.

schema = ReplySchema({"type": "object", "properties": {"score": {"maximum": 5}}})
schema.fault({"score": 7})          # "score: 7 is greater than the maximum of 5"

Draft 2020-12 without remote references: a schema cannot fetch anything. Regular expressions in it
run with a time limit, because the text that they meet is the model's.
"""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import referencing
import regex
from jsonschema.validators import Draft202012Validator

from prompts.errors import shorten

PATTERN_SECONDS = 0.1
LONGEST_FAULT = 200  # characters; jsonschema's messages quote the whole value


class ReplySchema:
    """A schema ready for use.

    Raises:
        ValueError: It is not a schema of Draft 2020-12, refers to something outside itself, or
            refers to itself without end.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        _check_keywords(schema)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # of a pattern such as [[0]]
                Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as exc:
            place = "".join(f"{part}: " for part in exc.absolute_path)
            raise ValueError(shorten(f"{place}{exc.message}", LONGEST_FAULT)) from exc
        self._validator = _Validator(schema, registry=referencing.Registry())
        try:
            self._validator.is_valid({})
        except (RecursionError, referencing.exceptions.Unresolvable) as exc:
            raise ValueError("a '$ref' leads nowhere or back to itself") from exc

    def fault(self, value: Any) -> str:
        """Why `value` does not match: the place and the first finding; empty if it does."""
        try:
            error = next(self._validator.iter_errors(value), None)
        except (RecursionError, ArithmeticError, referencing.exceptions.Unresolvable):
            return "the schema cannot be applied to it"
        if error is None:
            return ""
        place = ".".join(map(str, error.absolute_path))
        return shorten(f"{place}: {error.message}" if place else error.message, LONGEST_FAULT)


def _check_keywords(schema: Mapping[str, Any]) -> None:
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping):
            for keyword in ("$ref", "$dynamicRef"):
                target = part.get(keyword)
                if isinstance(target, str) and not target.startswith("#"):
                    raise ValueError(f"'{keyword}: {target}' leads outside the schema")
            for keyword in ("$schema", "$id", "patternProperties"):
                if keyword in part:
                    raise ValueError(f"'{keyword}' is not supported")
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)


def _pattern(
    _validator: Any, pattern: str, instance: Any, _schema: Any
) -> Iterator[jsonschema.ValidationError]:
    r"""`pattern`, with a time limit: `(a+)+$` would never end.

    JSON Schema means the letters of ASCII by `\w`, Python those of all scripts: either will do.
    """
    if not isinstance(instance, str):
        return
    try:
        if not any(
            regex.search(pattern, instance, flags, timeout=PATTERN_SECONDS)
            for flags in (regex.UNICODE, regex.ASCII)
        ):
            yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")
    except TimeoutError:
        yield jsonschema.ValidationError(f"matching {pattern!r} took too long")
    except regex.error:
        yield jsonschema.ValidationError(f"{pattern!r} is not a regular expression")


_Validator = jsonschema.validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {"pattern": _pattern}
)
