"""`paraphrase`: a model says the same in other words.

- {kind: paraphrase, model: writer, field: question, variants: 2}

"When does the museum open?"  ->  itself, "What time does the museum open?", "At which hour ...?"
"""

from functools import partial
from typing import Annotated, Literal

from pydantic import Field, field_validator

from chains.calls import Call
from chains.decoding import AnyDecoding, Decoding, Sample
from pipelines.aim import Aim, Trial
from pipelines.length import Length
from pipelines.rows import JSON, Row
from pipelines.stages.augment.base import (
    Augment,
    Proposal,
    Proposing,
    ask_one,
    check_text_prompt,
    cleaned,
    reply_fault,
    single,
)
from pipelines.stages.base import STAGES, Context, JobView
from pipelines.stages.counting import count_tokens
from prompts.errors import UsageError


@STAGES.register
class Paraphrase(Augment):
    """Variants written by one model with one prompt.

    Attributes:
        model: Name of one of the job's models.
        prompt: Name of a prompt with the variable `text`; its other variables are taken from the
            columns of the same names.
        decoding: How the model decodes; one reply a try.
        length: How long a variant is to be, and what is done for that.
    """

    kind: Literal["paraphrase"] = "paraphrase"
    model: Annotated[str, Field(min_length=1)]
    prompt: Annotated[str, Field(min_length=1)] = "rewrite/paraphrase"
    decoding: AnyDecoding = Sample(temperature=0.9, top_p=0.95)
    length: Length | None = None

    @field_validator("decoding")
    @classmethod
    def _one_reply(cls, value: Decoding) -> Decoding:
        return single(value)

    @property
    def deterministic(self) -> bool:
        """Whether the decoding gives one prompt one reply."""
        return self.decoding.deterministic

    def check(self, job: JobView) -> None:
        """The model exists, the prompt has the variable `text`, and its others are columns."""
        job.model(self.model, key="model")
        check_text_prompt(job, self.prompt, "prompt", given={"text"})
        if self.length is not None:
            self.length.check(self.decoding)
            if self.length.candidates > 1:
                fix = "raise 'attempts' instead"
                problem = "the gates choose among the candidates for a variant"
                raise UsageError(problem, fix=fix, key="length.candidates")

    def propose(self, row: Row, text: str, slot: int, attempt: int, context: Context) -> Proposing:
        """One reply to the prompt."""
        prompt = context.prompt(self.prompt)
        values = {n: text if n == "text" else row.data[n] for n in prompt.variables}
        seed = context.seed(row, attempt, slot)
        messages = context.chat(prompt, values)
        aim = None if self.length is None else Aim.at(self.length, context.seed(row, 0, slot))
        guides = () if aim is None or context.spec(self.model).server else aim.guides()
        said = messages if aim is None else aim.said(messages)
        reply = yield from ask_one(self.model, Call(said, self.decoding, seed, guides))
        event: dict[str, JSON] = {
            "prompt": prompt.label,
            "model": context.model_label(self.model),
            "strategy": self.decoding.key()["strategy"],
        }
        if not self.deterministic:
            event["seed"] = seed
        fault = reply_fault(reply, self.decoding.max_tokens)
        if aim is None or reply.finish == "error":
            return Proposal(reply.text, event, fault)
        trial = Trial(
            slot, attempt, guided=bool(guides), stops=True, max_tokens=self.decoding.max_tokens
        )
        # Cleaned first: what is taken off does not count.
        variant, fault = cleaned(reply.text, text)
        judged = aim.judged(reply, variant, trial, partial(count_tokens, context, self.model))
        return Proposal(judged.text, {**event, "length": judged.event}, fault or judged.fault)
