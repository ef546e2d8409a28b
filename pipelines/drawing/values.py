"""Distributions of listed values, truth values, days and running numbers.

    {draw: choice, values: [20, 50, 100], weights: [1, 2, 1]}
    {draw: boolean, p: 0.3}
    {draw: date, from: "2026-01-01", to: "2026-12-31", weekdays: {sat: 0, sun: 0}}
    {draw: sequence, prefix: ORD-, digits: 5}             ORD-00001, ORD-00002, ...

Each row's share of the whole gives the value there; a running number is that of the row.
"""

from datetime import date, timedelta
from functools import cached_property
from itertools import accumulate
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, PlainValidator, field_validator, model_validator

from pipelines.drawing.base import DISTRIBUTIONS, Distribution
from pipelines.drawing.numbers import MOST_VALUES
from pipelines.drawing.weights import AsItIs, Value, check_values, place_of

_MOST_DAYS = 40_000
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _check_list(value: Any) -> Any:
    if isinstance(value, dict):
        raise ValueError("write a list of values, and their weights as another")
    return check_values(value)


@DISTRIBUTIONS.register
class Choice(Distribution):
    """One of some numbers or texts.

    Attributes:
        values: What is drawn.
        weights: How often each comes, in relation to the others; left out, all equally.
    """

    draw: Literal["choice"] = "choice"
    values: Annotated[tuple[Value, ...], PlainValidator(_check_list), AsItIs]
    weights: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = ()

    @model_validator(mode="after")
    def _every_value_has_a_weight(self) -> "Choice":
        if self.weights and len(self.weights) != len(self.values):
            counts = f"{len(self.weights)} weights for {len(self.values)} values"
            raise ValueError(f"{counts}: give one for each, or none")
        return self

    def at(self, share: float, place: int) -> Value:
        """The value there, in the order given."""
        return self.values[place_of(share, self._bounds)]

    def support(self) -> list[tuple[Value, float]] | None:
        """The values."""
        weights = self.weights or (1.0,) * len(self.values)
        return [(v, w / self._bounds[-1]) for v, w in zip(self.values, weights, strict=True)]

    def whole_bounds(self) -> tuple[int, int] | None:
        """The least and the greatest, where all are whole numbers."""
        whole = [value for value in self.values if type(value) is int]
        return (min(whole), max(whole)) if len(whole) == len(self.values) else None

    @cached_property
    def _bounds(self) -> list[float]:
        return list(accumulate(self.weights or [1.0] * len(self.values)))


@DISTRIBUTIONS.register
class TruthValue(Distribution):
    """True with probability `p`."""

    draw: Literal["boolean"] = "boolean"
    p: Annotated[float, Field(ge=0, le=1)] = 0.5

    def at(self, share: float, place: int) -> Value:
        """Whether the share lies below `p`."""
        return share < self.p

    def support(self) -> list[tuple[Value, float]] | None:
        """Those of true and false that come."""
        return [(value, p) for value, p in ((True, self.p), (False, 1 - self.p)) if p > 0]


@DISTRIBUTIONS.register
class Day(Distribution):
    """A day, as ISO 8601 text.

    Attributes:
        first: The first day; `from` in a job.
        last: The last; `to` in a job.
        weekdays: `mon` to `sun` -> how often that day of the week comes, in relation to 1 of the
            others; 0 for never.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    draw: Literal["date"] = "date"
    first: Annotated[str, Field(alias="from")]
    last: Annotated[str, Field(alias="to")]
    weekdays: dict[
        Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        Annotated[float, Field(ge=0, le=1e6)],
    ] = {}

    @field_validator("first", "last")
    @classmethod
    def _is_a_day(cls, value: str) -> str:
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError as exc:
            raise ValueError('write a day as "2026-01-31", in quotes') from exc

    @model_validator(mode="after")
    def _holds_a_day(self) -> "Day":
        days = self._days
        if not 1 <= days <= _MOST_DAYS:
            raise ValueError(f"from {self.first} to {self.last} are {days} days; 1 to {_MOST_DAYS}")
        if not sum(self._weights):
            raise ValueError("no day of a week that is wanted lies between from and to")
        return self

    def at(self, share: float, place: int) -> Value:
        """The day there."""
        return self._day(place_of(share, self._bounds))

    def support(self) -> list[tuple[Value, float]] | None:
        """The days that come."""
        if self._days > MOST_VALUES:
            return None
        whole = self._bounds[-1]
        return [(self._day(i), w / whole) for i, w in enumerate(self._weights) if w]

    def _day(self, index: int) -> str:
        return (date.fromisoformat(self.first) + timedelta(days=index)).isoformat()

    @property
    def _days(self) -> int:
        return (date.fromisoformat(self.last) - date.fromisoformat(self.first)).days + 1

    @cached_property
    def _weights(self) -> list[float]:
        begin = date.fromisoformat(self.first).weekday()
        week = [self.weekdays.get(name, 1.0) for name in _WEEKDAYS]  # type: ignore[call-overload]
        return [week[(begin + index) % 7] for index in range(self._days)]

    @cached_property
    def _bounds(self) -> list[float]:
        return list(accumulate(self._weights))


@DISTRIBUTIONS.register
class RunningNumber(Distribution):
    """The row's number: `start`, `start` + `step`, and so on.

    Attributes:
        start: The first.
        step: From one to the next.
        prefix: Stands before it; the value is then text.
        digits: It has at least so many, with zeros in front; the value is then text.
    """

    draw: Literal["sequence"] = "sequence"
    start: Annotated[int, Field(ge=0, le=10**12)] = 1
    step: Annotated[int, Field(ge=1, le=10**6)] = 1
    prefix: str = ""
    digits: Annotated[int, Field(ge=0, le=18)] = 0

    def at(self, share: float, place: int) -> Value:
        """The number of the row, whatever the share."""
        number = self.start + self.step * place
        if self.prefix or self.digits:
            return (
                f"{self.prefix}{number:0{self.digits}d}"
                if self.digits
                else f"{self.prefix}{number}"
            )
        return number
