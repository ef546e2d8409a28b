"""`relabel`: compares the label that a row has with what a model finds, and acts where they differ.

    - {kind: relabel, model: writer, field: review, label: label, labels: [positive, negative],
       templates: {prompt: classify/sentiment, reply: "The review is {label}"},
       action: reject, min_margin: 0.3}

    {"review": "A waste of money.", "label": "positive"}
    rejected: {"reason": "other_label", "detail": {"given": "positive", "found": "negative", ...}}

A label is doubted where another one is more probable, by `min_margin` at least, and reaches its
threshold. The threshold of a label is how sure the model is, on the mean, of the texts that have
it: the rule of confident learning (Northcutt et al. 2021), with thresholds from a labelled
calibration file, so that no row's fate depends on the others.
"""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from pipelines.rows import Fault, Rejection, Row
from pipelines.stages.base import STAGES, Context, JobView, Work
from pipelines.stages.judging.labelling import Fit, Labelling
from prompts.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@STAGES.register
class Relabel(Labelling):
    """Replace, reject or flag labels that a model doubts.

    Attributes:
        label: The column with the label that a row has.
        action: What becomes of a row whose label is doubted.
        min_margin: By how much the other label's probability has to be ahead of the given one's.
        thresholds: Label -> the probability from which on a row may be said to have it; left out,
            those of a calibration file with labels, else none.
        adds: With `flag`, the column for the label that was found, null where none is doubted.
    """

    kind: Literal["relabel"] = "relabel"
    label: Annotated[str, Field(min_length=1)] = "label"
    action: Literal["replace", "reject", "flag"] = "reject"
    min_margin: Annotated[float, Field(ge=0, le=1)] = 0.0
    thresholds: dict[str, Annotated[float, Field(ge=0, le=1)]] = {}
    adds: str = ""

    @model_validator(mode="after")
    def _a_flag_has_a_column(self) -> "Relabel":
        if (self.action == "flag") != bool(self.adds):
            raise ValueError("action 'flag' and the column 'adds' go together")
        return self

    def columns_needed(self) -> set[str]:
        """The columns with the text and the label."""
        return {self.field, self.label}

    def columns_added(self) -> set[str]:
        """The column of the flag."""
        return set(filter(None, [self.adds]))

    def check(self, job: JobView) -> None:
        """As for any labelling; thresholds are those of labels."""
        super().check(job)
        stray = sorted(set(self.thresholds) - set(self.labels)) if self.labels else []
        if stray:
            fix = f"its labels: {', '.join(self.labels)}"
            raise UsageError(f"'{stray[0]}' is no label", fix=fix, key="thresholds")

    def work(self, row: Row, context: Context) -> Work:
        """Keep the row, with its label or another, or reject it as `other_label`."""
        if self.label not in row.data:
            detail = {"column": self.label, "columns": sorted(row.data)}
            return [Rejection(row, "missing_column", detail)]
        found = yield from self.probabilities(row, context)
        if isinstance(found, Fault):
            return [Rejection(row, found.reason, found.detail)]
        fit = yield from self.fit(context)
        given = row.data[self.label]
        if given not in fit.names:
            detail = {"label": given, "labels": list(fit.names)}
            return [Rejection(row, "unknown_label", detail)]
        other = self._doubt(fit, found, fit.names.index(given))
        event = {**self.event(fit, found, context), "given": given, "found": other}
        if other is None:
            return [row.with_data({self.adds: None} if self.adds else {}, event)]
        if self.action == "reject":
            detail = {key: event[key] for key in ("given", "found", "probabilities")}
            return [Rejection(row.with_data({}, event), "other_label", detail)]
        return [row.with_data({self.adds or self.label: other}, event)]

    def _doubt(self, fit: Fit, found: "NDArray[np.float64]", given: int) -> str | None:
        """The label that the text should rather have; None where the given one is not doubted."""
        least = self._thresholds(fit)
        others = [
            (-float(found[place]), place)
            for place in range(len(fit.names))
            if place != given and found[place] >= least[place]
        ]
        if not others:
            return None
        ahead, place = min(others)
        # Rounded, so that no last bit decides, and a tie leaves the label alone.
        lead = round(-ahead - float(found[given]), 4)
        return fit.names[place] if lead > 0 and lead >= self.min_margin else None

    def _thresholds(self, fit: Fit) -> list[float]:
        if self.thresholds:
            return [self.thresholds.get(name, 0.0) for name in fit.names]
        return [self_confidence(fit, place) for place in range(len(fit.names))]


def self_confidence(fit: Fit, place: int) -> float:
    """Mean probability of a label over the calibration texts that have it; 0 without any."""
    if fit.probabilities is None:
        return 0.0
    mine = [row[place] for row, label in zip(fit.probabilities, fit.found, strict=True)
            if label == fit.names[place]]  # fmt: skip
    return float(sum(mine) / len(mine)) if mine else 0.0
