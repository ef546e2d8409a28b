"""`topics`: rows made of a topic and a drawn combination of attributes, to prompt from.

    - {kind: topics, topics: [phones, cafés], balance: [label],
       attributes: {label: [positive, negative], length: {short: 3, long: 1}}}

    {"topic": "cafés", "label": "negative", "length": "short"}

Row i is a function of the job's seed and of i. Without `count` the source never ends, and the job's
`rows` end the run. Attributes that are drawn so and told to the model in the prompt keep a dataset
from being all about the same (AttrPrompt, Yu et al. 2023).
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import count, product
from math import gcd
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, model_validator

from chains.loading.base import Unreadable
from chains.loading.encodings import decode
from pipelines.drawing.weights import (
    AsItIs,
    Value,
    Values,
    Weighted,
    check_values,
    share_for,
)
from pipelines.rows import JSON, digest, seed_for
from pipelines.sources.base import SOURCES, Seed, Source, SourceView
from pipelines.sources.files import read_file
from prompts.errors import SourceError

_MOST_BYTES = 16_000_000  # of a file of topics
_LONGEST_TURN = 10_000  # rows


def _check_topics(value: Any) -> tuple[Value, ...] | dict[str, float] | str:
    return value if isinstance(value, str) and value else check_values(value)


Topics = Annotated[
    tuple[Value, ...] | dict[str, float] | str, PlainValidator(_check_topics), AsItIs
]


@SOURCES.register
class TopicRows(Source):
    """One drawn combination a row.

    Attributes:
        topics: A list, a mapping from topics to weights, or the path of a text file with one topic
            a line.
        attributes: For each further column its values, as a list or with weights.
        count: Rows; left out, there is no end.
        balance: Columns (`topic` among them) that take their values in turns instead of by chance:
            at any row, each has come as often as its weight says, but for the turn under way.
            Every turn has an order of its own, so that two balanced columns do not go in step.
    """

    kind: Literal["topics"] = "topics"
    topics: Topics
    attributes: dict[Annotated[str, Field(min_length=1)], Values] = {}
    count: Annotated[int, Field(ge=1)] | None = None
    balance: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _parts_fit(self) -> "TopicRows":
        if "topic" in self.attributes:
            raise ValueError("an attribute cannot be called 'topic'; that column is there already")
        known = ["topic", *self.attributes]
        stray = [name for name in self.balance if name not in known]
        if stray:
            raise ValueError(f"balance names '{stray[0]}'; there are: {', '.join(known)}")
        if self.shuffle and self.count is None:
            raise ValueError("a source without end cannot be shuffled; give a count")
        for name in self.balance:
            values = self.topics if name == "topic" else self.attributes[name]
            if not isinstance(values, str):
                _turn(name, values)
        return self

    def endless(self) -> bool:
        """Whether there is no `count`."""
        return self.count is None

    def drawn(self) -> bool:
        """True: its rows are made up."""
        return True

    def combinations(self, names: Sequence[str]) -> list[tuple[JSON, ...]] | None:
        """The values that columns of these names can have together; of topics in a file, none."""
        known = {"topic": self.topics, **self.attributes}
        values = [known.get(name, "") for name in names]
        if not names or any(isinstance(column, str) for column in values):
            return None
        return list(product(*values))

    def columns(self, view: SourceView) -> set[str]:
        """`topic` and the attributes."""
        self._choosers(view)
        return {"topic", *self.attributes}

    def read(self, view: SourceView) -> Iterator[Seed]:
        """Row after row, named by its number from 0."""
        choosers = self._choosers(view)
        for place in count() if self.count is None else range(self.count):
            data = {name: chooser.choose(place) for name, chooser in choosers.items()}
            yield Seed(data, str(place))

    def fingerprint(self, view: SourceView) -> str:
        """Changes with the topics, the attributes and the job's seed."""
        settings = self.model_dump(mode="json", exclude={"topics"})
        return digest(settings, self._topics(view), view.seed)

    def _topics(self, view: SourceView) -> tuple[Value, ...] | dict[str, float]:
        if not isinstance(self.topics, str):
            return self.topics
        try:
            text = decode(read_file(view.path(self.topics), most=_MOST_BYTES))
        except Unreadable as bad:
            problem = f"'{self.topics}' cannot be read: {bad}"
            raise SourceError(problem, fix="give a text file", key="topics") from bad
        except SourceError as exc:
            fix = "give a list of topics, or a text file with one a line"
            raise SourceError(exc.problem, fix=fix, key="topics") from exc
        lines = (line.strip() for line in text.split("\n"))
        topics = tuple(dict.fromkeys(line for line in lines if line))
        if not topics:
            problem = f"'{self.topics}' holds no topics"
            raise SourceError(problem, fix="write one topic a line", key="topics")
        return topics

    def _choosers(self, view: SourceView) -> dict[str, "_Drawn | _InTurns"]:
        columns = {"topic": self._topics(view), **self.attributes}
        return {
            name: (_InTurns if name in self.balance else _Drawn)(name, values, view.seed)
            for name, values in columns.items()
        }


class _Drawn:
    """Independent draws in proportion to the weights."""

    def __init__(self, name: str, values: tuple[Value, ...] | dict[str, float], seed: int) -> None:
        self._name = name
        self._seed = seed
        self._values = Weighted(values)

    def choose(self, place: int) -> Value:
        """The value of row `place`."""
        return self._values.at(share_for(self._seed, "topics", self._name, place))


class _InTurns:
    """All values once a turn, or as often as their weights say, in an order of each turn's own."""

    def __init__(self, name: str, values: tuple[Value, ...] | dict[str, float], seed: int) -> None:
        self._name = name
        self._seed = seed
        self._turn = _turn(name, values)
        self._order = lru_cache(maxsize=1)(self._drawn_order)

    def choose(self, place: int) -> Value:
        """The value of row `place`."""
        number, within = divmod(place, len(self._turn))
        return self._turn[self._order(number)[within]]

    def _drawn_order(self, number: int) -> list[int]:
        name = f"{self._name}/{number}"
        keys = [seed_for(self._seed, "source:topics", name, i) for i in range(len(self._turn))]
        return sorted(range(len(keys)), key=lambda i: (keys[i], i))


def _turn(name: str, values: tuple[Value, ...] | dict[str, float]) -> list[Value]:
    if not isinstance(values, dict):
        return list(values)
    if any(weight != int(weight) for weight in values.values()):
        raise ValueError(f"'{name}' is balanced: give its weights as whole numbers")
    shared = gcd(*(int(weight) for weight in values.values()))
    times = {value: int(weight) // shared for value, weight in values.items()}
    if sum(times.values()) > _LONGEST_TURN:
        raise ValueError(f"'{name}' would take {sum(times.values())} rows a turn; use less weight")
    return [value for value, number in times.items() for _ in range(number)]
