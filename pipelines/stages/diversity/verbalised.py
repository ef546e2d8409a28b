"""`verbalised`: several replies at once, each with the probability that the model says it has.

    - {kind: verbalised, model: writer, prompt: review/write, adds: review, candidates: 5,
       max_probability: 0.1}

    {"responses": [{"text": "It broke on day two.", "probability": 0.06}, ...]}
    ->  one row for each of them, or one that is drawn by these probabilities

Verbalised sampling (Zhang et al. 2025): a tuned model's likeliest reply to "a joke" is one joke,
but its likeliest reply to "five jokes with their probabilities" spreads over many. The prompt's
last message is given the wording, and the reply is held to the JSON of the form above.
"""

import random
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from chains.calls import Call, Message
from chains.decoding import AnyDecoding, Decoding, Sample
from chains.decoding.grammar import guides_for, refuse_conflicts
from pipelines.normalising import normalised
from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.stages.base import STAGES, Context, JobView, ModelStage, Work
from pipelines.stages.diversity.asking import chat_values, check_prompt, value_of
from pipelines.stages.shapes.asking import ask_once
from prompts.errors import UsageError
from prompts.file_format import Output

WORDING = (
    "Give {candidates} different replies to this. Write JSON with the list `responses`; each entry "
    "has the `text` of one reply and its `probability`, from 0 to 1, among all replies that you "
    "could give.{tail}"
)
TAIL = " Take unusual replies only, each with a probability below {max_probability}."


@STAGES.register
class Verbalised(ModelStage):
    """Ask for a distribution of replies and take from it.

    Attributes:
        model: Name of one of the job's models.
        prompt: A prompt with output form text; its examples, which show single replies, are left
            out.
        adds: The column for the reply.
        inputs: Prompt variable -> column, where the names differ.
        candidates: Replies asked for at once.
        keep: `all` makes a row of each; `draw` draws one by the probabilities told.
        max_probability: The greatest probability, above 0 to 1, of a reply that is kept: below 1
            only unusual ones are.
        max_chars: The most characters of a reply.
        decoding: How the model decodes.
        attempts: Tries for a list that can be read.
    """

    kind: Literal["verbalised"] = "verbalised"
    model: Annotated[str, Field(min_length=1)]
    prompt: Annotated[str, Field(min_length=1)]
    adds: Annotated[str, Field(min_length=1)]
    inputs: dict[str, str] = {}
    candidates: Annotated[int, Field(ge=2, le=20)] = 5
    keep: Literal["all", "draw"] = "all"
    max_probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    max_chars: Annotated[int, Field(ge=1, le=10_000)] = 400
    decoding: AnyDecoding = Sample(temperature=0.9, top_p=0.95, max_tokens=600)
    attempts: Annotated[int, Field(ge=1, le=100)] = 3

    @field_validator("decoding")
    @classmethod
    def _one_list(cls, value: Decoding) -> Decoding:
        if value.n != 1:
            raise ValueError("here n is 1: 'candidates' says how many replies a list has")
        return value

    @cached_property
    def output(self) -> Output:
        """The form that the list is held to."""
        entry = {
            "type": "object",
            "properties": {
                "text": {"type": "string", "minLength": 1, "maxLength": self.max_chars},
                "probability": {"type": "number", "minimum": 0, "maximum": 1},
            },
            "required": ["text", "probability"],
            "additionalProperties": False,
        }
        count = {"minItems": self.candidates, "maxItems": self.candidates}
        schema = {
            "type": "object",
            "properties": {"responses": {"type": "array", "items": entry, **count}},
            "required": ["responses"],
            "additionalProperties": False,
        }
        return Output.model_validate({"form": "json", "schema": schema})

    def columns_needed(self) -> set[str]:
        """Columns that `inputs` names; those of the prompt are checked in `check`."""
        return set(self.inputs.values())

    def columns_added(self) -> set[str]:
        """The reply."""
        return {self.adds}

    def check(self, job: JobView) -> None:
        """Model and prompt are there; the list's form agrees with the decoding."""
        job.model(self.model, key="model")
        prompt = check_prompt(job, self.prompt, given=set(self.inputs))
        stray = sorted(set(self.inputs) - set(prompt.variables))
        if stray:
            fix = f"its variables: {', '.join(sorted(prompt.variables)) or 'none'}"
            problem = f"prompt '{self.prompt}' has no variable '{stray[0]}'"
            raise UsageError(problem, fix=fix, key="inputs")
        refuse_conflicts(self.output, self.decoding)

    def work(self, row: Row, context: Context) -> Work:
        """Ask until a list can be read, then take its replies one by one, or one of them."""
        chat = self._chat(row, context)
        tries = 1 if self.decoding.deterministic else self.attempts
        for attempt in range(tries):
            seed = context.seed(row, attempt)
            call = Call(chat, self.decoding, seed, guides_for(self.output))
            reply = yield from ask_once(self.model, call)
            event: dict[str, JSON] = {
                "stage": self.name,
                "operation": self.kind,
                "prompt": context.prompt(self.prompt).label,
                "model": context.model_label(self.model),
                "attempt": attempt,
                "seed": seed,
                "tokens": [reply.prompt_tokens, reply.completion_tokens],
            }
            value = value_of(reply, self.output, call)
            if not isinstance(value, Fault):
                return self._taken(row, value["responses"], event, seed)
            if value.reason == "context_overflow":
                break
        return [Rejection(row.with_data({}, event), value.reason, value.detail, attempt + 1)]

    def _chat(self, row: Row, context: Context) -> tuple[Message, ...]:
        columns = {**row.data, **{new: row.data[old] for new, old in self.inputs.items()}}
        values = chat_values(context, self.prompt, columns, {})
        *before, last = context.chat(context.prompt(self.prompt).with_examples(()), values)
        most = self.max_probability
        tail = TAIL.format(max_probability=f"{most:g}") if most < 1 else ""
        wording = WORDING.format(candidates=self.candidates, tail=tail)
        return (*before, last._replace(content=f"{last.content}\n\n{wording}"))

    def _taken(
        self, row: Row, entries: Sequence[Mapping[str, Any]], event: dict[str, JSON], seed: int
    ) -> list[Outcome]:
        faults = self._faults(entries)
        told = [float(entry["probability"]) for entry in entries]
        if self.keep == "all":
            return [
                self._outcome(row.child(self.name, at), entry, fault, event)
                for at, (entry, fault) in enumerate(zip(entries, faults, strict=True))
            ]
        usable = [at for at, fault in enumerate(faults) if fault is None]
        event = {**event, "probabilities": told}
        if not usable:
            return [self._outcome(row, entries[0], faults[0], event)]
        weights = [told[at] for at in usable]
        weights = weights if sum(weights) > 0 else [1.0] * len(usable)
        [drawn] = random.Random(seed).choices(usable, weights)
        return [self._outcome(row, entries[drawn], None, event)]

    def _faults(self, entries: Sequence[Mapping[str, Any]]) -> list[Fault | None]:
        """For each reply why it is not kept."""
        faults: list[Fault | None] = []
        seen: set[str] = set()
        for entry in entries:
            key, probability = normalised(entry["text"]), float(entry["probability"])
            if not entry["text"].strip():
                faults.append(Fault("empty"))
            elif key in seen:
                faults.append(Fault("repeated"))
            elif probability > self.max_probability:
                bound = {"probability": probability, "max": self.max_probability}
                faults.append(Fault("too_probable", bound))
            else:
                faults.append(None)
            seen.add(key)
        return faults

    def _outcome(
        self, row: Row, entry: Mapping[str, Any], fault: Fault | None, event: dict[str, JSON]
    ) -> Outcome:
        event = {**event, "probability": entry["probability"]}
        if fault is None:
            return row.with_data({self.adds: entry["text"].strip()}, event)
        detail = {**fault.detail, "reply": entry["text"]}
        return Rejection(row.with_data({}, event), fault.reason, detail)
