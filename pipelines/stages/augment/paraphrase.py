"""`paraphrase`: a model says the same in other words.

- {kind: paraphrase, model: writer, field: question, variants: 2}

"When does the museum open?"  ->  itself, "What time does the museum open?", "At which hour ...?"
"""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from chains.calls import Call
from chains.decoding import AnyDecoding, Decoding, Sample
from pipelines.rows import JSON, Row
from pipelines.stages.augment.base import (
    Augment,
    Proposal,
    Proposing,
    ask_one,
    check_text_prompt,
    reply_fault,
    single,
)
from pipelines.stages.base import STAGES, Context, JobView


@STAGES.register
class Paraphrase(Augment):
    """Variants written by one model with one prompt.

    Attributes:
        model: Name of one of the job's models.
        prompt: Name of a prompt with the variable `text`; its other variables are taken from the
            columns of the same names.
        decoding: How the model decodes; one reply a try.
    """

    kind: Literal["paraphrase"] = "paraphrase"
    model: Annotated[str, Field(min_length=1)]
    prompt: Annotated[str, Field(min_length=1)] = "rewrite/paraphrase"
    decoding: AnyDecoding = Sample(temperature=0.9, top_p=0.95)

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

    def propose(self, row: Row, text: str, slot: int, attempt: int, context: Context) -> Proposing:
        """One reply to the prompt."""
        prompt = context.prompt(self.prompt)
        values = {n: text if n == "text" else row.data[n] for n in prompt.variables}
        seed = context.seed(row, attempt, slot)
        call = Call(context.chat(prompt, values), self.decoding, seed)
        reply = yield from ask_one(self.model, call)
        event: dict[str, JSON] = {
            "prompt": prompt.label,
            "model": context.model_label(self.model),
            "strategy": self.decoding.key()["strategy"],
        }
        if not self.deterministic:
            event["seed"] = seed
        return Proposal(reply.text, event, reply_fault(reply, self.decoding.max_tokens))
