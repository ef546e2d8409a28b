"""What `tune` may change and what it aims at, as its file says it.

rows: 16
objectives: [{maximize: accept_rate}, {minimize: tokens}]
constraints: [{measure: near_duplicates, max: 0.1}]
space:
  review.decoding.temperature: {low: 0.2, high: 1.4}     # a stage's name, then its key
  review.prompt: [review/write, review/write@short]
  review.examples: {choose: 2, draws: 6}                 # of the prompt's worked examples
  length.min: {low: 4, high: 10}                         # whole numbers

read_space(Path("tune.yaml"), {"trials": 10}).space["length.min"].points()   # [4, 5, 7, 8, 10]
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.lab.tuning_measures import check_measure
from pipelines.rows import JSON
from prompts.errors import UsageError
from prompts.registry import validate
from prompts.strict_yaml import read_yaml_file

Choice = dict[str, JSON]
"""A value for every key of the space."""

GRID_STEPS = 5
"""Points of a range without a step, in a grid."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Range(_Part):
    """Numbers from `low` to `high`, both included; whole ones where both bounds are.

    Attributes:
        low: The least.
        high: The greatest.
        step: Distance between two; left out, any number.
        log: Draw evenly on a logarithmic scale.
    """

    low: int | float
    high: int | float
    step: Annotated[float, Field(gt=0)] | None = None
    log: bool = False

    @model_validator(mode="after")
    def _holds_something(self) -> "Range":
        if self.low >= self.high:
            raise ValueError("low must be below high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a log range begins above 0 and has no step")
        return self

    @property
    def whole(self) -> bool:
        """Whether its values are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int) and self._steps_whole()

    def _steps_whole(self) -> bool:
        return self.step is None or float(self.step).is_integer()

    def points(self) -> list[int | float]:
        """The values that a grid tries."""
        if self.whole and self.step is None and self.high - self.low < GRID_STEPS:
            return list(range(int(self.low), int(self.high) + 1))
        step = self.step or (self.high - self.low) / (GRID_STEPS - 1)
        count = int((self.high - self.low) / step + 1e-9) + 1
        if self.log:
            ratio = (self.high / self.low) ** (1 / (GRID_STEPS - 1))
            values = [self.low * ratio**place for place in range(GRID_STEPS)]
        else:
            values = [self.low + place * step for place in range(count)]
        return list(dict.fromkeys(self.settled(value) for value in values))

    def settled(self, value: float) -> int | float:
        """A value as it goes into a job: whole, or with four digits, never out of bounds."""
        if self.whole:
            return round(value)
        return min(max(float(f"{value:.4g}"), float(self.low)), float(self.high))


class Subsets(_Part):
    """Draws of a prompt's worked examples.

    Attributes:
        choose: How many examples each draw has.
        draws: How many draws there are to choose between.
    """

    choose: Annotated[int, Field(ge=0)]
    draws: Annotated[int, Field(ge=1, le=200)] = 8


Values = Annotated[tuple[Any, ...], Field(min_length=1)]
Domain = Range | Subsets | Values


class Objective(_Part):
    """One thing to aim at: exactly one of the two names a measure."""

    maximize: str = ""
    minimize: str = ""

    @model_validator(mode="after")
    def _names_one(self) -> "Objective":
        if bool(self.maximize) == bool(self.minimize):
            raise ValueError("write {maximize: MEASURE} or {minimize: MEASURE}")
        check_measure(self.measure, "objectives")
        return self

    @property
    def measure(self) -> str:
        """The measure's name."""
        return self.maximize or self.minimize

    @property
    def sign(self) -> int:
        """1 where more is better, else -1."""
        return 1 if self.maximize else -1


class Constraint(_Part):
    """A bound that the winner must keep to."""

    measure: str
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _bounds_something(self) -> "Constraint":
        if self.min is None and self.max is None:
            raise ValueError("give a min or a max")
        check_measure(self.measure, "constraints")
        return self

    def excess(self, value: float | None) -> float:
        """How far beyond the bounds, 0 within them; 1 where there is no value."""
        if value is None:
            return 1.0
        over = 0.0 if self.max is None else value - self.max
        under = 0.0 if self.min is None else self.min - value
        return max(over, under, 0.0)


class Space(_Part):
    """What a study searches, and how.

    Attributes:
        space: Key of a stage (`STAGE.key`) or of the job -> what it may be. Left empty: temperature
            and top_p of every stage that samples.
        objectives: What is aimed at; with several, none is traded for another.
        constraints: Bounds that the winner keeps to.
        field: The column whose texts are measured; left out, the last one that a model wrote.
        method: `tpe`, `random` or `grid`.
        trials: How many choices are tried; a grid may have fewer.
        rows: Source rows of a trial.
        batches: Parts in which the rows are worked on; between them a trial may be given up.
        prune: When: `median` (below the middle of the finished trials at that point), `halving`
            (below the middle of all that came to that point) or `none`.
        holdout: Further rows on which winner and job are compared at the end; 0 for none.
        seed: Of the search.
    """

    space: dict[str, Domain] = {}
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1)] = (
        Objective(maximize="accept_rate"),
    )
    constraints: tuple[Constraint, ...] = ()
    field: str = ""
    method: Literal["tpe", "random", "grid"] = "tpe"
    trials: Annotated[int, Field(ge=1, le=10_000)] = 30
    rows: Annotated[int, Field(ge=1)] = 24
    batches: Annotated[int, Field(ge=1, le=100)] = 4
    prune: Literal["median", "halving", "none"] = "median"
    holdout: Annotated[int, Field(ge=0)] = 24
    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0


def read_space(path: Path | None, changes: Mapping[str, Any]) -> Space:
    """The space in a file, or the usual one; `changes` are those of the command line.

    Raises:
        UsageError: With file, line and key.
    """
    if path is None:
        return validate(Space, dict(changes))
    document = read_yaml_file(path)
    try:
        return validate(Space, {**document.mapping("a space"), **changes})
    except UsageError as exc:
        raise document.locate(exc) from exc
