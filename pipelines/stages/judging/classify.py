"""`classify`: the most probable of some labels, by a language model's likelihoods or a classifier.

- {kind: classify, model: writer, field: review, labels: [positive, negative], adds: label,
   templates: {prompt: classify/sentiment, reply: "The review is {label}"}, min_margin: 0.2}

{"review": "A gem."}  ->  {"review": "A gem.", "label": "positive"}, and in the history
{"probabilities": {"positive": 0.81, "negative": 0.19}, "margin": 0.62}
"""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.rows import JSON, Fault, Rejection, Row
from pipelines.stages.base import STAGES, Context, Work
from pipelines.stages.judging.labelling import Labelling, margin, ranked


@STAGES.register
class Classify(Labelling):
    """Put the most probable label into a column.

    Attributes:
        adds: The column for the label.
        scores: A column for the probabilities of all labels, `{label: probability}`.
        min_margin: By how much its probability has to be ahead of the next one's.
    """

    kind: Literal["classify"] = "classify"
    adds: Annotated[str, Field(min_length=1)] = "label"
    scores: str = ""
    min_margin: Annotated[float, Field(ge=0, le=1)] = 0.0

    def columns_added(self) -> set[str]:
        """The label's column, and that of the probabilities where there is one."""
        return {self.adds, *filter(None, [self.scores])}

    def work(self, row: Row, context: Context) -> Work:
        """Label the row, or reject it as `uncertain`."""
        found = yield from self.probabilities(row, context)
        if isinstance(found, Fault):
            return [Rejection(row, found.reason, found.detail)]
        fit = yield from self.fit(context)
        event = self.event(fit, found, context)
        label = fit.names[ranked(found)[0]]
        if margin(found) < self.min_margin:
            detail = {"label": label, "margin": event["margin"]}
            return [Rejection(row.with_data({}, event), "uncertain", detail)]
        columns: dict[str, JSON] = {self.adds: label}
        if self.scores:
            pairs = zip(fit.names, found.tolist(), strict=True)
            columns[self.scores] = {name: round(value, 4) for name, value in pairs}
        return [row.with_data(columns, event)]
