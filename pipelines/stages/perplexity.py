"""`perplexity`: keeps texts that a language model finds neither odd nor trivial.

    - {kind: perplexity, field: answer, model: writer, max: 80}
    - {kind: perplexity, field: answer, model: writer, prompt: qa/answer, min: 1.2, adds: ppl}
    - {kind: perplexity, field: answer, model: writer, given: question, relative: true, max: 1}

    "The the museum cat opens of at."
    rejected: {"reason": "perplexity_high", "detail": {"perplexity": 1924.6, ...}}

The perplexity of n tokens is exp(-log-probability / n): as if the model had so many equally likely
choices at each token. One `score` call a row, answered by the ledger where it was made before.
"""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from chains.calls import Call, Message, Reply
from chains.decoding.score import Score
from pipelines.rows import JSON, Fault, Rejection, Row
from pipelines.stages.base import STAGES, Ask, Context, JobView, ModelStage, Work
from pipelines.stages.columns import read_text
from prompts.errors import UsageError

_NOTHING = (Message("user", ""),)
"""What a text stands behind that is scored for itself: an empty turn, or the begin token."""

_LARGEST = 700.0  # exp of more is no float


@STAGES.register
class Perplexity(ModelStage):
    """Reject a text whose perplexity under one of the job's models is outside the bounds.

    Attributes:
        field: The column with the text.
        model: Name of one of the job's models; a server cannot score.
        min: The least perplexity, from 1 on; below it a text is `perplexity_low`: a phrase of the
            training data, a loop, a copy of the prompt.
        max: The most; above it it is `perplexity_high`: word salad, another language, wreckage.
        prompt: A prompt that the text is scored as the reply to; its variables are columns.
        inputs: Its variable -> column, where the names differ.
        given: Instead of a prompt, a column that is the user message before the text.
        relative: Divide by the perplexity of the text for itself, without the prompt: the
            instruction-following difficulty of Li et al. (2023). Near 1 the prompt did not help
            to foretell the text.
        end: Also score that the text ends there.
        adds: A column for the value.
    """

    kind: Literal["perplexity"] = "perplexity"
    field: Annotated[str, Field(min_length=1)]
    model: Annotated[str, Field(min_length=1)]
    min: Annotated[float, Field(ge=0)] | None = None
    max: Annotated[float, Field(gt=0)] | None = None
    prompt: str = ""
    inputs: dict[str, str] = {}
    given: str = ""
    relative: bool = False
    end: bool = False
    adds: str = ""

    @model_validator(mode="after")
    def _settings_fit(self) -> "Perplexity":
        if self.min is None and self.max is None and not self.adds:
            fix = "give one of them, or a column for the value with 'adds'"
            raise UsageError("perplexity has neither 'min' nor 'max'", fix=fix)
        if self.min is not None and self.max is not None and self.min > self.max:
            raise UsageError("'min' is above 'max'", fix="exchange them", key="min")
        if self.prompt and self.given:
            fix = "keep one: 'given' is a prompt of that column alone"
            raise UsageError("'prompt' and 'given' exclude each other", fix=fix, key="given")
        if self.relative and not (self.prompt or self.given):
            fix = "name the 'prompt' or the column 'given' that it is relative to"
            raise UsageError("nothing to be relative to", fix=fix, key="relative")
        if self.inputs and not self.prompt:
            raise UsageError("'inputs' are those of a prompt", fix="add 'prompt'", key="inputs")
        return self

    def columns_needed(self) -> set[str]:
        """The text, and what it is scored behind."""
        return {self.field, self.given, *self.inputs.values()} - {""}

    def columns_added(self) -> set[str]:
        """The column for the value, if one is wanted."""
        return {self.adds} - {""}

    def check(self, job: JobView) -> None:
        """The model and the prompt exist, and the prompt's variables are columns."""
        job.model(self.model, key="model")
        if not self.prompt:
            return
        variables = job.prompt(self.prompt, key="prompt").variables_used()
        if stray := sorted(set(self.inputs) - variables):
            known = ", ".join(sorted(variables)) or "none"
            problem = f"prompt '{self.prompt}' uses no variable '{stray[0]}'"
            raise UsageError(problem, fix=f"its variables: {known}", key="inputs")
        job.need({self.inputs.get(name, name) for name in variables}, key="prompt")

    def work(self, row: Row, context: Context) -> Work:
        """Score the text once, or twice where it is relative, and compare."""
        text = read_text(row, self.field)
        if isinstance(text, Fault):
            return [Rejection(row, text.reason, text.detail)]
        if not text.strip():
            return [Rejection(row, "empty")]
        before = self._before(row, context)
        if isinstance(before, Fault):
            return [Rejection(row, before.reason, before.detail)]
        target = Score(target=text, end=self.end)
        chats = [before, _NOTHING] if self.relative else [before]
        calls = tuple(Call(chat, target) for chat in chats)
        replies = [found for (found,) in (yield Ask(self.model, calls))]
        for reply in replies:
            if fault := _unscored(reply):
                return [Rejection(row, fault.reason, fault.detail)]
        values = [_mean_loss(reply) for reply in replies]
        value = math.exp(min(values[0] - sum(values[1:]), _LARGEST))
        return [self._judged(row, round(value, 4), replies[0].completion_tokens, context)]

    def _before(self, row: Row, context: Context) -> tuple[Message, ...] | Fault:
        """The chat that the text is scored as the reply to."""
        if self.given:
            given = read_text(row, self.given)
            return given if isinstance(given, Fault) else (Message("user", given),)
        if not self.prompt:
            return _NOTHING
        prompt = context.prompt(self.prompt)
        columns = {name: self.inputs.get(name, name) for name in sorted(prompt.variables_used())}
        for column in columns.values():
            if column not in row.data:
                return Fault("missing_column", {"column": column, "columns": sorted(row.data)})
        return context.chat(prompt, {name: row.data[c] for name, c in columns.items()})

    def _judged(self, row: Row, value: float, tokens: int, context: Context) -> Row | Rejection:
        found: dict[str, JSON] = {"perplexity": value, "tokens": tokens}
        if self.min is not None and value < self.min:
            return Rejection(row, "perplexity_low", {**found, "bound": self.min})
        if self.max is not None and value > self.max:
            return Rejection(row, "perplexity_high", {**found, "bound": self.max})
        label = context.model_label(self.model)
        event: dict[str, JSON] = {"stage": self.name, "model": label, "field": self.field, **found}
        return row.with_data({self.adds: value} if self.adds else {}, event)


def _mean_loss(reply: Reply) -> float:
    """The negative log-probability a token, in nats."""
    return -(reply.logprob or 0.0) / max(1, reply.completion_tokens)


def _unscored(reply: Reply) -> Fault | None:
    """Why there is no score: the model's own reason, or `no_logprob` of one that tells none."""
    if reply.finish == "error":
        reason, _, found = reply.error.partition(": ")
        return Fault(reason, {"found": found})
    return None if reply.logprob is not None else Fault("no_logprob", {"text": reply.text[:80]})
