"""Which records a source takes: `where: {label: positive, year: [2020, 2021], stars: {min: 3}}`.

    check = matcher({"label": "positive", "stars": Bounds(min=3)})
    check({"label": "positive", "stars": 4})       # True

Columns are those of the source, before `columns` renames them. A value, or one of a list, is to be
equal; bounds are on numbers or, with `_length`, on the characters of a text or items of a list.
Where cells are text, as in CSV, `2020` and `true` match what is written so.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from chains.loading.base import Unreadable
from pipelines.sources.values import plain
from prompts.errors import SourceError

Scalar = bool | int | float | str | None


class Bounds(BaseModel):
    """Least and most, both included.

    Attributes:
        min: The least number.
        max: The greatest.
        min_length: The fewest characters of a text, or items of a list.
        max_length: The most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min: float | None = None
    max: float | None = None
    min_length: Annotated[int, Field(ge=0)] | None = None
    max_length: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _bound_something(self) -> "Bounds":
        bounds = (self.min, self.max, self.min_length, self.max_length)
        if all(bound is None for bound in bounds):
            raise ValueError("give min, max, min_length or max_length")
        return self

    def hold(self, value: Any) -> bool:
        """Whether `value` is within all of them."""
        if self.min is not None or self.max is not None:
            number = _number(value)
            if number is None or not _between(number, self.min, self.max):
                return False
        if self.min_length is not None or self.max_length is not None:
            if not isinstance(value, str | list):
                return False
            return _between(len(value), self.min_length, self.max_length)
        return True


Condition = Scalar | tuple[Scalar, ...] | Bounds
Where = dict[str, Condition]


def matcher(where: Where) -> Callable[[Mapping[str, Any]], bool]:
    """A function that tells whether a record is taken.

    It raises Unreadable: `missing_column`; `not_json` for a value that JSON has no form for.
    """

    def check(record: Mapping[str, Any]) -> bool:
        for name, condition in where.items():
            if name not in record:
                listing = ", ".join(map(str, record)) or "none"
                detail = f"no column '{name}', which 'where' asks for; there are: {listing}"
                raise Unreadable("missing_column", detail)
            if not _holds(condition, plain(record[name])):
                return False
        return True

    return check


def check_where(where: Where, known: Sequence[str], place: str) -> None:
    """Check that the columns of `where` are there.

    Raises:
        SourceError: One is not among `known`.
    """
    for name in where:
        if name not in known:
            fix = f"its columns: {', '.join(known)}"
            raise SourceError(f"no column '{name}' in '{place}'", fix=fix, key="where")


def _holds(condition: Condition, value: Any) -> bool:
    if isinstance(condition, Bounds):
        return condition.hold(value)
    if isinstance(condition, tuple):
        return any(_equal(value, wanted) for wanted in condition)
    return _equal(value, condition)


def _equal(value: Any, wanted: Scalar) -> bool:
    if isinstance(value, str) and not isinstance(wanted, str):
        return wanted is not None and value.lower() == str(wanted).lower()
    if isinstance(value, bool) != isinstance(wanted, bool):
        return False  # to Python, True is 1
    return bool(value == wanted)


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _between(value: float, least: float | None, most: float | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)
