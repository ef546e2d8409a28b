"""Calibration of label likelihoods: what a model prefers before it has read anything is taken off.

    calibrate: {method: content_free, texts: ["N/A", "..."]}
    calibrate: {method: prior, file: reviews.jsonl}

    log p(positive) - log p(negative):  "A gem." 0.9   "Awful." 0.4   "N/A" 0.7
    taken off 0.7:                      "A gem." 0.2   "Awful." -0.3

`content_free` takes off the mean over texts without content (Zhao et al. 2021), `prior` such a
constant that the labels are on the mean as probable over the file's texts as `prior` says; for two
labels of one prior that is a cut near the median.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.sources.base import BadSeed
from pipelines.sources.files import PathView
from pipelines.sources.records import Records
from prompts.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Scores = NDArray[np.float64]

ROUNDS = 500
CLOSE = 1e-9
TEMPERATURES = (0.1, 10.0)


class Calibration(BaseModel):
    """What label likelihoods are corrected by.

    Attributes:
        method: `content_free`, `prior`, or `none`.
        texts: For `content_free`: texts that say nothing.
        file: For `prior`: records (jsonl, csv, parquet) whose column `field` holds texts.
        field: The column of the file; left out, the stage's own.
        label: A column of the file with the right label: the prior is then theirs, and how sharp
            the probabilities are is fitted too.
        rows: The most records that are read, from the beginning.
        prior: Label -> share; left out, all labels are equally frequent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["content_free", "prior", "none"] = "content_free"
    texts: tuple[str, ...] = ("N/A", "[MASK]", "...")
    file: str = ""
    field: str = ""
    label: str = ""
    rows: Annotated[int, Field(ge=2, le=100_000)] = 200
    prior: dict[str, Annotated[float, Field(gt=0, lt=1)]] = {}

    @model_validator(mode="after")
    def _keys_fit_the_method(self) -> "Calibration":
        wants_file = self.method == "prior"
        if wants_file != bool(self.file):
            raise ValueError("method 'prior' and 'file' go together: the texts come from a file")
        if self.method == "content_free" and not self.texts:
            raise ValueError("give at least one text, or method 'none'")
        if (self.prior or self.label or self.field) and not self.file:
            raise ValueError("'prior', 'label' and 'field' are about a file: give 'file'")
        if self.prior and self.label:
            raise ValueError("the labels of the file give the prior: leave 'prior' or 'label' out")
        if self.prior and abs(sum(self.prior.values()) - 1) > 1e-6:
            raise ValueError("the shares of 'prior' make 1 together")
        return self

    def check(self, labels: Sequence[str]) -> None:
        """The prior is that of the labels.

        Raises:
            UsageError: A label has no share, or a share no label.
        """
        if self.prior and set(self.prior) != set(labels):
            fix = f"give a share for each of: {', '.join(labels)}"
            raise UsageError("the prior names other labels", fix=fix, key="calibrate.prior")

    def records(self, view: PathView, field: str) -> list[tuple[str, str]]:
        """Text and label (empty without `label`) of the file's records.

        Raises:
            UsageError: A record lacks a column, or its text is no text.
        """
        found = list(islice(self._read(view, field), self.rows))
        if len(found) < 2:
            fix = "give a file with more records"
            raise UsageError(
                f"'{self.file}' holds {len(found)} texts", fix=fix, key="calibrate.file"
            )
        return found

    def _read(self, view: PathView, field: str) -> Iterator[tuple[str, str]]:
        column = self.field or field
        source = Records(path=(self.file,))
        for seed in source.read(view):  # type: ignore[arg-type]
            if isinstance(seed, BadSeed):
                problem = f"'{seed.key}' cannot be read: {seed.reason}"
                raise UsageError(problem, fix="mend the file", key="calibrate.file")
            for name in filter(None, (column, self.label)):
                if name not in seed.data:
                    known = ", ".join(seed.data)
                    problem = f"'{self.file}' has no column '{name}' (it has: {known})"
                    fix = "set calibrate.field and calibrate.label"
                    raise UsageError(problem, fix=fix, key="calibrate.file")
            text = seed.data[column]
            if isinstance(text, str) and text.strip():
                yield text, str(seed.data[self.label]) if self.label else ""


def log_softmax(scores: "Scores") -> "Scores":
    """Normalised log-probabilities, over the last axis."""
    import numpy as np

    top = scores - scores.max(axis=-1, keepdims=True)
    shifted: Scores = top - np.log(np.exp(top).sum(axis=-1, keepdims=True))
    return shifted


def prior_bias(scores: "Scores", prior: "Scores") -> "Scores":
    """What is taken off so that the mean probabilities are the prior.

    Args:
        scores: [texts, labels].
        prior: [labels], positive, of sum 1.

    Returns:
        [labels], of mean 0; the fixed point of b += log(mean probability / prior).
    """
    import numpy as np

    bias: Scores = log_softmax(scores).mean(0)
    for _ in range(ROUNDS):
        share = np.exp(log_softmax(scores - bias)).mean(0)
        step = np.log(np.maximum(share, 1e-300) / prior)
        bias = bias + step
        if float(np.abs(step).max()) < CLOSE:
            break
    centred: Scores = bias - bias.mean()
    return centred


def fitted_scale(scores: "Scores", places: Sequence[int]) -> float:
    """How much sharper (above 1) probabilities of corrected scores should be, by likelihood.

    Args:
        scores: [texts, labels], corrected.
        places: Of the right labels.

    Returns:
        0.1 to 10: the factor with the highest likelihood, found by golden-section search.
    """
    import numpy as np

    rows = np.arange(len(scores))

    def loss(log_factor: float) -> float:
        return -float(log_softmax(scores * np.exp(log_factor))[rows, list(places)].mean())

    low, high = (float(np.log(bound)) for bound in TEMPERATURES)
    golden = (5**0.5 - 1) / 2
    while high - low > 1e-6:
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return float(np.exp((low + high) / 2))


def shares(labels: Sequence[str], found: Sequence[str], prior: Mapping[str, float]) -> Any:
    """The prior as an array: as given, as in the file with one more of each label, or uniform."""
    import numpy as np

    if prior:
        return np.array([prior[label] for label in labels])
    counts = np.array([1 + found.count(label) for label in labels], dtype=float)
    return counts / counts.sum() if any(found) else np.full(len(labels), 1 / len(labels))
