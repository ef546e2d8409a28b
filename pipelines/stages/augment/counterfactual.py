"""`counterfactual`: the smallest edit that gives a text another label, checked by a classifier.

    - {kind: counterfactual, model: writer, field: text, labels: [positive, negative],
       gates: {label: {model: writer, labels: [positive, negative], templates:
         {prompt: classify/sentiment, reply: "The review is {label}"}}}}

    {"text": "The tent stayed dry.", "label": "positive"}
    ->  itself, {"text": "The tent did not stay dry.", "label": "negative"}

Pairs that differ in little but the label teach what the label depends on (Kaushik, Hovy and Lipton
2020). For texts in which another group of people stands there is `swap_groups`.
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.stages.augment.base import Judged, Proposal, Proposing
from pipelines.stages.augment.gates import Gates
from pipelines.stages.augment.rewriting import Rewrite
from pipelines.stages.base import STAGES, Context, JobView, Request, Work
from pipelines.stages.judging.templates import Labels


class CounterfactualGates(Gates):
    """The gates; the meaning has to change and most of the words have to stay.

    Attributes:
        most_difference: The greatest edit distance, 0 to 1: a counterfactual is a small edit.
    """

    similarity: Annotated[float, Field(ge=-1, le=1)] | None = 0.4
    difference: Annotated[float, Field(ge=0, le=1)] = 0.02
    most_difference: Annotated[float, Field(ge=0, le=1)] = 0.5

    def fault(self, original: str, variant: str, cosine: float | None = None) -> Fault | None:
        """As for every variant, and `too_different`."""
        found = self.scores(original, variant, None)["difference"]
        if found > self.most_difference:
            return Fault("too_different", {"difference": found, "most": self.most_difference})
        return super().fault(original, variant, cosine)


@STAGES.register
class Counterfactual(Rewrite):
    """Variants of another label; the nearest to the original is taken.

    Attributes:
        column: The column with the row's label; a variant has the new one there.
        labels: Label -> how the prompt says it, or a list. The variants of a row take the others in
            turn.
        min_shift: By how much the edit has to raise the probability of the new label, 0 to 1; what
            the judge already found in the original is not the edit's.
        gates: Among them `label`, which has to be there: nothing else tells the new label.
    """

    kind: Literal["counterfactual"] = "counterfactual"
    prompt: Annotated[str, Field(min_length=1)] = "rewrite/counterfactual"
    column: Annotated[str, Field(min_length=1)] = "label"
    labels: Annotated[Labels, Field(min_length=2)]
    min_shift: Annotated[float, Field(ge=0, le=1)] = 0.3
    gates: CounterfactualGates

    @model_validator(mode="after")
    def _the_label_is_found_where_it_is_written(self) -> Self:
        gate = self.gates.label
        if gate is None:
            raise ValueError("say what finds the new label: 'gates: {label: {model: NAME, ...}}'")
        if gate.column != self.column:
            raise ValueError("'column' and 'gates.label.column' name different columns")
        return self

    @property
    def ways(self) -> int:
        """The number of other labels."""
        return len(self.labels) - 1

    def columns_needed(self) -> set[str]:
        """The columns with the text and with its label."""
        return {self.field, self.column}

    def given(self) -> set[str]:
        """The text, its label, and the label wanted."""
        return {"text", "label", "target"}

    def rank(self, scores: Mapping[str, JSON]) -> float:
        """The smaller the edit, the better."""
        return -float(scores["difference"])

    def work(self, row: Row, context: Context) -> Work:
        """As for every variant; a row whose label is none of `labels` is rejected."""
        found = row.data.get(self.column)
        if str(found) not in self.labels:
            detail: dict[str, JSON] = {"label": found, "labels": [*self.labels]}
            return [Rejection(row, "unknown_label", detail)]
        outcomes: list[Outcome] = yield from super().work(row, context)
        return outcomes

    def check(self, job: JobView) -> None:
        """As for every rewriting, and the column of the label exists."""
        super().check(job)
        job.need({self.column}, key="column")

    def values(self, row: Row, text: str, slot: int, context: Context) -> dict[str, JSON]:
        """The text, how its label is said, and how the wanted one is."""
        label = str(row.data[self.column])
        target = self.labels[self._target(row, slot, context)]
        return {"text": text, "label": self.labels[label], "target": target}

    def propose(self, row: Row, text: str, slot: int, attempt: int, context: Context) -> Proposing:
        """Edited texts with their new label."""
        target = self._target(row, slot, context)
        found = yield from super().propose(row, text, slot, attempt, context)
        event: dict[str, JSON] = {"from": row.data[self.column], "to": target}
        columns: dict[str, JSON] = {self.column: target}
        return [e._replace(event={**event, **e.event}, columns=columns) for e in found]

    def _judge(
        self, row: Row, text: str, proposals: Sequence[Proposal], taken: set[str], context: Context
    ) -> Generator[Request, Any, list[Judged]]:
        """As for every variant; those that pass have to move the label too."""
        found = yield from super()._judge(row, text, proposals, taken, context)
        assert self.gates.label is not None
        for place, judged in enumerate(found):
            if judged.fault is not None:
                continue
            before = row.with_data({self.field: text, **judged.proposal.columns})
            _, said = yield from self.gates.label.judge(before, self.field, context)
            shift = round(judged.scores["label"]["probability"] - said.get("probability", 0.0), 4)
            scores = {**judged.scores, "shift": shift}
            least: dict[str, JSON] = {"shift": shift, "least": self.min_shift}
            failed = Fault("label_not_moved", least) if shift < self.min_shift else None
            found[place] = judged._replace(scores=scores, fault=failed)
        return found

    def _target(self, row: Row, slot: int, context: Context) -> str:
        others = [label for label in self.labels if label != str(row.data[self.column])]
        return others[(context.seed(row) + slot) % len(others)]
