"""`similarity`: how near two columns are in meaning, as a number and as a bound.

    - {kind: similarity, field: answer, against: question, min: 0.3, max: 0.95, adds: score}

    {"question": "When does it open?", "answer": "It opens at nine."}   ->   "score": 0.6127

The cosine of the embeddings of both texts, as the job's embedder makes them. A text longer than the
embedder's window is compared by its beginning.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipelines.rows import JSON, Fault, Rejection, Row
from pipelines.stages.base import STAGES, Context, Embed, ModelStage, Work
from pipelines.stages.columns import read_text
from pipelines.stages.searching import cosine
from prompts.errors import UsageError


@STAGES.register
class Similarity(ModelStage):
    """Measure how near two texts of a row are, and reject rows outside two bounds.

    Attributes:
        field: The column with one text.
        against: The column with the other.
        min: The least cosine, -1 to 1.
        max: The largest.
        adds: A column for the cosine, to four places.
    """

    kind: Literal["similarity"] = "similarity"
    field: Annotated[str, Field(min_length=1)]
    against: Annotated[str, Field(min_length=1)]
    min: Annotated[float, Field(ge=-1, le=1)] = -1.0
    max: Annotated[float, Field(ge=-1, le=1)] = 1.0
    adds: str = ""

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.min > self.max:
            problem = f"{self.min} is above max {self.max}"
            raise UsageError(problem, fix="swap them", key="min")
        if not self.adds and (self.min, self.max) == (-1.0, 1.0):
            fix = "give a bound, or a column that takes the number"
            raise UsageError("without 'min', 'max' or 'adds' it does nothing", fix=fix, key="min")
        return self

    def columns_needed(self) -> set[str]:
        """Both texts."""
        return {self.field, self.against}

    def columns_added(self) -> set[str]:
        """The cosine, where it is wanted."""
        return {self.adds} if self.adds else set()

    def uses_embedder(self) -> bool:
        """It does."""
        return True

    def work(self, row: Row, context: Context) -> Work:
        """The row with its cosine, or its rejection as `not_similar` or `too_similar`."""
        texts = read_text(row, self.field), read_text(row, self.against)
        for text in texts:
            if isinstance(text, Fault):
                return [Rejection(row, text.reason, text.detail)]
        found = cosine(*(yield Embed(texts)))  # type: ignore[arg-type]
        if not self.min <= found <= self.max:
            reason = "not_similar" if found < self.min else "too_similar"
            return [Rejection(row, reason, {"similarity": found})]
        added: dict[str, JSON] = {self.adds: found} if self.adds else {}
        return [row.with_data(added, {"stage": self.name, "similarity": found})]
