"""How probable labels are for a text, by a language model or a classifier.

`classify` and `relabel` share it.

    templates: [{prompt: classify/sentiment, reply: "The review is {label}"}]
    labels: {good: positive, bad: negative}

    "A gem."  ->  log p("The review is positive"), log p("The review is negative") as replies,
                  the mean over the templates, less what calibration takes off
              ->  {"good": 0.81, "bad": 0.19}

No reply is written and none has to be parsed. A classifier is asked for its own labels, and
templates and calibration by texts without content do not apply to it.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from chains.calls import Call, Message, Reply
from chains.decoding.score import Score
from pipelines.rows import JSON, Fault, Outcome, Row
from pipelines.stages.base import Ask, Context, JobView, ModelStage, Request, drive
from pipelines.stages.columns import read_text
from pipelines.stages.judging.answers import check_head, logprob_of, open_head
from pipelines.stages.judging.calibration import (
    Calibration,
    fitted_scale,
    log_softmax,
    prior_bias,
    shares,
)
from pipelines.stages.judging.templates import (
    GIVEN,
    SLOT,
    Labels,
    Template,
    Templates,
    prompt_values,
)
from prompts.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipelines.sources.base import SourceView


@dataclass(frozen=True, slots=True)
class Fit:
    """What is known once a run: the labels, and what their scores are corrected by.

    Attributes:
        names: The labels, in the job's order.
        said: How the model says each.
        head: Whether the model is a classifier.
        bias: Taken off the scores, [labels].
        scale: The corrected scores are multiplied by it.
        probabilities: Of the calibration file's texts, [texts, labels], and their labels.
    """

    names: tuple[str, ...]
    said: tuple[str, ...]
    head: bool
    bias: "NDArray[np.float64]"
    scale: float = 1.0
    probabilities: "NDArray[np.float64] | None" = None
    found: tuple[str, ...] = ()


class Labelling(ModelStage):
    """A stage that looks at the probabilities of labels.

    Attributes:
        model: Name of one of the job's models: one that writes, or a classifier.
        field: The column with the text.
        labels: Label -> how the model says it, or a list; of a classifier all of its own where
            left out.
        templates: How a model that writes is asked; several are averaged.
        calibrate: What the scores are corrected by.
    """

    model: Annotated[str, Field(min_length=1)]
    field: Annotated[str, Field(min_length=1)]
    labels: Labels = {}
    templates: Templates = (Template(prompt="classify/text", reply="The answer is {label}"),)
    calibrate: Calibration = Calibration()

    @model_validator(mode="after")
    def _labels_differ(self) -> "Labelling":
        if len(self.labels) == 1:
            raise ValueError("give two labels or more")
        for said in [self.labels.values()] + [t.words.values() for t in self.templates if t.words]:
            if len(set(said)) < len(said):
                raise ValueError("two labels are said in the same way")
        return self

    def columns_needed(self) -> set[str]:
        """The column with the text."""
        return {self.field}

    def check(self, job: JobView) -> None:
        """The model exists, the prompts take a text, and the labels are complete."""
        spec = job.model(self.model, key="model")
        self.calibrate.check(list(self.labels) or [*self.calibrate.prior])
        if self.calibrate.file:
            job.path(self.calibrate.file)
        if check_head(spec) is not None:
            return
        if not self.labels and spec.model in {"embedded", "scripted"}:
            raise _no_labels()
        for place, template in enumerate(self.templates):
            self._check_template(job, template, f"templates.{place}")

    def _check_template(self, job: JobView, template: Template, key: str) -> None:
        prompt = job.prompt(template.prompt, key=f"{key}.prompt")
        if "text" not in prompt.variables:
            problem = f"prompt '{template.prompt}' has no variable 'text'"
            fix = "declare it and write {{ text }} where the text goes"
            raise UsageError(problem, fix=fix, key=f"{key}.prompt")
        if stray := sorted(set(template.words) - set(self.labels)):
            fix = f"its labels: {', '.join(self.labels)}"
            raise UsageError(f"'{stray[0]}' is no label", fix=fix, key=f"{key}.words")
        job.need(set(prompt.variables) - GIVEN, key=f"{key}.prompt")

    def fingerprint(self, view: "SourceView") -> str:
        """Changes with the calibration file."""
        if not self.calibrate.file:
            return ""
        from pipelines.sources.records import Records

        return Records(path=(self.calibrate.file,)).fingerprint(view)

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Calibrate once, then work on the block."""
        kept = context.shared("fit", dict[str, Fit])
        if not kept:
            drive([self._prepare(context)], context)
        yield from super().run(rows, context)

    def _prepare(self, context: Context) -> "Generator[Request, Any, list[Outcome]]":
        yield from self.fit(context)
        return []

    def fit(self, context: Context) -> Generator[Request, Any, Fit]:
        """The labels and their correction, found out when first needed and then kept.

        Raises:
            UsageError: Labels that the model has not, or a calibration file that cannot be used.
        """
        kept = context.shared("fit", dict[str, Fit])
        if not kept:
            kept["fit"] = yield from self._fit(context)
        return kept["fit"]

    def _fit(self, context: Context) -> Generator[Request, Any, Fit]:
        import numpy as np

        names, said, head = self._resolved(context)
        plain = Fit(names, said, head, np.zeros(len(names)))
        how = self.calibrate
        if how.method == "none" or (how.method == "content_free" and head):
            return plain
        if how.method == "content_free":
            found = yield from self._all(context, plain, how.texts)
            return Fit(names, said, head, found.mean(0))
        how.check(names)
        records = how.records(context, self.field)
        labels = tuple(label for _, label in records)
        if stray := sorted(set(filter(None, labels)) - set(names)):
            fix = f"its labels have to be: {', '.join(names)}"
            problem = f"'{how.file}' has the label '{stray[0]}'"
            raise UsageError(problem, fix=fix, key="calibrate.label")
        scores = yield from self._all(context, plain, [text for text, _ in records])
        bias = prior_bias(scores, shares(names, labels, how.prior))
        places = [names.index(label) for label in labels if label]
        scale = round(fitted_scale(scores - bias, places), 4) if places else 1.0
        return Fit(
            names, said, head, bias, scale, np.exp(log_softmax((scores - bias) * scale)), labels
        )

    def _all(
        self, context: Context, fit: Fit, texts: Sequence[str]
    ) -> "Generator[Request, Any, NDArray[np.float64]]":
        """Scores of the texts, [texts, labels]."""
        import numpy as np

        calls = [call for text in texts for call in self._calls(context, fit, text, {})]
        answers = yield Ask(self.model, tuple(calls))
        each = len(answers) // len(texts)
        found = [self._scores(fit, answers[at : at + each]) for at in range(0, len(answers), each)]
        for scores in found:
            if isinstance(scores, Fault):
                problem = f"a text of the calibration has no likelihood: {scores.reason}"
                raise UsageError(problem, fix="leave it out", key="calibrate")
        return np.array(found)

    def probabilities(
        self, row: Row, context: Context
    ) -> "Generator[Request, Any, NDArray[np.float64] | Fault]":
        """The probability of each of the fit's labels for a row's text, or why there is none."""
        import numpy as np

        text = read_text(row, self.field)
        if isinstance(text, Fault):
            return text
        if not text.strip():
            return Fault("empty", {"column": self.field})
        fit = yield from self.fit(context)
        answers = yield Ask(self.model, self._calls(context, fit, text, row.data))
        scores = self._scores(fit, answers)
        if isinstance(scores, Fault):
            return scores
        found: NDArray[np.float64] = np.exp(log_softmax((scores - fit.bias) * fit.scale))
        return found

    def _calls(
        self, context: Context, fit: Fit, text: str, data: Mapping[str, JSON]
    ) -> tuple[Call, ...]:
        if fit.head:
            chat: tuple[Message, ...] = (Message("user", text),)
            return tuple(Call(chat, Score(target=said, end=False)) for said in fit.said)
        calls: list[Call] = []
        for template in self.templates:
            words = [template.words.get(n, s) for n, s in zip(fit.names, fit.said, strict=True)]
            given: dict[str, JSON] = {**data, "text": text, "labels": ", ".join(words)}
            prompt = context.prompt(template.prompt)
            chat = context.chat(prompt, prompt_values(prompt, given))
            targets = [template.reply.replace(SLOT, word) for word in words]
            calls += [Call(chat, Score(target=target, end=False)) for target in targets]
        return tuple(calls)

    def _scores(
        self, fit: Fit, answers: Sequence[Sequence[Reply]]
    ) -> "NDArray[np.float64] | Fault":
        """The mean over the templates of the log-probabilities, [labels]."""
        import numpy as np

        logprobs = [logprob_of(replies) for replies in answers]
        for each in logprobs:
            if isinstance(each, Fault):
                return each
        found: NDArray[np.float64] = np.array(logprobs).reshape(-1, len(fit.names)).mean(0)
        return found

    def _resolved(self, context: Context) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
        """The labels, how they are said, and whether the model is a classifier."""
        context.model_label(
            self.model
        )  # a model that is not there is told here, by the run's rules
        own = open_head(self.model, context)
        if own is None and not self.labels:
            raise _no_labels()
        said = self.labels or {label: label for label in own or ()}
        if own is not None and (stray := sorted(set(said.values()) - set(own))):
            fix = f"its labels: {', '.join(own)}; write 'labels: {{YOURS: ITS}}'"
            problem = f"the classifier has no label '{stray[0]}'"
            raise UsageError(problem, fix=fix, key="labels")
        if len(said) < 2:
            fix = "use the stage 'reward' for its value"
            raise UsageError("the model has one output, not labels", fix=fix, key="model")
        return tuple(said), tuple(said.values()), own is not None

    def event(self, fit: Fit, found: "NDArray[np.float64]", context: Context) -> dict[str, JSON]:
        """For the history: model, prompts, the probabilities from the highest on, the margin."""
        order = ranked(found)
        event: dict[str, JSON] = {"stage": self.name, "model": context.model_label(self.model)}
        if not fit.head:
            event["prompts"] = [context.prompt(t.prompt).label for t in self.templates]
        top = order[:SHOWN]
        event["probabilities"] = {fit.names[place]: round(float(found[place]), 4) for place in top}
        event["margin"] = margin(found)
        return event


SHOWN = 10  # labels whose probabilities are kept in the history


def ranked(found: "NDArray[np.float64]") -> list[int]:
    """Places from the most to the least probable, the first of equals first."""
    return sorted(range(len(found)), key=lambda place: (-float(found[place]), place))


def margin(found: "NDArray[np.float64]") -> float:
    """By how much the most probable label is ahead of the next, 0 to 1."""
    first, second = ranked(found)[:2]
    return round(float(found[first] - found[second]), 4)


def _no_labels() -> UsageError:
    fix = "write labels: [positive, negative]; only a classifier has labels of its own"
    return UsageError("no labels are given", fix=fix, key="labels")
