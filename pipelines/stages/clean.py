"""`clean`: takes off what a chat model put around a text, and an unfinished end.

- {kind: clean, field: answer}
- {kind: clean, field: topic, ending: false}      # headings end without a full stop

'Sure! Here is the answer: "At nine." It al'  ->  'At nine.'
history: {"stage": "clean", "field": "answer", "changed": ["boilerplate", "quotes", "ending"]}
"""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.cleaning import Cleaning
from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.stages.base import STAGES, Map
from pipelines.stages.columns import read_text


@STAGES.register
class Clean(Map, Cleaning):
    """Clean one column of each row; see `pipelines.cleaning.Cleaning` for the switches.

    A row whose text is `empty` afterwards is rejected, or `unfinished` where only the cut at the
    last finished sentence emptied it. What was changed in the others is in their history.

    Attributes:
        field: The column.
    """

    kind: Literal["clean"] = "clean"
    field: Annotated[str, Field(min_length=1)]

    def columns_needed(self) -> set[str]:
        """The column that is cleaned."""
        return {self.field}

    def apply(self, row: Row) -> Outcome:
        """The row with its text cleaned, or rejected."""
        text = read_text(row, self.field)
        if isinstance(text, Fault):
            return Rejection(row, text.reason, text.detail)
        cleaned = self.clean(text)
        changed: list[JSON] = list(cleaned.changed)
        if not cleaned.text.strip():
            emptied = self.ending and self.model_copy(update={"ending": False}).clean(text).text
            return Rejection(row, "unfinished" if emptied else "empty", {"changed": changed})
        if not changed:
            return row
        event: dict[str, JSON] = {"stage": self.name, "field": self.field, "changed": changed}
        return row.with_data({self.field: cleaned.text}, event)
