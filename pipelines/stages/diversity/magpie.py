r"""`magpie`: the user's message is drawn from the model itself (Xu et al. 2024).

    - {kind: magpie, model: writer, adds: instruction}

    <|im_start|>user\n        ->  {"instruction": "How can I make my garden attractive to birds?"}

A model that was tuned on chats knows how users begin. It is shown what its chat template writes up
to the user's first word, and nothing else; what it goes on with, up to the token that ends the
turn, is the instruction. A `generate` then answers it. Only models on this machine can be asked so.
"""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from chains.calls import Call, Message
from chains.decoding import AnyDecoding, Decoding, Sample
from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.stages.augment.base import reply_fault
from pipelines.stages.base import STAGES, Ask, Context, JobView, ModelStage, Work
from pipelines.stages.columns import read_text
from pipelines.stages.heuristics.base import Text
from pipelines.stages.heuristics.refusal import Refusal
from prompts.errors import UsageError


@STAGES.register
class Magpie(ModelStage):
    """Draw a user's message for each row.

    Attributes:
        model: Name of one of the job's models, on this machine, tuned on chats.
        adds: The column for the message.
        system: A column with a system message; left out, the template's own stands there, if any.
        begin: A column with the first words of the message; left out, it is all the model's.
        decoding: How the model decodes; with `n` above 1 the row becomes `n` rows of one family.
        attempts: Tries for each message.
        min_words: The fewest words of a message.
    """

    kind: Literal["magpie"] = "magpie"
    model: Annotated[str, Field(min_length=1)]
    adds: Annotated[str, Field(min_length=1)] = "instruction"
    system: str = ""
    begin: str = ""
    decoding: AnyDecoding = Sample(temperature=1.0, top_p=0.95, max_tokens=128)
    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    min_words: Annotated[int, Field(ge=1)] = 4

    @field_validator("decoding")
    @classmethod
    def _draws(cls, value: Decoding) -> Decoding:
        if value.deterministic or value.joint:
            raise ValueError("the same beginning needs a strategy that samples, such as sample")
        return value

    def columns_needed(self) -> set[str]:
        """Those of the system message and of the first words, if there are any."""
        return {self.system, self.begin} - {""}

    def columns_added(self) -> set[str]:
        """The message."""
        return {self.adds}

    def check(self, job: JobView) -> None:
        """The model is on this machine."""
        if job.model(self.model, key="model").server:
            problem = f"model '{self.model}' is behind a server, whose chats end with a whole turn"
            raise UsageError(problem, fix="name a model on this machine", key="model")

    def work(self, row: Row, context: Context) -> Work:
        """Draw each message until it is accepted or the tries are used up."""
        texts = [read_text(row, name) for name in (self.system, self.begin) if name]
        for text in texts:
            if isinstance(text, Fault):
                return [Rejection(row, text.reason, text.detail)]
        chat = self._chat(row)
        outcomes: dict[int, Outcome] = {}
        pending = list(range(self.decoding.n))
        for attempt in range(self.attempts):
            seeds = [context.seed(row, attempt, slot) for slot in pending]
            single = self.decoding.model_copy(update={"n": 1})
            answers = yield Ask(self.model, tuple(Call(chat, single, seed) for seed in seeds))
            for slot, seed, replies in zip(pending, seeds, answers, strict=True):
                event: dict[str, JSON] = {
                    "stage": self.name,
                    "operation": self.kind,
                    "model": context.model_label(self.model),
                    "attempt": attempt,
                    "seed": seed,
                    "tokens": [replies[0].prompt_tokens, replies[0].completion_tokens],
                }
                target = row.child(self.name, slot) if self.decoding.n > 1 else row
                text = chat[-1].content + replies[0].text
                fault = reply_fault(replies[0], self.decoding.max_tokens) or self.fault(text)
                if fault is None:
                    outcomes[slot] = target.with_data({self.adds: text.strip()}, event)
                else:
                    detail = {**fault.detail, "reply": text}
                    refused = target.with_data({}, event)
                    outcomes[slot] = Rejection(refused, fault.reason, detail, attempt + 1)
            pending = [slot for slot in pending if isinstance(outcomes[slot], Rejection)]
            if not pending:
                break
        return [outcomes[slot] for slot in sorted(outcomes)]

    def fault(self, text: str) -> Fault | None:
        """Why a text is no user's message: too short, or the assistant speaks."""
        words = len(text.split())
        if words < self.min_words:
            return Fault("too_short", {"length": words, "min": self.min_words})
        return Refusal().find(Text(text))

    def _chat(self, row: Row) -> tuple[Message, ...]:
        start = Message("user_start", str(row.data[self.begin]) if self.begin else "")
        if not self.system:
            return (start,)
        return (Message("system", str(row.data[self.system])), start)
