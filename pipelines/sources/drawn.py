"""The columns of a drawn row: values, distributions, and what follows from other columns.

    country: {France: 3, Japan: 1}                                        Chosen
    age: {draw: normal, mean: 40, sd: 12, min: 18, max: 90}               Distributed
    city: {given: {country: {France: [Paris, Lyon], Japan: [Tokyo]}}}     Given
    total: {expr: "price * quantity"}                                     Computed
    title: {text: "{{ quantity }} tickets for {{ city }}"}                Written

A branch of `given` is a column of its own, so that a branch may be a distribution or depend on one
more column.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializeAsAny,
    field_validator,
    model_serializer,
)

from pipelines.drawing import DISTRIBUTIONS, Distribution
from pipelines.drawing.weights import Value, Values, Weighted, check_values
from pipelines.expressions import BadExpression, Expression
from pipelines.rows import JSON
from prompts.errors import UsageError, shorten, unknown
from prompts.registry import described, dotted, validate
from prompts.template import Template, TemplateFault, check_plain

Known = Mapping[str, JSON]
"""The columns of a row that have a value so far."""


class Column(BaseModel):
    """How one column gets its value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def reads(self) -> set[str]:
        """The columns that it looks at; they come first."""
        return set()

    def at(self, share: float, known: Known, place: int) -> JSON:
        """The value at a share of the whole, 0 to 1 with 1 excluded.

        Args:
            share: Where on the distribution.
            known: The row so far.
            place: The row's number, from 0.

        Raises:
            BadExpression: These columns give no value; the message says why.
        """
        raise NotImplementedError

    def support(self, known: Known) -> list[tuple[JSON, float]] | None:
        """The values it can have beside `known`, with probabilities; None if too many to list."""
        raise NotImplementedError

    def values(self) -> list[JSON] | None:
        """All the values it can have, whatever the other columns; None if that is not known."""
        return None

    def check(self, columns: "Mapping[str, Column]") -> None:
        """Whether it fits the columns that it reads.

        Raises:
            UsageError: With a key relative to the column.
        """


class Chosen(Column):
    """One of some values; it is written as they are, without the key."""

    chosen: Values

    def at(self, share: float, known: Known, place: int) -> JSON:
        """The value there, in the order given."""
        return self._weighted.at(share)

    def support(self, known: Known) -> list[tuple[JSON, float]] | None:
        """Each value with its part of the weights."""
        whole = sum(self._weighted.weights)
        pairs = zip(self._weighted.values, self._weighted.weights, strict=True)
        return [(value, weight / whole) for value, weight in pairs]

    def values(self) -> list[JSON] | None:
        """The values."""
        return list(self._weighted.values)

    @cached_property
    def _weighted(self) -> Weighted:
        return Weighted(self.chosen)

    @model_serializer
    def _short(self) -> Any:
        return self.chosen if isinstance(self.chosen, dict) else list(self.chosen)


class Distributed(Column):
    """A draw from a distribution; it is written as that."""

    distribution: Distribution

    def at(self, share: float, known: Known, place: int) -> JSON:
        """The quantile there."""
        return self.distribution.at(share, place)

    def support(self, known: Known) -> list[tuple[JSON, float]] | None:
        """Those of the distribution."""
        return self._support

    def values(self) -> list[JSON] | None:
        """Those of the distribution."""
        return None if self._support is None else [value for value, _ in self._support]

    @cached_property
    def _support(self) -> list[tuple[Value, float]] | None:
        return self.distribution.support()

    @model_serializer
    def _short(self) -> Any:
        return self.distribution.model_dump(mode="json")


class Given(Column):
    """A column that depends on the value of another one.

    Attributes:
        given: That column -> its values as text -> the column to draw from.
    """

    given: dict[str, dict[str, SerializeAsAny[Column]]]

    @field_validator("given", mode="before")
    @classmethod
    def _of_one_column(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or len(value) != 1:
            fix = "write one column and what follows from its values: {country: {France: [Paris]}}"
            raise UsageError(f"found {described(value)}", fix=fix, key="given")
        [(parent, branches)] = value.items()
        return {parent: build_columns(branches, key=dotted("given", parent))}

    def reads(self) -> set[str]:
        """The column it depends on, and those of the branches."""
        return {self._parent}.union(*(branch.reads() for branch in self._branches.values()))

    def at(self, share: float, known: Known, place: int) -> JSON:
        """What the branch of the parent's value gives."""
        return self._branch(known).at(share, known, place)

    def support(self, known: Known) -> list[tuple[JSON, float]] | None:
        """That of the branch."""
        return self._branch(known).support(known)

    def values(self) -> list[JSON] | None:
        """Those of all branches."""
        found: dict[str, JSON] = {}
        for branch in self._branches.values():
            values = branch.values()
            if values is None:
                return None
            found.update((repr(value), value) for value in values)
        return list(found.values())

    def check(self, columns: Mapping[str, Column]) -> None:
        """Every value of the other column has its branch, and no other has one."""
        key = dotted("given", self._parent)
        parent = columns[self._parent].values()
        for value in parent or ():
            if written(value) not in self._branches:
                problem = f"there is nothing for {self._parent} '{written(value)}'"
                raise UsageError(problem, fix="give it values too", key=key)
        names = [written(value) for value in parent or ()]
        for name, branch in self._branches.items():
            if names and name not in names:
                raise unknown(f"value of {self._parent}", name, names, key=key)
            try:
                branch.check(columns)
            except UsageError as exc:
                raise UsageError(exc.problem, fix=exc.fix, key=dotted(key, name, exc.key)) from exc

    @property
    def _parent(self) -> str:
        return next(iter(self.given))

    @property
    def _branches(self) -> dict[str, Column]:
        return self.given[self._parent]

    def _branch(self, known: Known) -> Column:
        name = written(known[self._parent])
        if name not in self._branches:
            raise BadExpression(f"given.{self._parent} has nothing for '{name}'")
        return self._branches[name]


class _Following(Column):
    """A column that its fellows decide."""

    def support(self, known: Known) -> list[tuple[JSON, float]] | None:
        """Its one value."""
        return [(self.at(0.0, known, 0), 1.0)]


class Computed(_Following):
    """The value of an expression.

    Attributes:
        expr: See `pipelines.expressions`.
    """

    expr: str

    @field_validator("expr")
    @classmethod
    def _is_an_expression(cls, value: str) -> str:
        Expression(value)
        return value

    def reads(self) -> set[str]:
        """The columns in the expression."""
        return set(self._expression.names)

    def at(self, share: float, known: Known, place: int) -> JSON:
        """Its value for the row so far."""
        return self._expression.value(known)

    @cached_property
    def _expression(self) -> Expression:
        return Expression(self.expr)


class Written(_Following):
    """A text with the values of other columns.

    Attributes:
        text: A template.
    """

    text: str

    @field_validator("text")
    @classmethod
    def _is_a_template(cls, value: str) -> str:
        try:
            Template(value)
        except TemplateFault as exc:
            raise ValueError(exc.problem) from exc
        return value

    def reads(self) -> set[str]:
        """The template's variables."""
        return set(self._template.variables)

    def at(self, share: float, known: Known, place: int) -> JSON:
        """The text for the row so far."""
        values = {name: known[name] for name in self._template.variables}
        try:
            check_plain(values)
            return self._template.render(values)
        except TemplateFault as exc:
            raise BadExpression(exc.problem) from exc

    @cached_property
    def _template(self) -> Template:
        return Template(self.text)


def written(value: JSON) -> str:
    """A value as a job writes it for a key: `true`, `3`, `Paris`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def build_columns(value: Any, *, key: str) -> dict[str, Column]:
    """The columns that a mapping from their names describes.

    Raises:
        UsageError: With the key of the column at fault.
    """
    if not isinstance(value, Mapping) or not value:
        fix = "write a mapping from names to values, such as {label: [good, bad]}"
        raise UsageError(f"found {described(value)}", fix=fix, key=key)
    return {_name(name, key): _build(item, dotted(key, name)) for name, item in value.items()}


def _name(name: Any, key: str) -> str:
    if isinstance(name, str) and name:
        return name
    raise UsageError(f"found the key {name!r}", fix="write it as text, in quotes", key=key)


def _build(value: Any, key: str) -> Column:
    if isinstance(value, Column):
        return value
    if isinstance(value, Mapping):
        for name, cls in _KINDS.items():
            if name in value and not _is_weight(value[name]):
                return validate(cls, value, key=key)
        if "draw" in value and not _is_weight(value["draw"]):
            return Distributed(distribution=DISTRIBUTIONS.build(value, key=key))
    try:
        return Chosen(chosen=check_values(value))
    except ValueError as exc:
        raise UsageError(f"found {shorten(repr(value))}", fix=str(exc), key=key) from exc


def _is_weight(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_KINDS: Mapping[str, type[Column]] = {"given": Given, "expr": Computed, "text": Written}
