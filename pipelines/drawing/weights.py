"""Values to draw from: a list of equally likely ones, or a mapping from values to weights.

Weighted({"short": 3, "long": 1}).at(0.8)        # "long": the first three quarters are "short"

Shared by the sources that draw, `topics` and `attributes`.
"""

from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate
from math import isfinite
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator

from pipelines.rows import SEED_BITS, seed_for

Value = bool | int | float | str


def check_values(value: Any) -> tuple[Value, ...] | dict[str, float]:
    """`value` as a tuple of different values, or as weights by value.

    Raises:
        ValueError: It is neither, or empty.
    """
    if isinstance(value, Mapping):
        weights = dict(value)
        for name, weight in weights.items():
            if not isinstance(name, str):
                raise ValueError(f"write {name!r} in quotes")
            if isinstance(weight, bool) or not isinstance(weight, int | float):
                raise ValueError(f"the weight of '{name}' is a number, found {weight!r}")
            if not (isfinite(weight) and weight > 0):
                raise ValueError(f"the weight of '{name}' is above 0, found {weight!r}")
        found: tuple[Value, ...] | dict[str, float] = weights
    elif isinstance(value, list | tuple) and all(isinstance(item, Value) for item in value):
        if len({(type(item), item) for item in value}) < len(value):  # 1 and true are two values
            raise ValueError("a value stands twice; give weights instead, such as {short: 2}")
        found = tuple(value)
    else:
        raise ValueError("write a list of values, or a mapping from values to weights")
    if not found:
        raise ValueError("give at least one value")
    return found


# PlainValidator's own serializer warns of every tuple that it writes as a JSON list.
AsItIs = PlainSerializer(lambda value: value, return_type=Any)
Values = Annotated[tuple[Value, ...] | dict[str, float], PlainValidator(check_values), AsItIs]


class Weighted:
    """Values with their bounds on a scale from 0 to the sum of the weights."""

    def __init__(self, values: tuple[Value, ...] | dict[str, float]) -> None:
        self.values: tuple[Value, ...] = tuple(values)
        self.weights = tuple(values.values() if isinstance(values, dict) else [1] * len(values))
        self._bounds = list(accumulate(self.weights))

    def at(self, share: float) -> Value:
        """The value there; `share` from 0 to 1, 1 excluded."""
        return self.values[place_of(share, self._bounds)]


def place_of(share: float, bounds: list[float]) -> int:
    """Which of the stretches that end at the rising `bounds` a share of the last one falls into."""
    return bisect_right(bounds, share * bounds[-1], hi=len(bounds) - 1)


def share_for(seed: int, source: str, column: str, place: int, attempt: int = 0) -> float:
    """A number from 0 to 1, 1 excluded: a hash of the job's seed and of where it is drawn."""
    return seed_for(seed, f"source:{source}", column, place, attempt) / float(2**SEED_BITS)
