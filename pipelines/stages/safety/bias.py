"""`bias`: counts which groups of people the accepted rows name, and with which labels.

    - {kind: bias, fields: [review], label: sentiment}
    - {kind: bias, terms: {profession: {nurse: [nurse, nurses], engineer: [engineer, engineers]}}}

Every row passes. The counts and the gaps between groups stand in the run's manifest and in the
dataset's card.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from pipelines.rows import JSON, Outcome, Row
from pipelines.stages.base import STAGES, Context, Stage
from pipelines.stages.safety.bias_report import bias_report, text_of
from pipelines.stages.safety.group_terms import mentions


@STAGES.register
class Bias(Stage):
    """Lets every row through and reports on all of them at the end.

    Attributes:
        fields: The columns with text; left out, all but the label.
        label: The column with the label; left out, groups are counted without labels.
        terms: Category -> group -> words, besides the shipped English ones.
        adds: A column for the groups that a row names, by category; left out, none is added.
    """

    kind: Literal["bias"] = "bias"
    fields: tuple[str, ...] = ()
    label: str = ""
    terms: Mapping[str, Mapping[str, tuple[str, ...]]] = {}
    adds: str = ""

    def columns_needed(self) -> set[str]:
        """The columns that are looked at, as far as they are named."""
        return {*self.fields, *([self.label] if self.label else [])}

    def columns_added(self) -> set[str]:
        """The column of groups."""
        return {self.adds} if self.adds else set()

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Every row, with its groups where they are asked for."""
        for row in rows:
            yield row.with_data({self.adds: self._groups(row)}) if self.adds else row

    def report(self, rows: Iterable[Row], wanted: int | None) -> dict[str, JSON]:
        """The counts of all accepted rows."""
        return bias_report(
            rows, self.fields, label=self.label, terms=self.terms, ignore=(self.adds,)
        )

    def _groups(self, row: Row) -> dict[str, JSON]:
        text = text_of(row, self.fields, ignore=(self.label,))
        named = mentions(text, self.terms)
        return {category: sorted(named[category]) for category in sorted(named)}
