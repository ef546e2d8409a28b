"""`self_instruct`: new instructions from seed instructions and from those it has made itself.

    - {kind: self_instruct, model: writer, seeds: seeds.jsonl}

    user: Write an instruction.          assistant: Name three rivers.            a seed
    user: Write an instruction.          assistant: Describe the smell of rain.   made in an earlier
    ...                                                                           block
    user: Write an instruction.          ->  {"instruction": "Explain how a lock works."}

After Wang et al. 2023: eight examples, six of them seeds; what comes is kept if it has a fitting
length, none of some words, and ROUGE-L below 0.7 with every instruction of the pool. One row of the
source gives one instruction, and its columns may be used in the prompt.
"""

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from chains.calls import Call, Message
from chains.decoding import AnyDecoding, Sample
from chains.decoding.grammar import guides_for, refuse_conflicts
from pipelines.rows import JSON, Fault, Rejection, Row
from pipelines.sources import Records
from pipelines.sources.files import PathView
from pipelines.stages.base import STAGES, Context, JobView, ModelStage, State, Work
from pipelines.stages.dedup.against import check_sets, fingerprint_sets, read_sets
from pipelines.stages.diversity.asking import TEXTS, ask_text, chat_values, check_prompt
from pipelines.stages.diversity.pool import Instruction, InstructionPool, keyword_fault
from pipelines.stages.heuristics.base import Text
from pipelines.stages.heuristics.refusal import Refusal
from prompts.errors import TextmillError, UsageError
from prompts.file_format import Example
from prompts.prompt import Prompt

if TYPE_CHECKING:
    from pipelines.sources.base import SourceView

SHOWN = "examples"
"""The variable of a prompt that shows the examples itself, as a list of texts."""

KEYWORDS = (
    "image", "images", "picture", "pictures", "photo", "graph", "diagram", "chart", "file", "map",
    "video", "audio", "link", "website", "attached",
)  # fmt: skip
"""What a model that reads and writes text alone cannot be given or asked for."""


@STAGES.register
class SelfInstruct(ModelStage):
    """Bootstrap instructions from a pool of seeds.

    Attributes:
        model: Name of one of the job's models.
        seeds: A path of records, or of a run, with seed instructions.
        seed_column: Their column.
        prompt: Shows the examples as turns before its last message, or itself by the variable
            `examples`; its other variables are columns.
        adds: The column for the instruction.
        from_seeds: Examples that are seeds.
        from_pool: Examples that were made in earlier blocks; seeds stand in for those not made yet.
        threshold: ROUGE-L, above 0 to 1, from which on an instruction is too near to another.
        min_words: The fewest words of an instruction.
        max_words: The most.
        keywords: Words and phrases that an instruction must not have.
        decoding: How the model decodes.
        attempts: Tries for each row, each with other examples.
    """

    kind: Literal["self_instruct"] = "self_instruct"
    model: Annotated[str, Field(min_length=1)]
    seeds: Annotated[str, Field(min_length=1)]
    seed_column: Annotated[str, Field(min_length=1)] = "instruction"
    prompt: Annotated[str, Field(min_length=1)] = "instruction/self_instruct"
    adds: Annotated[str, Field(min_length=1)] = "instruction"
    from_seeds: Annotated[int, Field(ge=1, le=32)] = 6
    from_pool: Annotated[int, Field(ge=0, le=32)] = 2
    threshold: Annotated[float, Field(gt=0, le=1)] = 0.7
    min_words: Annotated[int, Field(ge=1)] = 4
    max_words: Annotated[int, Field(ge=1)] = 150
    keywords: tuple[Annotated[str, Field(min_length=1)], ...] = KEYWORDS
    decoding: AnyDecoding = Sample(temperature=0.7, top_p=0.95, max_tokens=60, stop=("\n",))
    attempts: Annotated[int, Field(ge=1, le=100)] = 5

    @model_validator(mode="after")
    def _settings_fit(self) -> "SelfInstruct":
        if self.min_words > self.max_words:
            raise ValueError(f"min_words {self.min_words} is above max_words {self.max_words}")
        if self.decoding.n > 1:
            raise ValueError("here n is 1: one row gives one instruction")
        return self

    def columns_added(self) -> set[str]:
        """The instruction."""
        return {self.adds}

    def check(self, job: JobView) -> None:
        """Model, prompt and seeds are there and fit together."""
        job.model(self.model, key="model")
        prompt = check_prompt(job, self.prompt, given={SHOWN}, forms=TEXTS)
        refuse_conflicts(prompt.output, self.decoding)
        asked = prompt.variables_asked()
        if SHOWN not in prompt.variables_used() and asked:
            fix = "show the list {{ examples }} in it, or leave its variables out"
            problem = f"the last message of prompt '{self.prompt}' has '{min(asked)}', which seeds "
            raise UsageError(problem + "have no value for", fix=fix, key="prompt")
        try:
            check_sets(self._sets(), (self.adds,), job)
        except TextmillError as exc:
            if exc.file is None:
                exc.key = "seeds"
            raise
        if SHOWN not in prompt.variables_used():
            self._check_seeds(prompt, job)

    def _check_seeds(self, prompt: Prompt, job: JobView) -> None:
        """Seeds that stand as replies have the form that replies are held to."""
        if prompt.output.form != "regex":
            return
        for seed in self._read(job):
            if not prompt.output.matches(seed.text):
                problem = f"{seed.id} does not match the pattern of prompt '{self.prompt}'"
                raise UsageError(problem, fix=f"rewrite it: {seed.text!r:.80}", key="seeds")

    def fingerprint(self, view: "SourceView") -> str:
        """Changes with the seeds."""
        return super().fingerprint(view) + fingerprint_sets(self._sets(), view)

    def open_state(self) -> State:
        """An empty pool."""
        return InstructionPool(self.threshold)

    def work(self, row: Row, context: Context) -> Work:
        """Ask with examples drawn anew until an instruction is taken into the pool."""
        pool: InstructionPool = context.state
        if not pool.opened:
            pool.open(self._read(context))
        fault: Fault | None = None
        for attempt in range(1 if self.decoding.deterministic else self.attempts):
            seed = context.seed(row, attempt)
            examples = pool.drawn(random.Random(seed), self.from_seeds, self.from_pool)
            output = context.prompt(self.prompt).output
            chat = self._chat(row, examples, context)
            call = Call(chat, self.decoding, seed, guides_for(output))
            found, reply = yield from ask_text(self.model, call, output)
            event: dict[str, JSON] = {
                "stage": self.name,
                "operation": self.kind,
                "prompt": context.prompt(self.prompt).label,
                "model": context.model_label(self.model),
                "attempt": attempt,
                "seed": seed,
                "examples": [example.id for example in examples],
                "tokens": [reply.prompt_tokens, reply.completion_tokens],
            }
            if isinstance(found, Fault):
                fault = found
            else:
                fault = self.fault(found) or pool.enter(row.id, found)
                if fault is None:
                    return [row.with_data({self.adds: found}, event)]
                fault = Fault(fault.reason, {**fault.detail, "reply": found})
            if fault.reason == "context_overflow":
                break
        assert fault is not None
        refused = row.with_data({}, event)
        return [Rejection(refused, fault.reason, fault.detail, attempt + 1)]

    def fault(self, text: str) -> Fault | None:
        """Why a text is no instruction to keep, whatever the pool holds."""
        words = len(text.split())
        bounds = {"length": words, "min": self.min_words, "max": self.max_words}
        if words < self.min_words:
            return Fault("too_short", bounds)
        if words > self.max_words:
            return Fault("too_long", bounds)
        if not (text[0].isalnum() or text[0] in "\"'“¿¡"):
            return Fault("odd_beginning", {"found": text[:20]})
        return keyword_fault(text, self.keywords) or Refusal().find(Text(text))

    def _chat(self, row: Row, examples: list[Instruction], context: Context) -> tuple[Message, ...]:
        prompt = context.prompt(self.prompt)
        texts = [example.text for example in examples]
        if SHOWN not in prompt.variables_used():
            prompt = prompt.with_examples([Example(reply=text) for text in texts])
        values = chat_values(context, self.prompt, row.data, {SHOWN: texts})
        return context.chat(prompt, values)

    def _sets(self) -> dict[str, Records]:
        columns = {self.adds: self.seed_column}
        return {self.seeds: Records.model_validate({"path": self.seeds, "columns": columns})}

    def _read(self, view: PathView) -> Iterator[Instruction]:
        for _, record, seed in read_sets(self._sets(), view):
            text = seed.data[self.adds]
            if isinstance(text, str) and text.strip():
                yield Instruction(f"seed {record}", text.strip())
