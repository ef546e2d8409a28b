"""`generate`: a prompt and a model fill one or several columns.

    - {kind: generate, model: writer, prompt: qa/question, adds: question,
       decoding: {strategy: sample, temperature: 0.8, n: 2}, length: {unit: words, min: 5, max: 25}}

The prompt's variables are taken from the row's columns of the same names; `inputs` maps other
names. With n > 1 the row becomes n rows of one family. A reply that is cut, cannot be parsed or has
the wrong length is asked for again with a new seed, `attempts` times in all; a deterministic
strategy would only repeat itself and is asked once.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator

from chains.calls import Call, Message, Reply
from chains.decoding import AnyDecoding, Sample
from chains.decoding.grammar import guides_for, refuse_conflicts
from chains.decoding.guide import GuideSettings
from chains.decoding.seeds import reply_seed
from chains.parsing import ParseFault, parse_reply
from pipelines.aim import Aim, Trial
from pipelines.length import Length
from pipelines.rows import JSON, Outcome, Rejection, Row
from pipelines.stages.base import STAGES, Ask, Context, Fault, JobView, ModelStage, State, Work
from pipelines.stages.counting import count_tokens
from pipelines.stages.diversity.few_shot import FewShot, pooled
from pipelines.stages.overflow import fit
from prompts.errors import UsageError
from prompts.prompt import Prompt

if TYPE_CHECKING:
    from pipelines.sources.base import SourceView

_SHOWN = 10_000  # characters of a refused reply that are kept


@dataclass(frozen=True, slots=True)
class Asking:
    """What is asked for one row, and where.

    Attributes:
        row: The row.
        prompt: Its prompt.
        messages: The prompt with the row's values.
        aims: The length of each reply; none where the stage has no `length`.
        context: The stage's context.
    """

    row: Row
    prompt: Prompt
    messages: tuple[Message, ...]
    aims: tuple[Aim | None, ...]
    context: Context


@STAGES.register
class Generate(ModelStage):
    """Ask a model with a prompt.

    Attributes:
        model: Name of one of the job's models.
        prompt: Name of a prompt.
        adds: The column for the reply; with output json a list takes the keys of these names.
        inputs: Prompt variable -> column, where the names differ.
        attempts: How often a reply may be asked for.
        length: How long a reply is to be, and what is done for that; one that misses it is asked
            for again.
        overflow: What becomes of a row whose prompt does not fit the window with `max_tokens` to
            spare: reject it, truncate its longest variable, or split that into several rows.
        allow_cut: Keep a reply that was cut at `max_tokens`; a later `clean` can mend its end.
        examples: Worked examples that are drawn for each row, in place of the prompt's own.
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
    examples: FewShot | None = None

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
        """The columns of `adds`, and that of the examples."""
        shown = {self.examples.adds} - {""} if self.examples else set()
        return shown | ({self.adds} if isinstance(self.adds, str) else set(self.adds))

    def uses_embedder(self) -> bool:
        """Where examples are chosen by their meaning."""
        return self.examples is not None and self.examples.choose != "random"

    def fingerprint(self, view: "SourceView") -> str:
        """Changes with the file of examples too."""
        own = super().fingerprint(view)
        return own + self.examples.fingerprint(view) if self.examples else own

    def open_state(self) -> State | None:
        """The pool that examples are drawn from, if there is one."""
        return self.examples.open_state() if self.examples else None

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Ask about all rows together; what is let through goes into the pool, if there is one."""
        for outcome in super().run(rows, context):
            if context.state is not None and isinstance(outcome, Row):
                context.state.note(pooled(outcome, self, context.prompt(self.prompt)))
            yield outcome

    def check(self, job: JobView) -> None:
        """The model and the prompt exist and fit `adds`."""
        job.model(self.model, key="model")
        prompt = job.prompt(self.prompt, key="prompt")
        if stray := sorted(set(self.inputs) - set(prompt.variables)):
            known = ", ".join(sorted(prompt.variables)) or "none"
            problem = f"prompt '{self.prompt}' has no variable '{stray[0]}'"
            raise UsageError(problem, fix=f"its variables: {known}", key="inputs")
        if not isinstance(self.adds, str) and prompt.output.form != "json":
            fix = "write one column name, or give the prompt 'output: {form: json}'"
            problem = f"prompt '{self.prompt}' answers with {prompt.output.form}, not json"
            raise UsageError(problem, fix=fix, key="adds")
        refuse_conflicts(prompt.output, self.decoding)
        if self.length is not None:
            self._check_length(prompt, self.length)
        if self.examples is not None:
            self.examples.check(prompt, self.adds, job)
        job.need(self._columns_read(prompt), key="prompt")

    def _check_length(self, prompt: Prompt, length: Length) -> None:
        if not isinstance(self.adds, str):
            fix = "give adds one column, or use the stage 'length' on one of them"
            raise UsageError("a length is that of one column", fix=fix, key="length")
        length.check(self.decoding)

    def work(self, row: Row, context: Context) -> Work:
        """Ask for every reply of the row until it is accepted or the attempts are used up."""
        prompt = context.prompt(self.prompt)
        if missing := sorted(self._columns_read(prompt) - row.data.keys()):
            detail = {"column": missing[0], "columns": sorted(row.data)}
            return [Rejection(row, "missing_column", detail)]
        if self.examples is not None:
            row, prompt = yield from self.examples.show(row, self, prompt, context)
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
        asking = Asking(row, prompt, messages, self._aims(row, prompt, context), context)
        slots: dict[int, Outcome] = {}
        pending = list(range(self.decoding.n))
        for attempt in range(1 if self.decoding.deterministic else self.attempts):
            found = yield from self._ask(asking, [self._trial(slot, attempt) for slot in pending])
            found += yield from self._ask(asking, [*self._more_candidates(found)])
            for slot in pending:
                outcomes = [outcome for trial, outcome in found if trial.slot == slot]
                slots[slot] = _nearest(outcomes, asking.aims[slot])
            pending = [slot for slot in pending if _worth_another_try(slots[slot])]
            if not pending:
                break
        return [slots[slot] for slot in sorted(slots)]

    def _aims(self, row: Row, prompt: Prompt, context: Context) -> tuple[Aim | None, ...]:
        """The length of each reply; replies of one search share theirs."""
        if self.length is None:
            return (None,) * self.decoding.n
        length = self.length
        if prompt.output.form != "text":  # other forms have a shape of their own: only measured
            length = length.model_copy(update={"layers": ()})
        slots = [0 if self.decoding.joint else slot for slot in range(self.decoding.n)]
        return tuple(Aim.at(length, context.seed(row, 0, slot)) for slot in slots)

    def _trial(self, slot: int, attempt: int) -> Trial:
        decoding = self.decoding
        return Trial(
            slot,
            attempt,
            stops=bool(decoding.stop),
            max_tokens=decoding.max_tokens,
            allow_cut=self.allow_cut,
        )

    def _more_candidates(self, found: Sequence[tuple[Trial, Outcome]]) -> Iterator[Trial]:
        """Of each slot whose first reply has another length."""
        for trial, outcome in found if self.length is not None else ():
            if isinstance(outcome, Rejection) and _length_of(outcome) is not None:
                for candidate in range(1, self.length.candidates if self.length else 1):
                    yield replace(trial, candidate=candidate)

    def _ask(
        self, asking: Asking, trials: list[Trial]
    ) -> Generator[Ask, Any, list[tuple[Trial, Outcome]]]:
        """What becomes of each trial."""
        if not trials:
            return []
        calls = self._calls(asking, trials)
        answers = yield Ask(self.model, calls)
        if asking.prompt.output.form == "text":  # guides of other forms say nothing of the length
            trials = [replace(trial, guided=bool(calls[0].guides)) for trial in trials]
        return [
            (trial, self._judge(asking, trial, call.seed, reply))
            for trial, call, reply in self._by_trial(trials, calls, answers)
        ]

    def _calls(self, asking: Asking, trials: Sequence[Trial]) -> tuple[Call, ...]:
        decoding = self.decoding
        if decoding.joint:
            trials = trials[:1]
        elif decoding.n > 1:
            decoding = decoding.model_copy(update={"n": 1})
        calls = []
        for trial in trials:
            slot = 0 if decoding.joint else trial.slot
            seed = reply_seed(asking.context.seed(asking.row, trial.attempt, slot), trial.candidate)
            aim = asking.aims[slot]
            messages = asking.messages if aim is None else aim.said(asking.messages)
            calls.append(Call(messages, decoding, seed, self._guides(asking, aim)))
        return tuple(calls)

    def _guides(self, asking: Asking, aim: Aim | None) -> tuple[GuideSettings, ...]:
        """What steers the decoding; of a server only the output form."""
        form = guides_for(asking.prompt.output)
        if aim is None or asking.context.spec(self.model).server:
            return form
        return (*form, *aim.guides())

    def _by_trial(
        self, trials: Sequence[Trial], calls: tuple[Call, ...], answers: list[list[Reply]]
    ) -> list[tuple[Trial, Call, Reply]]:
        """The reply to every trial; one without a reply gets an error for one."""
        none = Reply("", "error", error="no_reply: the model gave fewer replies than asked for")
        if self.decoding.joint:
            replies = answers[0]
            if len(replies) == 1 and replies[0].finish == "error":
                replies = replies * self.decoding.n
            padded = [*replies, *[none] * self.decoding.n]
            return [(trial, calls[0], padded[trial.slot]) for trial in trials]
        return [
            (trial, call, replies[0] if replies else none)
            for trial, call, replies in zip(trials, calls, answers, strict=True)
        ]

    def _judge(self, asking: Asking, trial: Trial, seed: int, reply: Reply) -> Outcome:
        row, context = asking.row, asking.context
        target = row.child(self.name, trial.slot) if self.decoding.n > 1 else row
        event: dict[str, JSON] = {
            "stage": self.name,
            "prompt": asking.prompt.label,
            "model": context.model_label(self.model),
            "strategy": self.decoding.key()["strategy"],
            "attempt": trial.attempt,
            "tokens": [reply.prompt_tokens, reply.completion_tokens],
        }
        if not self.decoding.deterministic:
            event["seed"] = seed
        if reply.logprob is not None:
            event["logprob"] = round(reply.logprob, 4)
        if reply.score is not None:
            event["score"] = round(reply.score, 4)
        verdict = self._columns(asking, trial, reply, event)
        if isinstance(verdict, Fault):
            detail = {**verdict.detail, "reply": reply.text[:_SHOWN]}
            return Rejection(target.with_data({}, event), verdict.reason, detail, trial.attempt + 1)
        return target.with_data(verdict, event)

    def _columns(
        self, asking: Asking, trial: Trial, reply: Reply, event: dict[str, JSON]
    ) -> dict[str, JSON] | Fault:
        """The columns that a reply fills, or why it fills none; its length goes into `event`."""
        if reply.finish == "error":
            reason, _, detail = reply.error.partition(": ")
            return Fault(reason, {"found": detail})
        output, aim = asking.prompt.output, asking.aims[trial.slot]
        trimmable = aim is not None and output.form == "text"
        if reply.finish == "length" and not self.allow_cut and not trimmable:
            return Fault("cut_at_max_tokens", {"max_tokens": self.decoding.max_tokens})
        parsed = parse_reply(output, reply.text)
        if isinstance(parsed, ParseFault):
            return Fault(parsed.reason, {"found": parsed.detail})
        if not isinstance(self.adds, str):
            return _picked(parsed.value, self.adds)
        if aim is None or not isinstance(parsed.value, str):
            return {self.adds: parsed.value}
        count = partial(count_tokens, asking.context, self.model)
        judged = aim.judged(reply, parsed.value, trial, count)
        event["length"] = judged.event
        return judged.fault or {self.adds: judged.text}


def _picked(value: Any, columns: tuple[str, ...]) -> dict[str, JSON] | Fault:
    if not isinstance(value, dict):
        return Fault("not_an_object", {"found": type(value).__name__})
    if missing := [column for column in columns if column not in value]:
        return Fault("missing_key", {"missing": missing})
    return {column: value[column] for column in columns}


def _worth_another_try(outcome: Outcome) -> bool:
    return isinstance(outcome, Rejection) and outcome.reason != "context_overflow"


def _length_of(outcome: Outcome) -> int | None:
    """How long the reply was; None where it was not measured."""
    row = outcome.row if isinstance(outcome, Rejection) else outcome
    measured = row.history[-1].get("length") if row.history else None
    return None if measured is None else int(measured["length"])


def _nearest(outcomes: Sequence[Outcome], aim: Aim | None) -> Outcome:
    """The first of those that are nearest to the aim, accepted ones before the others."""

    def rank(outcome: Outcome) -> tuple[bool, float]:
        length = _length_of(outcome)
        distance = inf if aim is None or length is None else aim.distance(length)
        return isinstance(outcome, Rejection), distance

    return min(outcomes, key=rank)
