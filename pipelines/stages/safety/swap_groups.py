"""`swap_groups`: adds counterfactual variants, in which another group stands in the text.

    - {kind: swap_groups, field: text}                          # women and men exchanged
    - {kind: swap_groups, field: text, groups: [gender, nationality], variants: 2}

    {"text": "He sold his car to an American."}
    ->  the same row, "She sold her car to an American.", "He sold his car to a German.", ...

The other columns, a label among them, stay: that a text means the same of another group is what a
model is to learn from such pairs. English; names are not touched, and sense is not checked.
"""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.stages.base import STAGES, Context, Stage
from pipelines.stages.columns import read_text
from pipelines.stages.safety.group_terms import forms, mentions
from pipelines.stages.safety.stand_ins import drawing
from pipelines.stages.safety.swapping import swap_forms, swap_gender
from prompts.errors import unknown

_SWAPPED = ("gender", "religion", "nationality", "age", "orientation")


@STAGES.register
class SwapGroups(Stage):
    """The row itself, and variants in which another group takes the place of one that it names.

    Attributes:
        field: The column with the text.
        groups: The categories that are swapped, each by itself.
        variants: The most variants of a category; gender has one. Which groups come in is drawn.
    """

    kind: Literal["swap_groups"] = "swap_groups"
    field: Annotated[str, Field(min_length=1)]
    groups: Annotated[tuple[str, ...], Field(min_length=1)] = ("gender",)
    variants: Annotated[int, Field(ge=1, le=20)] = 1

    @model_validator(mode="after")
    def _groups_are_known(self) -> Self:
        for index, group in enumerate(self.groups):
            if group not in _SWAPPED:
                raise unknown("category", group, list(_SWAPPED), key=f"groups.{index}")
        return self

    def columns_needed(self) -> set[str]:
        """The column with the text."""
        return {self.field}

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Give out each row and its variants."""
        for row in rows:
            text = read_text(row, self.field)
            if isinstance(text, Fault):
                yield Rejection(row, text.reason, text.detail)
                continue
            yield row.child(self.name, 0)
            seen = {text}
            for category, before, after, changed in self._swaps(row, text, context):
                if changed in seen:
                    continue
                seen.add(changed)
                event: dict[str, JSON] = {
                    "stage": self.name,
                    "operation": "swap_groups",
                    "parent": row.id,
                    "category": category,
                    "from": before,
                    "to": after,
                }
                variant = row.child(self.name, len(seen) - 1)
                yield variant.with_data({self.field: changed}, event)

    def _swaps(self, row: Row, text: str, context: Context) -> Iterator[tuple[str, str, str, str]]:
        """Category, group, other group and text of each variant."""
        named = mentions(text)
        for category in self.groups:
            if category == "gender":
                yield category, "female, male", "male, female", swap_gender(text)
                continue
            known = list(forms(category))
            draw = drawing(str(context.seed(row)), category)
            for group in sorted(named.get(category, set()) & set(known)):
                others = [other for other in known if other not in named[category]]
                for _ in range(min(self.variants, len(others))):
                    other = others.pop(draw(len(others)))
                    yield category, group, other, swap_forms(text, category, group, other)
