"""What the generator itself says of the test rows: the label that it finds most likely.

    likelihoods(texts, asking, ledger, options)     # [texts, labels], natural logarithms
    labels_of(scores, asking.labels)                # raw
    labels_of(scores - bias, asking.labels)         # calibrated

The stage `classify` is run over the texts in a small job of its own, through the ledger. Calibrated
means that a constant is taken off each label so that the labels come out as frequent over the
synthetic rows as they are there: no real label is used for it.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.evaluation.downstream import Task, interval
from pipelines.files import write_atomically
from pipelines.job import LoadedJob, load_job
from pipelines.launch import Options, launch
from pipelines.rows import JSON
from prompts.errors import UsageError

Scores = np.ndarray[Any, np.dtype[np.float64]]

TINY = 1e-4  # the least probability that `classify` tells, of which a logarithm is taken


@dataclass(frozen=True, slots=True)
class Asking:
    """How labels are asked for.

    Attributes:
        model: The model's section of a job.
        labels: Label -> how it is said.
        templates: As the stage `classify` takes them.
        prompts: Texts of prompts by name, where the library has not got them.
    """

    model: Mapping[str, JSON]
    labels: Mapping[str, str]
    templates: JSON
    prompts: Mapping[str, str]


def asking_of(loaded: LoadedJob, model: str, labels: Sequence[str]) -> Asking:
    """As the job's own `classify` or `relabel` stage asks; without one, by the labels' names.

    Raises:
        UsageError: The job has no such model, or its stage lacks a label.
    """
    spec = loaded.model(model, key="--zero-shot").model_dump(mode="json")
    for stage in loaded.job.stages:
        if stage.kind in {"classify", "relabel"}:
            data = stage.model_dump(mode="json")
            said = data["labels"]
            if missing := sorted(set(labels) - set(said)):
                fix = f"its labels: {', '.join(said)}"
                problem = f"stage '{stage.name}' has no label '{missing[0]}'"
                raise UsageError(problem, fix=fix, key="--zero-shot")
            return Asking(spec, said, data["templates"], loaded.job.prompts)
    said = {label: label for label in labels}
    return Asking(spec, said, [{"prompt": "classify/text", "reply": "The answer is {label}"}], {})


def likelihoods(texts: Sequence[str], asking: Asking, options: Options) -> Scores:
    """Log-probabilities of the labels for each text, [texts, labels] in the order of the labels.

    Raises:
        UsageError: The model gives none for a text.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = (json.dumps({"text": text}) + "\n" for text in texts)
        write_atomically(folder / "texts.jsonl", "".join(lines))
        stage = {
            "kind": "classify",
            "model": "asked",
            "field": "text",
            "labels": dict(asking.labels),
            "templates": asking.templates,
            "calibrate": {"method": "none"},
            "adds": "found",
            "scores": "scores",
        }
        job = {
            "name": "zero-shot",
            "models": {"asked": dict(asking.model)},
            "prompts": dict(asking.prompts),
            "sources": [{"kind": "records", "path": str(folder / "texts.jsonl")}],
            "stages": [stage],
        }
        write_atomically(folder / "job.yaml", json.dumps(job))
        done = launch(load_job(folder / "job.yaml"), folder / "run", options)
        rows = (done.folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()
        found = [json.loads(row)["data"]["scores"] for row in rows]
    if len(found) < len(texts):
        problem = f"{len(texts) - len(found)} texts have no label likelihoods"
        raise UsageError(problem, fix="take a model with a longer window", key="--zero-shot")
    table = [[max(row[label], TINY) for label in asking.labels] for row in found]
    return np.log(np.array(table))


def bias_of(scores: Scores, labels: Sequence[str], order: Sequence[str]) -> Scores:
    """What to take off so that labels are as frequent as in `labels`; [labels]."""
    from pipelines.stages.judging.calibration import prior_bias

    counts = Counter(labels)
    shares = np.array([counts[label] + 1.0 for label in order])
    return prior_bias(scores, shares / shares.sum())


def labels_of(scores: Scores, order: Sequence[str]) -> list[str]:
    """The most probable label of each text."""
    return [order[place] for place in scores.argmax(1)]


def zero_shot(task: Task, asking: Asking, options: Options) -> dict[str, JSON]:
    """Accuracy of the generator's own labels on the test rows, raw and calibrated."""
    order = list(asking.labels)
    options = replace(options, workers=0)
    made = likelihoods(task.made.texts, asking, options)
    test = likelihoods(task.test.texts, asking, options)
    truth = np.array(task.test.labels)
    bias = bias_of(made, task.made.labels, order)
    raw, calibrated = labels_of(test, order), labels_of(test - bias, order)
    agreeing = np.array(labels_of(made - bias, order)) == np.array(task.made.labels)
    return {
        "raw": interval([np.array(raw) == truth]),
        "calibrated": interval([np.array(calibrated) == truth]),
        "agreement": round(float(agreeing.mean()), 4),
    }
