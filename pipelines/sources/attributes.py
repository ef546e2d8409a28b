"""`attributes`: rows whose columns are drawn, depend on each other, and meet conditions.

    - kind: attributes
      columns:
        country: {France: 2, Japan: 1}
        city: {given: {country: {France: [Paris, Lyon], Japan: [Tokyo, Osaka]}}}
        age: {draw: normal, mean: 40, sd: 15, min: 6, max: 90}
        role: [pupil, teacher]
        title: {text: "{{ role }} in {{ city }}"}
      where: ["age >= 25 or role == 'pupil'"]

    {"country": "Japan", "city": "Osaka", "age": 43, "role": "teacher", "title": "teacher in Osaka"}

Row i is a function of the job's seed and of i, and a further column that no condition names changes
no other. Told to a model in the prompt, such draws keep a dataset from being all about the same
(AttrPrompt, Yu et al. 2023).
"""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from pipelines.rows import JSON, digest
from pipelines.sources.base import SOURCES, Seed, Source, SourceView
from pipelines.sources.drawn import Column, build_columns
from pipelines.sources.sampling import Sampler


@SOURCES.register
class AttributeRows(Source):
    """One drawn combination a row.

    Attributes:
        columns: Name -> values, weights, a distribution, or what it follows from; see
            `pipelines.sources.drawn`.
        where: Expressions that every row has to meet; they leave the distribution that the columns
            have where these hold.
        count: Rows; left out, there is no end.
    """

    kind: Literal["attributes"] = "attributes"
    columns_: Annotated[dict[str, SerializeAsAny[Column]], Field(alias="columns")]
    where: tuple[str, ...] = ()
    count: Annotated[int, Field(ge=1)] | None = None

    model_config = {"frozen": True, "extra": "forbid", "serialize_by_alias": True}

    @field_validator("columns_", mode="before")
    @classmethod
    def _build_columns(cls, value: Any) -> Any:
        return build_columns(value, key="columns")

    @model_validator(mode="after")
    def _has_an_end_to_shuffle(self) -> "AttributeRows":
        if self.shuffle and self.count is None:
            raise ValueError("a source without end cannot be shuffled; give a count")
        return self

    def endless(self) -> bool:
        """Whether there is no `count`."""
        return self.count is None

    def drawn(self) -> bool:
        """True: its rows are made up."""
        return True

    def columns(self, view: SourceView) -> set[str]:
        """The names of the columns.

        Raises:
            UsageError: They or the conditions do not fit together, or no row meets these.
        """
        self._sampler(view.seed).check()
        return set(self.columns_)

    def combinations(self, names: Sequence[str]) -> list[tuple[JSON, ...]] | None:
        """The values that columns of these names can have together."""
        known = names and set(names) <= self.columns_.keys()
        return self._sampler(0).combinations(names) if known else None

    def read(self, view: SourceView) -> Iterator[Seed]:
        """Row after row, named by its number from 0."""
        sampler = self._sampler(view.seed)
        for place in count() if self.count is None else range(self.count):
            yield Seed(sampler.draw(place), str(place))

    def fingerprint(self, view: SourceView) -> str:
        """Changes with the settings and the job's seed."""
        return digest(self.model_dump(mode="json"), view.seed)

    def _sampler(self, seed: int) -> Sampler:
        return Sampler(self.columns_, self.where, seed)
