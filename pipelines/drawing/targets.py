"""Targets of a length or a count: a number, or what one is drawn from for every reply.

target: 50
target: {draw: uniform, min: 20, max: 100}
target: {draw: lognormal, median: 60, sigma: 0.5, min: 20, max: 200}
target: {draw: choice, values: [20, 50, 100], weights: [1, 2, 1]}
"""

import hashlib
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializeAsAny

from pipelines.drawing import DISTRIBUTIONS, Distribution
from prompts.errors import UsageError

Count = Annotated[int, Field(ge=1)]


def _build(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    found = DISTRIBUTIONS.build(value, key="length.target")
    if (found.whole_bounds() or (0, 0))[0] < 1:
        problem = f"draw '{found.draw}' gives no whole numbers between a min from 1 on and a max"
        fix = "give both bounds and no decimals, or draw: choice with values such as [20, 50]"
        raise UsageError(problem, fix=fix, key="length.target")
    return found


AnyTarget = Annotated[Count | SerializeAsAny[Distribution], BeforeValidator(_build)]
"""A number, or what it is drawn from."""


def greatest(target: int | Distribution) -> int:
    """The greatest target there can be."""
    if isinstance(target, int):
        return target
    bounds = target.whole_bounds()
    assert bounds is not None  # it was checked when the target was read
    return bounds[1]


def drawn(target: int | Distribution, seed: int) -> int:
    """The target of the reply with that seed."""
    if isinstance(target, int):
        return target
    number = int.from_bytes(hashlib.sha256(f"target {seed}".encode()).digest()[:8], "big")
    return int(target.at((number >> 11) / 2.0**53, 0))
