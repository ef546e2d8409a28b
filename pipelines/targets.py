"""Distributions that a length's target is drawn from, a value for every reply.

    target: {draw: uniform, min: 20, max: 100}
    target: {draw: normal, mean: 60, sd: 15, min: 20, max: 120}
    target: {draw: choice, values: [20, 50, 100], weights: [1, 2, 1]}

A draw takes a share of the whole, 0 to 1, to the quantile there, so that one number from the
reply's seed decides it.
"""

import hashlib
from itertools import accumulate
from statistics import NormalDist
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, model_validator

from prompts.registry import Registry

Count = Annotated[int, Field(ge=1)]


class Distribution(BaseModel):
    """What targets are drawn from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    draw: str

    def quantile(self, share: float) -> int:
        """The target below which that share of all lies; `share` from 0 to 1, 1 excluded."""
        raise NotImplementedError

    def most(self) -> int:
        """The greatest target there can be."""
        raise NotImplementedError


TARGETS: Registry[Distribution] = Registry("distribution of targets", tag="draw")


@TARGETS.register
class Uniform(Distribution):
    """Every whole number from `min` to `max`, both included, equally often."""

    draw: Literal["uniform"] = "uniform"
    min: Count
    max: Count

    @model_validator(mode="after")
    def _holds_a_number(self) -> "Uniform":
        _check_order(self.min, self.max)
        return self

    def quantile(self, share: float) -> int:
        """The whole number there."""
        return self.min + int(share * (self.max - self.min + 1))

    def most(self) -> int:
        """`max`."""
        return self.max


@TARGETS.register
class Normal(Distribution):
    """A normal distribution, rounded; what lies outside `min` to `max` becomes the nearer one.

    Attributes:
        mean: Of the distribution before it is clipped.
        sd: Its standard deviation.
        min: The least target.
        max: The greatest.
    """

    draw: Literal["normal"] = "normal"
    mean: Annotated[float, Field(gt=0)]
    sd: Annotated[float, Field(gt=0)]
    min: Count
    max: Count

    @model_validator(mode="after")
    def _holds_a_number(self) -> "Normal":
        _check_order(self.min, self.max)
        return self

    def quantile(self, share: float) -> int:
        """The clipped quantile."""
        found = NormalDist(self.mean, self.sd).inv_cdf(max(share, 1e-12))
        return min(max(round(found), self.min), self.max)

    def most(self) -> int:
        """`max`."""
        return self.max


@TARGETS.register
class Choice(Distribution):
    """One of some values.

    Attributes:
        values: The targets.
        weights: How often each is drawn, in relation to the others; left out, all equally.
    """

    draw: Literal["choice"] = "choice"
    values: Annotated[tuple[Count, ...], Field(min_length=1)]
    weights: tuple[Annotated[float, Field(gt=0)], ...] = ()

    @model_validator(mode="after")
    def _every_value_has_a_weight(self) -> "Choice":
        if self.weights and len(self.weights) != len(self.values):
            counts = f"{len(self.weights)} weights for {len(self.values)} values"
            raise ValueError(f"{counts}: give one for each, or none")
        return self

    def quantile(self, share: float) -> int:
        """The value there, in the order given."""
        sums = [*accumulate(self.weights or [1.0] * len(self.values))]
        place = next((i for i, upto in enumerate(sums) if share * sums[-1] < upto), -1)
        return self.values[place]

    def most(self) -> int:
        """The greatest value."""
        return max(self.values)


def _check_order(least: int, most: int) -> None:
    if least > most:
        raise ValueError(f"min {least} is above max {most}: nothing can be drawn")


def _build(value: Any) -> Any:
    return TARGETS.build(value, key="length.target") if isinstance(value, dict) else value


AnyTarget = Annotated[Count | SerializeAsAny[Distribution], BeforeValidator(_build)]
"""A number, or what it is drawn from."""


def drawn(target: int | Distribution, seed: int) -> int:
    """The target of the reply with that seed."""
    if isinstance(target, int):
        return target
    number = int.from_bytes(hashlib.sha256(f"target {seed}".encode()).digest()[:8], "big")
    return target.quantile((number >> 11) / 2.0**53)
