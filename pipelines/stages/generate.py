"""`generate`: a prompt and a model fill one or several columns.

    - {kind: generate, model: writer, prompt: qa/question, adds: question,
       decoding: {strategy: sample, temperature: 0.8, n: 2}, length: {unit: words, min: 5, max: 25}}

The prompt's variables are taken from the row's columns of the same names; `inputs` maps other
names. With n > 1 the row becomes n rows of one family. A reply that is cut, cannot be parsed or has
the wrong length is asked for again with a new seed, `attempts` times in all; a deterministic
strategy would only repeat itself and is asked once.
"""

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator

from chains.calls import Call, Message, Reply
from chains.decoding import AnyDecoding, Sample
from chains.parsing import ParseFault, parse_reply
from pipelines.length import Length
from pipelines.rows import JSON, Outcome, Rejection, Row
from pipelines.stages.base import STAGES, Ask, Context, Fault, JobView, ModelStage, Work
from pipelines.stages.overflow import fit
from prompts.errors import UsageError
from prompts.prompt import Prompt

if TYPE_CHECKING:
    from chains.models import TokenSpans

_SHOWN = 10_000  # characters of a refused reply that are kept


@STAGES.register
class Generate(ModelStage):
    """Ask a model with a prompt.

    Attributes:
        model: Name of one of the job's models.
        prompt: Name of a prompt.
        adds: The column for the reply; with output json a list takes the keys of these names.
        inputs: Prompt variable -> column, where the names differ.
        attempts: How often a reply may be asked for.
        length: Bounds; outside them a reply is asked for again.
        overflow: What becomes of a row whose prompt does not fit the window with `max_tokens` to
            spare: reject it, truncate its longest variable, or split that into several rows.
        allow_cut: Keep a reply that was cut at `max_tokens`; a later `clean` can mend its end.
    """

    kind: Literal["generate"] = "generate"
    model: str
    prompt: str
    adds: str | tuple[str, ...]
    inputs: dict[str, str] = {}
    decoding: AnyDecoding = Sample()
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    length: Length | None = None
    overflow: Literal["reject", "truncate", "split"] = "reject"
    allow_cut: bool = False

    @field_validator("adds")
    @classmethod
    def _adds_something(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not value or not all(value):
            raise ValueError("name the column that the reply goes into")
        return value

    def columns_needed(self) -> set[str]:
        """Columns that `inputs` names; those of the prompt are checked in `check`."""
        return set(self.inputs.values())

    def columns_added(self) -> set[str]:
        """The columns of `adds`."""
        return {self.adds} if isinstance(self.adds, str) else set(self.adds)

    def check(self, job: JobView) -> None:
        """The model and the prompt exist and fit `adds`."""
        job.model(self.model, key="model")
        prompt = job.prompt(self.prompt, key="prompt")
        stray = sorted(set(self.inputs) - set(prompt.variables))
        if stray:
            known = ", ".join(sorted(prompt.variables)) or "none"
            problem = f"prompt '{self.prompt}' has no variable '{stray[0]}'"
            raise UsageError(problem, fix=f"its variables: {known}", key="inputs")
        if not isinstance(self.adds, str) and prompt.output.form != "json":
            fix = "write one column name, or give the prompt 'output: {form: json}'"
            problem = f"prompt '{self.prompt}' answers with {prompt.output.form}, not json"
            raise UsageError(problem, fix=fix, key="adds")
        job.need(self._columns_read(prompt), key="prompt")

    def work(self, row: Row, context: Context) -> Work:
        """Ask for every reply of the row until it is accepted or the attempts are used up."""
        prompt = context.prompt(self.prompt)
        missing = sorted(self._columns_read(prompt) - row.data.keys())
        if missing:
            detail = {"column": missing[0], "columns": sorted(row.data)}
            return [Rejection(row, "missing_column", detail)]
        if self.overflow == "reject":  # the model itself refuses what does not fit
            messages = context.chat(prompt, self.values(prompt, row))
            return (yield from self._replies(row, prompt, messages, context))
        outcomes: list[Outcome] = []
        for part in fit(row, self, prompt, context):
            if isinstance(part, Rejection):
                outcomes.append(part)
            else:
                outcomes += yield from self._replies(part.row, prompt, part.messages, context)
        return outcomes

    def values(self, prompt: Prompt, row: Row) -> dict[str, JSON]:
        """The row's values for the variables that the prompt uses."""
        used = sorted(prompt.variables_used())
        return {name: row.data[self.inputs.get(name, name)] for name in used}

    def _columns_read(self, prompt: Prompt) -> set[str]:
        return {self.inputs.get(name, name) for name in prompt.variables_used()}

    def _replies(
        self, row: Row, prompt: Prompt, messages: tuple[Message, ...], context: Context
    ) -> Work:
        slots: dict[int, Outcome] = {}
        pending = list(range(self.decoding.n))
        for attempt in range(1 if self.decoding.deterministic else self.attempts):
            calls = self._calls(row, messages, pending, attempt, context)
            answers = yield Ask(self.model, calls)
            for slot, seed, reply in self._by_slot(pending, calls, answers):
                slots[slot] = self._judge(row, prompt, slot, seed, attempt, reply, context)
            pending = [slot for slot in pending if _worth_another_try(slots[slot])]
            if not pending:
                break
        return [slots[slot] for slot in sorted(slots)]

    def _calls(
        self,
        row: Row,
        messages: tuple[Message, ...],
        pending: list[int],
        attempt: int,
        context: Context,
    ) -> tuple[Call, ...]:
        if self.decoding.joint:
            return (Call(messages, self.decoding, context.seed(row, attempt)),)
        single = self.decoding.model_copy(update={"n": 1})
        return tuple(Call(messages, single, context.seed(row, attempt, s)) for s in pending)

    def _by_slot(
        self, pending: list[int], calls: tuple[Call, ...], answers: list[list[Reply]]
    ) -> list[tuple[int, int, Reply]]:
        """(slot, seed, reply) of every pending slot; one without a reply gets an error for one."""
        none = Reply("", "error", error="no_reply: the model gave fewer replies than asked for")
        if self.decoding.joint:
            replies = answers[0]
            if len(replies) == 1 and replies[0].finish == "error":
                replies = replies * self.decoding.n
            padded = [*replies, *[none] * self.decoding.n]
            return [(slot, calls[0].seed, padded[slot]) for slot in pending]
        return [
            (slot, call.seed, replies[0] if replies else none)
            for slot, call, replies in zip(pending, calls, answers, strict=True)
        ]

    def _judge(
        self,
        row: Row,
        prompt: Prompt,
        slot: int,
        seed: int,
        attempt: int,
        reply: Reply,
        context: Context,
    ) -> Outcome:
        target = row.child(self.name, slot) if self.decoding.n > 1 else row
        event: dict[str, JSON] = {
            "stage": self.name,
            "prompt": prompt.label,
            "model": context.model_label(self.model),
            "strategy": self.decoding.key()["strategy"],
            "attempt": attempt,
            "tokens": [reply.prompt_tokens, reply.completion_tokens],
        }
        if not self.decoding.deterministic:
            event["seed"] = seed
        if reply.logprob is not None:
            event["logprob"] = round(reply.logprob, 4)
        verdict = self._columns(prompt, reply, context)
        if isinstance(verdict, Fault):
            detail = {**verdict.detail, "reply": reply.text[:_SHOWN]}
            return Rejection(target.with_data({}, event), verdict.reason, detail, attempt + 1)
        return target.with_data(verdict, event)

    def _columns(self, prompt: Prompt, reply: Reply, context: Context) -> dict[str, JSON] | Fault:
        """The columns that a reply fills, or why it fills none."""
        if reply.finish == "error":
            reason, _, detail = reply.error.partition(": ")
            return Fault(reason, {"found": detail})
        if reply.finish == "length" and not self.allow_cut:
            return Fault("cut_at_max_tokens", {"max_tokens": self.decoding.max_tokens})
        parsed = parse_reply(prompt.output, reply.text)
        if isinstance(parsed, ParseFault):
            return Fault(parsed.reason, {"found": parsed.detail})
        if not isinstance(self.adds, str):
            return _picked(parsed.value, self.adds)
        if self.length is not None and isinstance(parsed.value, str):
            fault = self.length.fault(parsed.value, partial(_count, context, self.model))
            if fault is not None:
                return fault
        return {self.adds: parsed.value}


def _count(context: Context, model: str, text: str) -> int:
    tokenizer = context.shared(f"tokenizer {model}", partial(_open_tokenizer, context, model))
    return tokenizer.count(text)


def _open_tokenizer(context: Context, model: str) -> "TokenSpans":
    from chains.models import open_tokenizer

    return open_tokenizer(context.spec(model))


def _picked(value: Any, columns: tuple[str, ...]) -> dict[str, JSON] | Fault:
    if not isinstance(value, dict):
        return Fault("not_an_object", {"found": type(value).__name__})
    missing = [column for column in columns if column not in value]
    if missing:
        return Fault("missing_key", {"missing": missing})
    return {column: value[column] for column in columns}


def _worth_another_try(outcome: Outcome) -> bool:
    return isinstance(outcome, Rejection) and outcome.reason != "context_overflow"
