"""The gate `label`: a model finds that a variant has the label that its row says.

    gates: {label: {model: writer, labels: [positive, negative],
                    templates: {prompt: classify/sentiment, reply: "The review is {label}"}}}

    {"text": "A gem.", "label": "positive"}, variant "A bore."
    ->  Fault("label_changed", {"label": "positive", "found": "negative", "probability": 0.07})

A classifier is not always right: a gate of 85 % accuracy refuses about as many good variants.
"""

from collections.abc import Generator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from pipelines.rows import JSON, Fault, Row
from pipelines.stages.base import Context, JobView, Request
from pipelines.stages.judging.calibration import Calibration
from pipelines.stages.judging.classify import Classify
from pipelines.stages.judging.labelling import ranked
from pipelines.stages.judging.templates import Labels, Template, Templates
from prompts.errors import TextmillError
from prompts.registry import dotted


class LabelGate(BaseModel):
    """How the label of a variant is found; the settings are those of the stage `classify`.

    Attributes:
        model: Name of one of the job's models: one that writes, or a classifier.
        column: The column with the row's label.
        labels: Label -> how the model says it, or a list; of a classifier all of its own where
            left out.
        templates: How a model that writes is asked.
        calibrate: What the scores are corrected by.
        min_probability: Of the row's label, at least; 0 asks only that no other is more probable.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Annotated[str, Field(min_length=1)]
    column: Annotated[str, Field(min_length=1)] = "label"
    labels: Labels = {}
    templates: Templates = (Template(prompt="classify/text", reply="The answer is {label}"),)
    calibrate: Calibration = Calibration()
    min_probability: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def classifier(self, field: str) -> Classify:
        """The stage that finds the label of a row's `field`."""
        return Classify(
            model=self.model,
            field=field,
            labels=self.labels,
            templates=self.templates,
            calibrate=self.calibrate,
        )

    def check(self, job: JobView, field: str) -> None:
        """The column exists, and the model and the prompts fit.

        Raises:
            UsageError: They do not.
        """
        job.need({self.column}, key="gates.label.column")
        try:
            self.classifier(field).check(job)
        except TextmillError as exc:
            if exc.file is None:
                exc.key = dotted("gates.label", exc.key)
            raise

    def judge(
        self, row: Row, field: str, context: Context
    ) -> Generator[Request, Any, tuple[Fault | None, Mapping[str, JSON]]]:
        """Why the row's text has another label than its column says, and what was found.

        A label that is none of the gate's is `unknown_label`, whatever the text says.
        """
        classify = self.classifier(field)
        wanted = str(row.data.get(self.column))
        fit = yield from classify.fit(context)
        if wanted not in fit.names:
            return Fault("unknown_label", {"label": wanted, "labels": [*fit.names]}), {}
        found = yield from classify.probabilities(row, context)
        if isinstance(found, Fault):
            return found, {}
        place = ranked(found)[0]
        probability = round(float(found[fit.names.index(wanted)]), 4)
        said: dict[str, JSON] = {"found": fit.names[place], "probability": probability}
        if fit.names[place] != wanted or probability < self.min_probability:
            return Fault("label_changed", {"label": wanted, **said}), said
        return None, said
