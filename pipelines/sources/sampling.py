"""Rows drawn column by column in the order of their dependencies, under conditions.

    sampler = Sampler(columns, where=("end > start",), seed=7)
    sampler.draw(0)                              # {"start": "2026-03-01", "end": "2026-03-04"}
    sampler.combinations(("country", "city"))    # [("France", "Paris"), ("France", "Lyon"), ...]

Columns that conditions tie together, with all that these depend on, are drawn together. Where their
combinations can be listed, those that meet the conditions are, and one is drawn by its probability.
Otherwise draws are repeated until one meets them. Both give the distribution that the columns have
under the conditions.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import accumulate

from pipelines.drawing.weights import place_of, share_for
from pipelines.expressions import BadExpression, Expression
from pipelines.rows import JSON
from pipelines.sources.drawn import Column
from prompts.errors import UsageError, unknown

MOST_STEPS = 20_000
"""Values that are tried before a list of combinations counts as too long."""
MOST_DRAWS = 10_000
"""Draws for one row before its conditions count as not to be met."""
_FIRST_ROWS = 20  # that are drawn to see whether expressions have values


@dataclass(frozen=True)
class Condition:
    """One of `where`.

    Attributes:
        index: Its place there, from 0.
        expression: What has to be true.
    """

    index: int
    expression: Expression

    def holds(self, row: Mapping[str, JSON]) -> bool:
        """Whether a row meets it.

        Raises:
            UsageError: It is neither true nor false.
        """
        try:
            return self.expression.holds(row)
        except BadExpression as exc:
            fix = "compare values of one type, with a sign such as == or <"
            raise UsageError(str(exc), fix=fix, key=f"where.{self.index}") from exc


@dataclass(frozen=True)
class _Part:
    """Columns that are drawn together, each after those it reads, and the conditions on them."""

    names: tuple[str, ...]
    conditions: tuple[Condition, ...]


class Sampler:
    """Draws rows.

    Args:
        columns: By name, in the order that a row has them.
        where: Expressions that have to be true of every row.
        seed: The job's.

    Raises:
        UsageError: Columns read each other in a circle or read what is not there, a condition is no
            expression, or no row can meet the conditions.
    """

    def __init__(self, columns: Mapping[str, Column], where: Sequence[str], seed: int) -> None:
        self._columns = columns
        self._seed = seed
        self._order = _ordered(columns)
        conditions = [_condition(index, text, columns) for index, text in enumerate(where)]
        self._parts = self._joined(conditions)
        self._solved = [self._solutions(part) for part in self._parts]

    def check(self) -> None:
        """See whether rows can be drawn at all.

        Raises:
            UsageError: No draw meets the conditions, or an expression has no value.
        """
        for place in range(_FIRST_ROWS):
            self.draw(place)

    def draw(self, place: int) -> dict[str, JSON]:
        """The row with that number, from 0: a function of it, the columns and the seed.

        Raises:
            UsageError: No draw met the conditions, or an expression has no value.
        """
        row: dict[str, JSON] = {}
        for part, solved in zip(self._parts, self._solved, strict=True):
            row.update(self._met(part, place) if solved is None else solved.at(self._share, place))
        for name in self._order:
            if name not in row:
                row[name] = self._value(name, row, place)
        return {name: row[name] for name in self._columns}

    def combinations(self, names: Sequence[str]) -> list[tuple[JSON, ...]] | None:
        """The values that columns can have together, in their order; None if too many to list."""
        wanted = self._behind(names)
        parts = [part for part in self._parts if wanted & set(part.names)]
        wanted |= {name for part in parts for name in part.names}
        conditions = tuple(c for part in parts for c in part.conditions)
        rows = self._listed(_Part(self._sorted(wanted), conditions))
        if rows is None:
            return None
        found = [tuple(row[name] for name in names) for row, _ in rows]
        return list({repr(values): values for values in found}.values())

    def _share(self, name: str, place: int, attempt: int = 0) -> float:
        return share_for(self._seed, "attributes", name, place, attempt)

    def _value(self, name: str, row: Mapping[str, JSON], place: int, attempt: int = 0) -> JSON:
        try:
            return self._columns[name].at(self._share(name, place, attempt), row, place)
        except BadExpression as exc:
            raise _no_value(name, exc) from exc

    def _met(self, part: _Part, place: int) -> dict[str, JSON]:
        """The first draw of a part's columns that meets its conditions."""
        for attempt in range(MOST_DRAWS):
            row: dict[str, JSON] = {}
            for name in part.names:
                row[name] = self._value(name, row, place, attempt)
            if all(condition.holds(row) for condition in part.conditions):
                return row
        raise _unmet(part, f"no draw of {MOST_DRAWS:,} meets")

    def _joined(self, conditions: Iterable[Condition]) -> list[_Part]:
        """The parts; conditions that share a column, or what one depends on, are in one."""
        parts: list[tuple[set[str], list[Condition]]] = []
        for condition in conditions:
            names, joined = self._behind(condition.expression.names), [condition]
            for part in [part for part in parts if part[0] & names]:
                parts.remove(part)
                names, joined = names | part[0], part[1] + joined
            parts.append((names, joined))
        return [_Part(self._sorted(names), tuple(joined)) for names, joined in parts]

    def _behind(self, names: Iterable[str]) -> set[str]:
        """The columns themselves and all that they depend on."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self._columns[name].reads()
        return found

    def _sorted(self, names: set[str]) -> tuple[str, ...]:
        return tuple(name for name in self._order if name in names)

    def _solutions(self, part: _Part) -> "_Solutions | None":
        rows = self._listed(part)
        if rows is None:
            return None
        if not rows:
            alone = [c for c in part.conditions if self._listed(_Part(part.names, (c,))) == []]
            raise _unmet(_Part(part.names, tuple(alone) or part.conditions), "no row meets")
        return _Solutions("+".join(part.names), rows)

    def _listed(self, part: _Part) -> list[tuple[dict[str, JSON], float]] | None:
        """All rows of a part that meet its conditions, with probabilities; None if too many."""
        search = _Search(self._columns, part)
        return search.found if search.extend({}, 1.0) else None


class _Solutions:
    """Rows to draw one from by its probability."""

    def __init__(self, name: str, rows: list[tuple[dict[str, JSON], float]]) -> None:
        self._name = name
        self._rows = [row for row, _ in rows]
        self._bounds = list(accumulate(probability for _, probability in rows))

    def at(self, share: Callable[[str, int], float], place: int) -> dict[str, JSON]:
        return self._rows[place_of(share(self._name, place), self._bounds)]


class _Search:
    """Depth-first over the columns of a part; a branch ends where a condition fails."""

    def __init__(self, columns: Mapping[str, Column], part: _Part) -> None:
        self.found: list[tuple[dict[str, JSON], float]] = []
        self._columns = columns
        self._names = part.names
        self._steps = 0
        self._conditions = part.conditions

    @cached_property
    def _due(self) -> list[list[Condition]]:
        """For each column the conditions that can be judged once it is there."""
        due: list[list[Condition]] = [[] for _ in self._names]
        for condition in self._conditions:
            places = [self._names.index(name) for name in condition.expression.names]
            due[max(places, default=0)].append(condition)
        return due

    def extend(self, row: dict[str, JSON], probability: float) -> bool:
        """Try all that `row` can become; false where there is too much of it."""
        depth = len(row)
        if depth == len(self._names):
            self.found.append((row, probability))
            return True
        name = self._names[depth]
        try:
            support = self._columns[name].support(row)
        except BadExpression as exc:
            raise _no_value(name, exc) from exc
        if support is None:
            return False
        for value, part in support:
            self._steps += 1
            if self._steps > MOST_STEPS:
                return False
            longer = {**row, name: value}
            met = all(condition.holds(longer) for condition in self._due[depth])
            if met and not self.extend(longer, probability * part):
                return False
        return True


def _ordered(columns: Mapping[str, Column]) -> list[str]:
    """The columns' names, each behind those it reads."""
    for name, column in columns.items():
        for read in sorted(column.reads() - columns.keys()):
            raise unknown("column", read, list(columns), key=f"columns.{name}")
        try:
            column.check(columns)
        except UsageError as exc:
            key = ".".join(filter(None, [f"columns.{name}", exc.key]))
            raise UsageError(exc.problem, fix=exc.fix, key=key) from exc
    try:
        reads = {name: sorted(column.reads()) for name, column in columns.items()}
        return list(TopologicalSorter(reads).static_order())
    except CycleError as exc:
        circle = list(reversed(exc.args[1]))
        problem = f"columns read each other in a circle: {' > '.join(circle)}"
        fix = "let one of them be drawn by itself"
        raise UsageError(problem, fix=fix, key=f"columns.{circle[0]}") from exc


def _condition(index: int, text: str, columns: Mapping[str, Column]) -> Condition:
    key = f"where.{index}"
    try:
        expression = Expression(text)
    except BadExpression as exc:
        fix = "write a comparison of columns, such as 'end > start'"
        raise UsageError(f"'{text}': {exc}", fix=fix, key=key) from exc
    for name in sorted(expression.names - columns.keys()):
        raise unknown("column", name, list(columns), key=key)
    return Condition(index, expression)


def _unmet(part: _Part, found: str) -> UsageError:
    texts = " and ".join(f"'{condition.expression.text}'" for condition in part.conditions)
    fix = f"loosen it, or let {', '.join(part.names)} have other values"
    return UsageError(f"{found} {texts}", fix=fix, key=f"where.{part.conditions[0].index}")


def _no_value(name: str, exc: BadExpression) -> UsageError:
    fix = "let the columns that it reads have other values, or exclude these by 'where'"
    return UsageError(str(exc), fix=fix, key=f"columns.{name}")
