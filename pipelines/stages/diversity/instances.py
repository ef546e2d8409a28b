"""`instances`: an instruction gets an input and an output (Self-Instruct; Wang et al. 2023).

    - {kind: instances, model: writer, field: instruction}

    {"instruction": "Say whether the review is positive or negative."}
    ->  {"input": "The soup was cold.", "output": "negative", "labels": ["positive", "negative"]}
    {"instruction": "Name three rivers."}
    ->  {"input": "", "output": "Elbe, Danube, Spree.", "labels": []}

Inputs that are invented first are mostly of one class. So the labels of a classification come
first: one of them is drawn, and the input is written for it. Other instructions get their input
first, which may be none, and then the output.
"""

import random
from collections.abc import Generator
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from chains.calls import Call
from chains.decoding import AnyDecoding, Decoding, Greedy, Sample
from chains.decoding.grammar import guides_for
from pipelines.rows import JSON, Fault, Rejection, Row
from pipelines.stages.base import STAGES, Context, JobView, ModelStage, Request, Work
from pipelines.stages.columns import read_text
from pipelines.stages.diversity.asking import chat_values, check_prompt, value_of
from pipelines.stages.shapes.asking import ask_once
from prompts.errors import UsageError

MOST_LABELS, LONGEST_LABEL = 10, 5
"""Labels of a task, and words of one: what is beyond is no set of labels."""

NONE = frozenset({"none", "no input", "n/a", "empty", "nothing", "-"})
"""Replies, in lower case and without a full stop, that say there is no input."""

Values = dict[str, Any]


@STAGES.register
class Instances(ModelStage):
    """Write input and output of an instruction, the label first where it is a classification.

    Attributes:
        model: Name of one of the job's models.
        field: The column with the instruction.
        adds: The columns for the input, the output and the list of labels.
        kind_prompt: Says whether the instruction is a classification; its output form is a choice
            of `yes` and `no`.
        labels_prompt: Lists the labels, one a line (output form lines).
        labelled_prompt: Writes an input for the variable `label`.
        input_prompt: Writes an input, or `none`.
        output_prompt: Writes the output, given the variable `input`, which may be empty.
        decoding: How labels, inputs and outputs are decoded.
        attempts: Tries for each of them.
    """

    kind: Literal["instances"] = "instances"
    model: Annotated[str, Field(min_length=1)]
    field: Annotated[str, Field(min_length=1)] = "instruction"
    adds: tuple[str, str, str] = ("input", "output", "labels")
    kind_prompt: str = "instance/is_classification"
    labels_prompt: str = "instance/labels"
    labelled_prompt: str = "instance/input_for_label"
    input_prompt: str = "instance/input"
    output_prompt: str = "instance/output"
    decoding: AnyDecoding = Sample(temperature=0.7, top_p=0.95, max_tokens=150)
    attempts: Annotated[int, Field(ge=1, le=100)] = 3

    @field_validator("decoding")
    @classmethod
    def _one_reply(cls, value: Decoding) -> Decoding:
        if value.n != 1:
            raise ValueError("here n is 1: an instruction gets one instance")
        return value

    def default_name(self) -> str:
        """The kind."""
        return self.kind

    def columns_needed(self) -> set[str]:
        """The instruction."""
        return {self.field}

    def columns_added(self) -> set[str]:
        """Input, output and labels."""
        return set(self.adds)

    def check(self, job: JobView) -> None:
        """The model and the prompts are there, and answer as they have to."""
        job.model(self.model, key="model")
        given = {"instruction"}
        kind = check_prompt(
            job, self.kind_prompt, given=given, forms=("choice",), key="kind_prompt"
        )
        if set(kind.output.choices) != {"yes", "no"}:
            fix = "write 'choices: [yes, no]', in quotes"
            problem = f"prompt '{self.kind_prompt}' has other choices than yes and no"
            raise UsageError(problem, fix=fix, key="kind_prompt")
        check_prompt(job, self.labels_prompt, given=given, forms=("lines",), key="labels_prompt")
        for key, more in (
            ("labelled_prompt", "label"),
            ("input_prompt", ""),
            ("output_prompt", "input"),
        ):
            check_prompt(job, getattr(self, key), given=given | {more}, key=key)

    def work(self, row: Row, context: Context) -> Work:
        """Ask what kind of instruction it is, then for its parts in the order of that kind."""
        text = read_text(row, self.field)
        if isinstance(text, Fault):
            return [Rejection(row, text.reason, text.detail)]
        event: dict[str, JSON] = {
            "stage": self.name,
            "operation": self.kind,
            "model": context.model_label(self.model),
            "seed": context.seed(row),
        }
        values = {"instruction": text}
        found = yield from self._ask(
            row, self.kind_prompt, values, 0, context, Greedy(max_tokens=8)
        )
        if not isinstance(found, Fault):
            event["classification"] = found == "yes"
            way = self._labelled if found == "yes" else self._open
            found = yield from way(row, values, context)
        if isinstance(found, Fault):
            return [Rejection(row.with_data({}, event), found.reason, found.detail, self.attempts)]
        return [row.with_data(dict(zip(self.adds, found, strict=True)), event)]

    def _labelled(self, row: Row, values: Values, context: Context) -> Generator[Request, Any, Any]:
        """Labels, one of them, and an input for it."""
        lines = yield from self._ask(row, self.labels_prompt, values, 1, context)
        if isinstance(lines, Fault):
            return lines
        labels = [line for line in dict.fromkeys(lines) if len(line.split()) <= LONGEST_LABEL]
        labels = labels[:MOST_LABELS]
        if len(labels) < 2:
            return Fault("no_labels", {"found": lines})
        label = random.Random(context.seed(row)).choice(labels)
        given = {**values, "label": label}
        text = yield from self._ask(row, self.labelled_prompt, given, 2, context)
        return text if isinstance(text, Fault) else (text, label, labels)

    def _open(self, row: Row, values: Values, context: Context) -> Generator[Request, Any, Any]:
        """An input, if there is to be one, and the output."""
        text = yield from self._ask(row, self.input_prompt, values, 3, context)
        if isinstance(text, Fault):
            return text
        text = "" if text.strip().rstrip(".").casefold() in NONE else text
        given = {**values, "input": text}
        output = yield from self._ask(row, self.output_prompt, given, 4, context)
        return output if isinstance(output, Fault) else (text, output, [])

    def _ask(
        self,
        row: Row,
        name: str,
        values: Values,
        slot: int,
        context: Context,
        decoding: Decoding | None = None,
    ) -> Generator[Request, Any, Any]:
        """The value of a reply, or why there is none after all tries."""
        prompt = context.prompt(name)
        chat = context.chat(prompt, chat_values(context, name, row.data, values))
        decoding = decoding or self.decoding
        for attempt in range(1 if decoding.deterministic else self.attempts):
            seed = context.seed(row, attempt, slot)
            call = Call(chat, decoding, seed, guides_for(prompt.output))
            reply = yield from ask_once(self.model, call)
            value = value_of(reply, prompt.output, call)
            if not isinstance(value, Fault) or value.reason == "context_overflow":
                break
        return value
