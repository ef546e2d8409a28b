"""Named parts of a job: `{kind: dedup, field: question}` becomes a `Dedup`, or a one-line error.

STAGES: Registry[Stage] = Registry("stage")

@STAGES.register
class Dedup(Filter):
    kind: Literal["dedup"] = "dedup"

STAGES.build({"kind": "dedupe"}, key="stages.0")
# error: stages.0.kind: unknown stage 'dedupe'; fix: write 'dedup' (known: dedup, generate)
"""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from prompts.errors import UsageError, nearest, unknown

_SECRETS = {"api_key"}

# What to do about pydantic's findings, by their type, where its own words are not those of YAML.
_FIXES = {
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "dict_type": "write a mapping, such as {key: value}",
    "float_parsing": "write a number",
    "float_type": "write a number",
    "int_from_float": "write a whole number",
    "int_parsing": "write a whole number",
    "int_type": "write a whole number",
    "list_type": "write a list, such as [a, b]",
    "model_type": "write a mapping, such as {key: value}",
    "string_type": "write text, in quotes where it looks like a number",
    "tuple_type": "write a list, such as [a, b]",
}

PartT = TypeVar("PartT", bound=BaseModel)
ModelT = TypeVar("ModelT", bound=BaseModel)


class Registry(Generic[PartT]):
    """The catalogue of one sort of part, by the value of its tag field (`kind` or `strategy`)."""

    def __init__(self, what: str, *, tag: str = "kind") -> None:
        self.what = what
        self.tag = tag
        self._classes: dict[str, type[PartT]] = {}

    def register(self, cls: type[PartT]) -> type[PartT]:
        """Class decorator: enters `cls` under the default of its tag field."""
        name = cls.model_fields[self.tag].default
        known = self._classes.get(name)
        if known is not None and known.__qualname__ != cls.__qualname__:
            raise UsageError(f"{self.what} '{name}' is registered twice", fix="rename one of them")
        self._classes[name] = cls
        return cls

    def names(self) -> list[str]:
        """All registered names, sorted."""
        return sorted(self._classes)

    def find(self, name: str, *, key: str = "") -> type[PartT]:
        """The class of that name.

        Raises:
            UsageError: No class has it; the nearest name is suggested.
        """
        if name not in self._classes:
            raise unknown(self.what, name, self.names(), key=key)
        return self._classes[name]

    def build(self, data: Any, *, key: str = "") -> PartT:
        """The part that `data`, a mapping with the tag field, describes.

        Raises:
            UsageError: Not a mapping, an unknown name, an unknown key or a value out of range.
        """
        if not isinstance(data, Mapping):
            fix = f"write {{{self.tag}: NAME}} with one of: {', '.join(self.names())}"
            found = described(data)
            raise UsageError(f"a {self.what} is a mapping, found {found}", fix=fix, key=key)
        if not isinstance(data.get(self.tag), str):
            fix = f"add '{self.tag}: NAME' with one of: {', '.join(self.names())}"
            raise UsageError(f"{self.what} has no '{self.tag}'", fix=fix, key=key)
        return validate(self.find(data[self.tag], key=dotted(key, self.tag)), data, key=key)


def described(value: Any) -> str:
    """What a value of YAML is, in words: "a list", "text", "nothing"."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return "nothing" if value is None else f"the value {value!r}"


def dotted(*parts: object) -> str:
    """Join the parts of a key that are not empty: `dotted("stages", 0, "kind")`."""
    return ".".join(str(part) for part in parts if str(part) != "")


def validate(cls: type[ModelT], data: Any, *, key: str = "") -> ModelT:
    """`cls` made from `data`, with pydantic's findings turned into one `UsageError`.

    Raises:
        UsageError: The first finding, with its dotted key; how many more there are is said.
    """
    try:
        return cls.model_validate(data)
    except ValidationError as exc:
        raise _first_finding(cls, exc, key) from exc
    except UsageError as exc:  # raised by a validator that builds a part inside this one
        raise UsageError(exc.problem, fix=exc.fix, key=dotted(key, exc.key)) from exc


def _first_finding(cls: type[BaseModel], exc: ValidationError, key: str) -> UsageError:
    findings = exc.errors(include_url=False)
    strays = (finding for finding in findings if finding["type"] == "extra_forbidden")
    first = next(strays, findings[0])  # a misspelled key is also a missing one
    place = dotted(key, *first["loc"])
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][-1])
        known = _fields_at(cls, first["loc"][:-1])
        guess = nearest(name, known)
        fix = f"write '{guess}'" if guess else f"known keys: {', '.join(sorted(known))}"
        return UsageError(f"unknown key '{name}'{more}", fix=fix, key=place)
    if first["type"] == "missing":
        return UsageError(f"missing{more}", fix=f"add '{first['loc'][-1]}'", key=place)
    shown = repr(first["input"])
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    if first["loc"] and first["loc"][-1] in _SECRETS:
        shown = "a value that is not shown here"
    message = first["msg"].removeprefix("Value error, ")
    fix = _FIXES.get(first["type"], message[0].lower() + message[1:])
    return UsageError(f"found {shown}{more}", fix=fix, key=place)


def _fields_at(cls: type[BaseModel], loc: tuple[int | str, ...]) -> list[str]:
    """The field names of the model that `loc` leads to, as far as annotations say."""
    current: Any = cls
    for part in loc:
        fields = getattr(current, "model_fields", {})
        if part not in fields:
            continue
        candidates = [fields[part].annotation, *getattr(fields[part].annotation, "__args__", ())]
        current = next((c for c in candidates if hasattr(c, "model_fields")), current)
    return [field.alias or name for name, field in current.model_fields.items()]
