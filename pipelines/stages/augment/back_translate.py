"""`back_translate`: into another language and back again, which changes the wording on the way.

    - {kind: back_translate, field: question, forward: en_fr, back: fr_en}      # two translators
    - {kind: back_translate, field: question, model: writer, pivot: German}     # one chat model

    "A man is staring at something."  ->  "Un homme regarde quelque chose."
                                      ->  "A man is looking at something."

Sampling on the way there gives more varied text than beam search (Edunov et al. 2018); beam search
on the way back keeps it sound.
"""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from chains.calls import Call, Message
from chains.decoding import AnyDecoding, Beam, Decoding, Sample
from pipelines.cleaning import Cleaning
from pipelines.normalising import normalised
from pipelines.rows import JSON, Fault, Row
from pipelines.stages.augment.base import (
    Augment,
    Proposal,
    Proposing,
    ask_one,
    check_text_prompt,
    reply_fault,
    single,
)
from pipelines.stages.augment.gates import Gates
from pipelines.stages.base import STAGES, Context, JobView
from prompts.prompt import Prompt

GIVEN = {"text", "language"}


class BackTranslationGates(Gates):
    """The gates; a translator changes less of the wording than a paraphrase, so less is asked."""

    difference: Annotated[float, Field(ge=0, le=1)] = 0.1


@STAGES.register
class BackTranslate(Augment):
    """Variants by way of another language: two translators, or one chat model both ways.

    Attributes:
        forward: A text-to-text model of the job (Marian, T5) that translates into the pivot.
        back: One that translates back.
        forward_prefix: Put before every text; T5 needs "translate English to French: ".
        back_prefix: The same for the way back.
        model: Instead of these two, a chat model that is asked by prompts.
        pivot: The other language, as the prompts say it; for `model` only.
        forward_prompt: A prompt with the variable `text`, and `language` if it wants the pivot.
        back_prompt: The same for the way back; its `text` is the pivot text.
        forward_decoding: How the way there is decoded; one reply a try.
        back_decoding: The same for the way back; left out, beam search for `back`, sampling for
            `model`.
    """

    kind: Literal["back_translate"] = "back_translate"
    forward: str = ""
    back: str = ""
    forward_prefix: str = ""
    back_prefix: str = ""
    model: str = ""
    pivot: Annotated[str, Field(min_length=1)] = "French"
    forward_prompt: Annotated[str, Field(min_length=1)] = "translate/forward"
    back_prompt: Annotated[str, Field(min_length=1)] = "translate/back"
    forward_decoding: AnyDecoding = Sample(temperature=0.9, top_p=0.95)
    back_decoding: AnyDecoding | None = None
    gates: BackTranslationGates = BackTranslationGates()

    @field_validator("forward_decoding", "back_decoding")
    @classmethod
    def _one_reply(cls, value: Decoding | None) -> Decoding | None:
        return None if value is None else single(value)

    @model_validator(mode="after")
    def _two_translators_or_one_model(self) -> "BackTranslate":
        if bool(self.forward) != bool(self.back) or bool(self.forward) == bool(self.model):
            raise ValueError("give 'forward' and 'back', or 'model' alone")
        return self

    @property
    def returning(self) -> Decoding:
        """How the way back is decoded."""
        if self.back_decoding is not None:
            return self.back_decoding
        return Sample(temperature=0.7, top_p=0.95) if self.model else Beam()

    @property
    def deterministic(self) -> bool:
        """Whether neither way samples."""
        return self.forward_decoding.deterministic and self.returning.deterministic

    def check(self, job: JobView) -> None:
        """The models exist, and so do the prompts where they are used."""
        for key in ("forward", "back", "model"):
            if getattr(self, key):
                job.model(getattr(self, key), key=key)
        if self.model:
            check_text_prompt(job, self.forward_prompt, "forward_prompt", given=GIVEN)
            check_text_prompt(job, self.back_prompt, "back_prompt", given=GIVEN)

    def propose(self, row: Row, text: str, slot: int, attempt: int, context: Context) -> Proposing:
        """There and back; what stood between is kept in the history."""
        seed = context.seed(row, attempt, slot)
        event = self._event(context, seed)
        there = Call(self._messages(row, text, context, back=False), self.forward_decoding, seed)
        reply = yield from ask_one(self.forward or self.model, there)
        pivot = Cleaning(ending=False).clean(reply.text).text if self.model else reply.text.strip()
        event["pivot"] = pivot
        fault = reply_fault(reply, self.forward_decoding.max_tokens) or _pivot_fault(text, pivot)
        if fault is not None:
            return Proposal(pivot, event, fault)
        again = Call(self._messages(row, pivot, context, back=True), self.returning, seed)
        reply = yield from ask_one(self.back or self.model, again)
        return Proposal(reply.text, event, reply_fault(reply, self.returning.max_tokens))

    def _messages(
        self, row: Row, text: str, context: Context, *, back: bool
    ) -> tuple[Message, ...]:
        if not self.model:
            prefix = self.back_prefix if back else self.forward_prefix
            return (Message("user", prefix + text),)
        prompt = context.prompt(self.back_prompt if back else self.forward_prompt)
        given: dict[str, JSON] = {"text": text, "language": self.pivot}
        return context.chat(
            prompt, {n: given[n] if n in given else row.data[n] for n in prompt.variables}
        )

    def _event(self, context: Context, seed: int) -> dict[str, JSON]:
        names = [self.model] if self.model else [self.forward, self.back]
        event: dict[str, JSON] = {"models": [context.model_label(name) for name in names]}
        if self.model:
            prompts: list[Prompt] = [context.prompt(self.forward_prompt)]
            prompts.append(context.prompt(self.back_prompt))
            event["prompts"] = [prompt.label for prompt in prompts]
            event["language"] = self.pivot
        ways = (self.forward_decoding, self.returning)
        event["strategies"] = [decoding.key()["strategy"] for decoding in ways]
        if not self.deterministic:
            event["seed"] = seed
        return event


def _pivot_fault(text: str, pivot: str) -> Fault | None:
    if not pivot:
        return Fault("empty_translation")
    if normalised(pivot) == normalised(text):
        return Fault("not_translated")
    return None
