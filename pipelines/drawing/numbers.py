"""Distributions of numbers, on a grid of decimals.

    {draw: uniform, min: 1, max: 6}                       every whole number as often
    {draw: uniform, min: 0, max: 1, decimals: 2}
    {draw: normal, mean: 40, sd: 12, min: 18, max: 90}    truncated, not clipped
    {draw: lognormal, median: 20, sigma: 0.5, min: 5, max: 200, decimals: 2}

Each row's share of the whole gives the quantile there.
"""

from math import exp, log
from statistics import NormalDist
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.drawing.base import DISTRIBUTIONS, Distribution
from pipelines.drawing.weights import Value

MOST_VALUES = 1000
"""Values above which a distribution counts as without end."""

_STANDARD = NormalDist()

Decimals = Annotated[int, Field(ge=0, le=9)]
Number = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]


class _Numbers(Distribution):
    """Numbers on a grid of `decimals` decimals; without decimals they are whole."""

    decimals: Decimals = 0
    min: Number | None = None
    max: Number | None = None

    def whole_bounds(self) -> tuple[int, int] | None:
        """`min` and `max`, without decimals."""
        if self.decimals or self.min is None or self.max is None:
            return None
        return self.step(self.min), self.step(self.max)

    def number(self, step: int) -> int | float:
        """The number that is so many steps of the grid."""
        return step if not self.decimals else round(step / 10**self.decimals, self.decimals)

    def step(self, number: float) -> int:
        """The nearest step of the grid."""
        return round(number * float(10**self.decimals))

    def check_bounds(self, least: float | None, most: float | None) -> None:
        """Raises ValueError where bounds lie beside the grid or no number lies between them."""
        for bound in (least, most):
            if bound is not None and self.number(self.step(bound)) != bound:
                raise ValueError(f"{bound:g} has more decimals than decimals: {self.decimals}")
        if least is not None and most is not None and least > most:
            raise ValueError(f"min {least:g} is above max {most:g}: nothing can be drawn")


@DISTRIBUTIONS.register
class UniformNumber(_Numbers):
    """Every number of the grid from `min` to `max`, both included, equally often."""

    draw: Literal["uniform"] = "uniform"
    min: Number
    max: Number

    @model_validator(mode="after")
    def _holds_a_number(self) -> "UniformNumber":
        self.check_bounds(self.min, self.max)
        return self

    def at(self, share: float, place: int) -> Value:
        """The number there."""
        return self.number(self.step(self.min) + int(share * self._count()))

    def support(self) -> list[tuple[Value, float]] | None:
        """The numbers of the grid."""
        count = self._count()
        first = self.step(self.min)
        if count > MOST_VALUES:
            return None
        return [(self.number(first + index), 1 / count) for index in range(count)]

    def _count(self) -> int:
        return self.step(self.max) - self.step(self.min) + 1


class _Truncated(_Numbers):
    """A distribution on which `min` and `max` cut off the tails; what is left is scaled to 1."""

    @model_validator(mode="after")
    def _holds_a_number(self) -> "_Truncated":
        self.check_bounds(self.min, self.max)
        low, high = self._ends
        if high - low < 1e-9:
            raise ValueError("there is nearly nothing of the distribution between min and max")
        return self

    def below(self, number: float) -> float:
        """The share of the whole distribution below a number."""
        raise NotImplementedError

    def quantile(self, share: float) -> float:
        """The number below which that share of the whole distribution lies."""
        raise NotImplementedError

    def at(self, share: float, place: int) -> Value:
        """The quantile of what is left, on the grid."""
        low, high = self._ends
        inside = min(max(low + share * (high - low), 1e-12), 1 - 1e-12)
        step = self.step(self.quantile(inside))
        return self.number(min(max(step, self._step(self.min, step)), self._step(self.max, step)))

    def support(self) -> list[tuple[Value, float]] | None:
        """The numbers of the grid, each with what rounds to it; None without both bounds."""
        if self.min is None or self.max is None:
            return None
        first, last = self.step(self.min), self.step(self.max)
        if last - first >= MOST_VALUES:
            return None
        low, high = self._ends
        edges = [(step + 0.5) / 10**self.decimals for step in range(first, last)]
        shares = [low, *map(self.below, edges), high]
        return [
            (self.number(first + i), (shares[i + 1] - shares[i]) / (high - low))
            for i in range(last - first + 1)
        ]

    def _step(self, bound: float | None, other: int) -> int:
        return other if bound is None else self.step(bound)

    @property
    def _ends(self) -> tuple[float, float]:
        low = 0.0 if self.min is None else self.below(self.min)
        high = 1.0 if self.max is None else self.below(self.max)
        if self.min is not None and self.min == self.max:
            return 0.0, 1.0  # a single number
        return low, high


@DISTRIBUTIONS.register
class NormalNumber(_Truncated):
    """A normal distribution between `min` and `max`.

    Attributes:
        mean: Of the distribution before it is truncated.
        sd: Its standard deviation.
    """

    draw: Literal["normal"] = "normal"
    mean: Number
    sd: Annotated[Number, Field(gt=0)]

    def below(self, number: float) -> float:
        """The distribution function."""
        return _STANDARD.cdf((number - self.mean) / self.sd)

    def quantile(self, share: float) -> float:
        """Its inverse."""
        return self.mean + self.sd * _STANDARD.inv_cdf(share)


@DISTRIBUTIONS.register
class LogNormalNumber(_Truncated):
    """A log-normal distribution between `min` and `max`.

    Attributes:
        median: Half of the numbers lie below it.
        sigma: Standard deviation of the numbers' logarithms; two thirds of the numbers lie between
            the median divided by and multiplied with e to the power of sigma.
    """

    draw: Literal["lognormal"] = "lognormal"
    median: Annotated[Number, Field(gt=0)]
    sigma: Annotated[Number, Field(gt=0, le=10)]

    def below(self, number: float) -> float:
        """The distribution function."""
        return _STANDARD.cdf(log(number / self.median) / self.sigma) if number > 0 else 0.0

    def quantile(self, share: float) -> float:
        """Its inverse."""
        return self.median * exp(self.sigma * _STANDARD.inv_cdf(share))
