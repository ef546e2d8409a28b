"""`evolve`: instructions made harder or rarer, step by step (Evol-Instruct; Xu et al. 2023).

    - {kind: evolve, model: writer, field: instruction, rounds: 2, adds: response}

    {"instruction": "Describe a river."}
    ->  {"instruction": "Describe a river in winter for somebody who cannot see.", "response": ...}
    history: {"operation": "evolve", "prompt": "evolve/concretise@1f0c", "parent": ...}

An operation is a prompt: those of the library add a constraint, deepen, concretise, ask for
reasoning (in depth), or make a rarer instruction of the same field (in breadth). Every step is
answered; a step that gains nothing, or cannot be answered, is taken back.
"""

import random
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from chains.calls import Call
from chains.decoding import AnyDecoding, Decoding, Sample
from chains.decoding.grammar import guides_for, refuse_conflicts
from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.stages.base import STAGES, Context, JobView, ModelStage, Request, Work
from pipelines.stages.columns import read_text
from pipelines.stages.diversity.asking import TEXTS, ask_text, chat_values, check_prompt
from pipelines.stages.diversity.elimination import fault_of_answer, fault_of_step

INSTRUCTION = "instruction"
"""The variable of the prompts that is given the instruction."""

OPERATIONS = (
    "evolve/constrain",
    "evolve/deepen",
    "evolve/concretise",
    "evolve/reason",
    "evolve/breadth",
)


@dataclass
class Step:
    """One round of one row.

    Attributes:
        text: The evolved instruction, or what was written instead.
        answer: Its answer, as far as it was asked for.
        event: For the history.
        fault: Why the step is taken back, if it is.
        columns: What it puts into the row; nothing where it is taken back.
    """

    text: str
    answer: str
    event: dict[str, JSON]
    fault: Fault | None = None
    columns: dict[str, JSON] = field(default_factory=dict)


@STAGES.register
class Evolve(ModelStage):
    """Evolve one column, round after round, and answer it.

    Attributes:
        model: Name of one of the job's models; it writes the answers too.
        field: The column with the instruction.
        operations: Prompts with the variable `instruction`, of which each try draws one.
        rounds: Steps, one on the other.
        keep: `last` puts the last step into the row; `all` keeps the row as it is and makes a row
            of every step.
        failed: Where the tries of a round are used up: go on from its `parent`, or `reject` what
            that round should have given.
        answer: A prompt with the variable `instruction` that answers each step.
        adds: The column for the answer; left out, it only serves to judge the step.
        max_similarity: ROUGE-L of a step and its parent, above 0 to 1, from which on nothing is
            gained.
        max_words: The most words of an instruction.
        attempts: Tries for each round.
        decoding: How steps are decoded.
        answer_decoding: How answers are.
    """

    kind: Literal["evolve"] = "evolve"
    model: Annotated[str, Field(min_length=1)]
    field: Annotated[str, Field(min_length=1)]
    operations: Annotated[tuple[str, ...], Field(min_length=1)] = OPERATIONS
    rounds: Annotated[int, Field(ge=1, le=10)] = 1
    keep: Literal["last", "all"] = "last"
    failed: Literal["parent", "reject"] = "parent"
    answer: Annotated[str, Field(min_length=1)] = "instruction/answer"
    adds: str = ""
    max_similarity: Annotated[float, Field(gt=0, le=1)] = 0.85
    max_words: Annotated[int, Field(ge=1)] = 100
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    decoding: AnyDecoding = Sample(temperature=0.7, top_p=0.95, max_tokens=100)
    answer_decoding: AnyDecoding = Sample(temperature=0.5, top_p=0.9, max_tokens=200)

    @field_validator("decoding", "answer_decoding")
    @classmethod
    def _one_reply(cls, value: Decoding) -> Decoding:
        if value.n != 1:
            raise ValueError("here n is 1: a step goes on from one text")
        return value

    def default_name(self) -> str:
        """The kind: the column of answers may be another stage's name."""
        return self.kind

    def columns_needed(self) -> set[str]:
        """The instruction."""
        return {self.field}

    def columns_added(self) -> set[str]:
        """The answer."""
        return {self.adds} - {""}

    def check(self, job: JobView) -> None:
        """The model and the prompts are there."""
        job.model(self.model, key="model")
        for place, name in enumerate(self.operations):
            key = f"operations.{place}"
            prompt = check_prompt(job, name, given={INSTRUCTION}, forms=TEXTS, key=key)
            refuse_conflicts(prompt.output, self.decoding)
        check_prompt(job, self.answer, given={INSTRUCTION}, key="answer")

    def work(self, row: Row, context: Context) -> Work:
        """Round after round; a step that was taken back leaves its parent."""
        text = read_text(row, self.field)
        if isinstance(text, Fault):
            return [Rejection(row, text.reason, text.detail)]
        steps: list[Step] = []
        for number in range(self.rounds):
            parent = next((s.text for s in reversed(steps) if s.fault is None), text)
            step = yield from self._round(row, parent, number, context)
            steps.append(step)
            if step.fault is not None and self.failed == "reject":
                break
        first = yield from self._first(row, text, steps, context)
        return self._all(row, first, steps) if self.keep == "all" else [self._last(first, steps)]

    def _first(
        self, row: Row, text: str, steps: list[Step], context: Context
    ) -> Generator[Request, Any, Outcome]:
        """The row before any step, answered where it may come out so."""
        taken = any(step.fault is None for step in steps)
        needed = self.keep == "all" or (not taken and self.failed == "parent")
        if not self.adds or not needed:
            return row
        fault: Fault | None = None
        for attempt in range(self.attempts):
            seed = context.seed(row, attempt, 2 * self.rounds)
            call = self._call(row, self.answer, text, self.answer_decoding, seed, context)
            found, _ = yield from ask_text(self.model, call)
            fault = found if isinstance(found, Fault) else fault_of_answer(found)
            if fault is None:
                return row.with_data({self.adds: found})
            if fault.reason == "context_overflow":
                break
        assert fault is not None
        return Rejection(row, fault.reason, fault.detail, self.attempts)

    def _last(self, first: Outcome, steps: list[Step]) -> Outcome:
        """The row with its last step; one that could not be answered with none."""
        row = first.row if isinstance(first, Rejection) else first
        for step in steps:
            row = row.with_data(step.columns, step.event)
        fault = steps[-1].fault
        if fault is not None and self.failed == "reject":
            return Rejection(row, fault.reason, fault.detail, self.attempts)
        return replace(first, row=row) if isinstance(first, Rejection) else row

    def _all(self, row: Row, first: Outcome, steps: list[Step]) -> list[Outcome]:
        """The row itself, and one for every step."""
        place = row.child(self.name, 0)
        if isinstance(first, Rejection):
            outcomes: list[Outcome] = [replace(first, row=place)]
        else:
            outcomes = [_moved(first, place)]
        current = row
        for number, step in enumerate(steps, 1):
            current = current.with_data(step.columns, step.event)
            made = _moved(current, row.child(self.name, number))
            if step.fault is None:
                outcomes.append(made)
            else:
                fault = step.fault
                outcomes.append(Rejection(made, fault.reason, fault.detail, self.attempts))
        return outcomes

    def _round(
        self, row: Row, parent: str, number: int, context: Context
    ) -> Generator[Request, Any, Step]:
        for attempt in range(self.attempts):
            step = yield from self._step(row, parent, number, attempt, context)
            if step.fault is None:
                step.columns = {self.field: step.text}
                if self.adds:
                    step.columns[self.adds] = step.answer
                break
            if step.fault.reason == "context_overflow":
                break
        return step

    def _step(
        self, row: Row, parent: str, number: int, attempt: int, context: Context
    ) -> Generator[Request, Any, Step]:
        seed = context.seed(row, attempt, 2 * number)
        operation = random.Random(seed).choice(self.operations)
        event: dict[str, JSON] = {
            "stage": self.name,
            "operation": self.kind,
            "prompt": context.prompt(operation).label,
            "model": context.model_label(self.model),
            "round": number,
            "attempt": attempt,
            "seed": seed,
            "parent": parent,
        }
        call = self._call(row, operation, parent, self.decoding, seed, context)
        found, _ = yield from ask_text(self.model, call, context.prompt(operation).output)
        if isinstance(found, Fault):
            return _taken_back(Step("", "", event), found)
        step = Step(found, "", event)
        words = len(found.split())
        fault = fault_of_step(parent, found, self.max_similarity)
        if words > self.max_words:
            fault = fault or Fault("too_long", {"length": words, "max": self.max_words})
        if fault is not None:
            return _taken_back(step, fault)
        seed = context.seed(row, attempt, 2 * number + 1)
        call = self._call(row, self.answer, found, self.answer_decoding, seed, context)
        answer, _ = yield from ask_text(self.model, call)
        if isinstance(answer, Fault):
            return _taken_back(step, answer)
        step.answer = answer
        event["answer"] = context.prompt(self.answer).label
        fault = fault_of_answer(answer)
        return step if fault is None else _taken_back(step, fault)

    def _call(
        self, row: Row, name: str, text: str, decoding: Decoding, seed: int, context: Context
    ) -> Call:
        prompt = context.prompt(name)
        values = chat_values(context, name, row.data, {INSTRUCTION: text})
        return Call(context.chat(prompt, values), decoding, seed, guides_for(prompt.output))


def _taken_back(step: Step, fault: Fault) -> Step:
    """The step with its fault, which the history tells of too."""
    step.fault = Fault(fault.reason, {**fault.detail, "text": step.text, "answer": step.answer})
    step.event["taken_back"] = fault.reason
    return step


def _moved(row: Row, place: Row) -> Row:
    """The row's columns and history at another row's place."""
    return Row(place.id, place.order, place.family, row.data, row.history)
