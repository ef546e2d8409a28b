"""A JSON Schema narrowed to what a grammar can guarantee, for steering a model while it writes.

narrowed({"properties": {"price": {"type": "number"}}})
# {"type": ["object"], "additionalProperties": False, "properties": {"price": {"type": "number",
#  "minimum": -999999999999999, "maximum": 999999999999999, "multipleOf": 1e-06}}}

Every value of the narrowed schema is one of the schema, as far as the grammar engine knows the
keywords. Numbers get 15 digits before the point and 6 behind it, so that all are finite, fit
64 bits and come to an end; an object with `properties` gets no other keys unless its schema asks
for them; "anything" is at most three levels deep.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

LARGEST = 10**15 - 1
STEP = 1e-6
LEVELS = 3

Expressible = Callable[[str], bool]

_LOWER = ("minimum", "exclusiveMinimum")
_UPPER = ("maximum", "exclusiveMaximum")
_NAMED = ("properties", "$defs", "definitions")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = ("items", "additionalProperties")
_MERGED = {"properties", "required", "additionalProperties", "items", "prefixItems"}
_DECIDED = {"type", "const", "enum", "$ref", "$dynamicRef", "anyOf", "oneOf", "allOf"}
_OPEN = {"additionalProperties", "unevaluatedProperties", "minProperties", "dependentSchemas"}
_FAMILIES = {
    "object": {"properties", "required", "additionalProperties", "minProperties", "maxProperties"},
    "array": {"items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"},
    "string": {"pattern", "minLength", "maxLength", "format"},
    "number": {*_LOWER, *_UPPER, "multipleOf"},
}


def narrowed(schema: Mapping[str, Any], expressible: Expressible = lambda _: True) -> Any:
    """The schema for the grammar.

    Args:
        schema: A valid one.
        expressible: Whether the grammar engine can express a `pattern`; one that it cannot is
            left out.
    """
    combined = any(_combines(part) for part in _parts(schema))
    found = _narrow(schema, not combined, expressible)
    levels = {_level(level): _any(level) for level in range(LEVELS + 1)}
    return {**found, "$defs": {**found.get("$defs", {}), **levels}}


def _parts(node: Any) -> Iterator[Mapping[str, Any]]:
    """A schema and all the schemas inside it."""
    if not isinstance(node, Mapping):
        return
    yield node
    for key in _NAMED:
        for part in node.get(key, {}).values():
            yield from _parts(part)
    for key in _LISTED:
        for part in node.get(key, ()):
            yield from _parts(part)
    for key in _SINGLE:
        yield from _parts(node.get(key))


def _combines(node: Mapping[str, Any]) -> bool:
    """Whether several schemas describe one object, so that none knows all of its keys."""
    merges = node.keys() & {"anyOf", "oneOf", "$ref", "$dynamicRef", "if"}
    return "allOf" in node or bool(merges and node.keys() & _MERGED)


def _narrow(node: Any, closes: bool, expressible: Expressible) -> Any:
    if node is False:
        return False
    if node is True or not node.keys() & _DECIDED.union(*_FAMILIES.values()):
        kept = {} if node is True else {key: node[key] for key in _NAMED[1:] if key in node}
        node = {**kept, "$ref": f"#/$defs/{_level(LEVELS)}"}
    found = {**node}
    for key in _NAMED:
        if key in node:
            parts = node[key].items()
            found[key] = {name: _narrow(part, closes, expressible) for name, part in parts}
    for key in _LISTED:
        if key in node:
            found[key] = [_narrow(part, closes, expressible) for part in node[key]]
    for key in _SINGLE:
        if key in node:
            found[key] = _narrow(node[key], closes, expressible)
    if "pattern" in found and not expressible(found["pattern"]):
        del found["pattern"]
    return _filled(_bounded(_typed(found)), closes)


def _typed(node: dict[str, Any]) -> dict[str, Any]:
    """Keywords about objects are meant for objects, though without `type` a text passes too."""
    if node.keys() & _DECIDED:
        return node
    return {**node, "type": [kind for kind, keys in _FAMILIES.items() if node.keys() & keys]}


def _types(node: Mapping[str, Any]) -> set[str]:
    types = node.get("type", [])
    return {types} if isinstance(types, str) else set(types)


def _bounded(node: dict[str, Any]) -> dict[str, Any]:
    """Numbers that end, are finite and fit an Arrow column."""
    types = _types(node)
    if not types & {"integer", "number"} or node.keys() & {"const", "enum"}:
        return node
    lower = {key: node[key] for key in _LOWER if node.get(key, -LARGEST) > -LARGEST}
    upper = {key: node[key] for key in _UPPER if node.get(key, LARGEST) < LARGEST}
    lower, upper = lower or {"minimum": -LARGEST}, upper or {"maximum": LARGEST}
    rest = {key: value for key, value in node.items() if key not in (*_LOWER, *_UPPER)}
    wide = min(upper.values()) - max(lower.values()) >= 1000 * STEP
    if "number" in types and wide:
        rest.setdefault("multipleOf", STEP)
    return {**rest, **lower, **upper}


def _filled(node: dict[str, Any], closes: bool) -> dict[str, Any]:
    """What a schema says nothing of: keys that have no name in it, items."""
    types, anything = _types(node), {"$ref": f"#/$defs/{_level(LEVELS)}"}
    found = {**node}
    if "object" in types and not node.keys() & _OPEN:
        named = node.get("properties", {})
        closed = closes and bool(named) and set(node.get("required", ())) <= named.keys()
        found["additionalProperties"] = False if closed else anything
    if "array" in types:
        found.setdefault("items", anything)
    return found


def _level(level: int) -> str:
    return f"anything-{level}"


def _any(level: int) -> dict[str, Any]:
    """Any JSON value of at most `level` levels."""
    scalars = {"type": ["null", "boolean", "string", "number"]}
    if level == 0:
        return _bounded(scalars)
    inner = {"$ref": f"#/$defs/{_level(level - 1)}"}
    nested = {"type": ["object", "array"], "additionalProperties": inner, "items": inner}
    return {"anyOf": [_bounded(scalars), nested]}
