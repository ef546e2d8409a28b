"""What type a column has: declared by a format, or inferred from every value it holds.

    observed = Observed()
    for value in (1, None, 0.5):
        observed.add(value, "score", row_id)
    observed.type("score")            # Type("float64")
    observed.add("high", "score", row_id)
    # error: column 'score' holds text in row 9f2c and fractions before it; fix: ...

Every column may hold nulls. Whole numbers and fractions in one column are fractions; any other
mixture is an error.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.exporters.parts import Misfit, writable
from pipelines.rows import JSON
from prompts.errors import UsageError

Kind = Literal["bool", "int64", "float64", "string", "list", "struct", "label"]

_KINDS: dict[type, Kind] = {
    bool: "bool",
    int: "int64",
    float: "float64",
    str: "string",
    list: "list",
    tuple: "list",
    dict: "struct",
}
_WORDS = {
    "bool": "truth values",
    "int64": "whole numbers",
    "float64": "fractions",
    "string": "text",
    "list": "lists",
    "struct": "objects",
}
_SCALARS = {"bool": "boolean", "int64": "integer", "float64": "number", "string": "text"}
_EXACT = 2**53  # whole numbers up to here are exact as 64-bit fractions
_LEAVE_OUT = "filter such rows out with a stage, or leave the column out with 'columns'"
_DEEPEST = 32  # nested lists and objects; readers of Parquet recurse


@dataclass(frozen=True, slots=True)
class Type:
    """The type of a column.

    Attributes:
        kind: What it holds.
        item: For a list, the type of its items.
        fields: For a struct, its fields in order.
        names: For a label, the classes; a value is an index into them.
    """

    kind: Kind
    item: "Type | None" = None
    fields: tuple[tuple[str, "Type"], ...] = ()
    names: tuple[str, ...] = ()

    def feature(self) -> Any:
        """The type as `datasets.Features` holds it."""
        from datasets import ClassLabel, List, Value

        if self.item is not None:
            return List(self.item.feature())
        if self.kind == "struct":
            return {name: field.feature() for name, field in self.fields}
        if self.kind == "label":
            return ClassLabel(names=list(self.names))
        return Value(self.kind)

    def describe(self) -> str:
        """The type in words, for the dataset card."""
        if self.item is not None:
            return f"list of {self.item.describe()}"
        if self.kind == "struct":
            inside = ", ".join(f"{name}: {field.describe()}" for name, field in self.fields)
            return f"object ({inside})"
        if self.kind == "label":
            classes = ", ".join(f"{index} = {name}" for index, name in enumerate(self.names))
            return f"class label ({classes})"
        return _SCALARS[self.kind]


TEXT = Type("string")


class Observed:
    """The narrowest type that holds all values seen so far."""

    __slots__ = ("_beyond_exact", "_fields", "_item", "_kind")

    def __init__(self) -> None:
        self._kind: Kind | None = None
        self._item: Observed | None = None
        self._fields: dict[str, Observed] = {}
        self._beyond_exact = False

    def add(self, value: JSON, column: str, row: str, depth: int = 0) -> None:
        """Take one value into account.

        Raises:
            UsageError: No type holds it together with those before; names column and row.
        """
        if value is None:
            return
        kind = _KINDS[type(value)]
        if kind != self._kind:
            self._kind = self._joined(kind, column, row)
        if kind == "int64":
            self._add_number(value, column, row)
        elif kind == "float64" and not math.isfinite(value):
            problem = f"column '{column}' holds {value} in row {row}, which is no number of JSON"
            raise UsageError(problem, fix=_LEAVE_OUT, key="columns")
        elif kind == "string":
            _add_text(value, column, row)
        elif kind == "list":
            self._item = self._item or Observed()
            for item in value:
                self._item.add(item, f"{column}[]", row, _deeper(depth, column, row))
        elif kind == "struct":
            for name, item in value.items():
                _add_text(name, column, row)
                field = self._fields.setdefault(name, Observed())
                field.add(item, f"{column}.{name}", row, _deeper(depth, column, row))

    def join(self, later: "Observed", column: str) -> None:
        """Take into account what another one has seen behind this one's values.

        Raises:
            UsageError: No type holds both; of no certain row.
        """
        if later._kind is not None and later._kind != self._kind:
            if later._beyond_exact and self._kind == "float64":
                raise _mixture("int64", "float64", column, "of many")
            self._kind = self._joined(later._kind, column, "of many")
        self._beyond_exact |= later._beyond_exact
        if later._item is not None:
            self._item = self._item or Observed()
            self._item.join(later._item, f"{column}[]")
        for name, field in later._fields.items():
            self._fields.setdefault(name, Observed()).join(field, f"{column}.{name}")

    def type(self, column: str) -> Type:
        """The type; text where there were nothing but nulls.

        Raises:
            UsageError: Objects without any field, which Parquet cannot store.
        """
        if self._kind == "list":
            return Type("list", item=(self._item or Observed()).type(f"{column}[]"))
        if self._kind == "struct":
            if not self._fields:
                fix = "leave the column out with 'columns'"
                raise UsageError(f"column '{column}' holds nothing but empty objects", fix=fix)
            fields = [
                (name, field.type(f"{column}.{name}")) for name, field in self._fields.items()
            ]
            return Type("struct", fields=tuple(fields))
        return Type(self._kind or "string")

    def _joined(self, kind: Kind, column: str, row: str) -> Kind:
        if self._kind is None:
            return kind
        if {self._kind, kind} == {"int64", "float64"} and not self._beyond_exact:
            return "float64"
        raise _mixture(kind, self._kind, column, row)

    def _add_number(self, value: int, column: str, row: str) -> None:
        if not -(2**63) <= value < 2**63:
            bits = value.bit_length()
            problem = f"column '{column}' holds a whole number of {bits} bits in row {row}"
            fix = "turn the column into text with a stage, or leave it out with 'columns'"
            raise UsageError(problem, fix=fix, key="columns")
        if abs(value) > _EXACT:
            if self._kind == "float64":
                raise _mixture("int64", "float64", column, row)
            self._beyond_exact = True


def _add_text(value: str, column: str, row: str) -> None:
    try:
        writable(value)
    except Misfit as exc:
        problem = f"column '{column}' holds {exc} in row {row}"
        raise UsageError(problem, fix=_LEAVE_OUT, key="columns") from exc


def _mixture(kind: Kind, before: Kind, column: str, row: str) -> UsageError:
    """The error for a column whose values have no type in common."""
    problem = f"column '{column}' holds {_WORDS[kind]} in row {row} and {_WORDS[before]} before it"
    if {kind, before} == {"int64", "float64"}:
        problem += f", and some whole number is above {_EXACT}, where fractions are not exact"
    fix = "give the column one type with a stage, or leave it out with 'columns'"
    return UsageError(problem, fix=fix, key="columns")


def _deeper(depth: int, column: str, row: str) -> int:
    if depth >= _DEEPEST:
        problem = f"column '{column}' nests deeper than {_DEEPEST} levels in row {row}"
        raise UsageError(problem, fix="leave the column out with 'columns'", key="columns")
    return depth + 1


def features(types: Mapping[str, Type]) -> Any:
    """`datasets.Features` of the columns, in their order."""
    from datasets import Features

    return Features({name: type_.feature() for name, type_ in types.items()})
