"""`explode`: a column that holds a list becomes one row an item.

    - {kind: explode, field: questions, adds: question}

    {"topic": "tea", "questions": ["Why?", "When?"]}
    ->  {"topic": "tea", "questions": [...], "question": "Why?"}, {..., "question": "When?"}

All items are of one family. Without `adds` the item takes the list's place.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from pipelines.rows import Outcome, Rejection, Row
from pipelines.stages.base import STAGES, Context, Stage


@STAGES.register
class Explode(Stage):
    """One row for each item of a list, in the list's order; the first item's row keeps the id.

    Attributes:
        field: The column with the list; a row with another value there is rejected as `not_a_list`,
            one with an empty list as `empty_list`.
        adds: The column for the item.
    """

    kind: Literal["explode"] = "explode"
    field: Annotated[str, Field(min_length=1)]
    adds: str = ""

    def columns_needed(self) -> set[str]:
        """The column with the list."""
        return {self.field}

    def columns_added(self) -> set[str]:
        """The column for the item."""
        return {self.adds or self.field}

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Give out the items of each row."""
        for row in rows:
            yield from self._items(row)

    def _items(self, row: Row) -> Iterator[Outcome]:
        if self.field not in row.data:
            detail = {"column": self.field, "columns": sorted(row.data)}
            yield Rejection(row, "missing_column", detail)
            return
        items = row.data[self.field]
        if not isinstance(items, list | tuple):
            found = {"column": self.field, "found": type(items).__name__}
            yield Rejection(row, "not_a_list", found)
        elif not items:
            yield Rejection(row, "empty_list", {"column": self.field})
        else:
            for index, item in enumerate(items):
                event = {"stage": self.name, "parent": row.id, "item": index, "of": len(items)}
                yield row.child(self.name, index).with_data({self.adds or self.field: item}, event)
