"""`length`: keeps rows whose text is neither too short nor too long.

- {kind: length, field: answer, unit: sentences, max: 3}
- {kind: length, field: text, unit: tokens, max: 512, model: writer}

rejected: {"reason": "too_long", "detail": {"unit": "sentences", "length": 5, "min": 0, "max": 3}}
"""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipelines.length import Window
from pipelines.rows import Fault, Outcome, Rejection, Row
from pipelines.stages.base import STAGES, Context, JobView, Stage
from pipelines.stages.columns import read_text
from pipelines.stages.counting import count_tokens


@STAGES.register
class LengthFilter(Stage, Window):
    """Keep the rows whose column fits the window.

    Attributes:
        field: The column.
        model: For the unit tokens: whose tokenizer counts. The model itself is not loaded.
    """

    kind: Literal["length"] = "length"
    field: Annotated[str, Field(min_length=1)]
    model: str = ""

    @model_validator(mode="after")
    def _tokens_need_a_model(self) -> "LengthFilter":
        if (self.unit == "tokens") != bool(self.model):
            raise ValueError("name the model whose tokens are counted with the unit tokens only")
        return self

    def columns_needed(self) -> set[str]:
        """The column that is measured."""
        return {self.field}

    def check(self, job: JobView) -> None:
        """The model whose tokens are counted exists."""
        if self.model:
            job.model(self.model, key="model")

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Keep the rows that fit; reject the others as `too_short` or `too_long`."""
        count = partial(count_tokens, context, self.model) if self.unit == "tokens" else None
        for row in rows:
            text = read_text(row, self.field)
            fault = text if isinstance(text, Fault) else self.fault(text, count)
            yield row if fault is None else Rejection(row, fault.reason, fault.detail)
