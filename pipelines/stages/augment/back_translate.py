"""`back_translate`: into another language and back again, which changes the wording on the way.

    - {kind: back_translate, field: question, forward: en_fr, back: fr_en}      # two translators
    - {kind: back_translate, field: question, model: writer, pivots: [German, French]}
    - {kind: back_translate, field: question, variants: 2,
       pivots: [{forward: en_fr, back: fr_en}, {forward: en_de, back: de_en}]}

    "A man is staring at something."  ->  "Un homme regarde quelque chose."
                                      ->  "A man is looking at something."

Sampling on the way there, or noise in the pivot text, gives more varied text than beam search
(Edunov et al. 2018); beam search on the way back keeps it sound, and what the best beam repeats or
spoils another may say well.
"""

from collections.abc import Generator
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from chains.calls import Call, Message
from chains.decoding import AnyDecoding, Beam, Decoding, Sample
from pipelines.aim import Trial
from pipelines.cleaning import Cleaning
from pipelines.length import Length
from pipelines.normalising import normalised
from pipelines.rows import JSON, Fault, Row
from pipelines.stages.augment.base import (
    Augment,
    Proposal,
    Proposing,
    ask_one,
    check_text_prompt,
    reply_fault,
)
from pipelines.stages.augment.gates import Gates
from pipelines.stages.augment.noising import jumbled
from pipelines.stages.augment.rewriting import Aimed, refuse_candidates
from pipelines.stages.base import STAGES, Context, JobView, Request
from pipelines.stages.safety.stand_ins import drawing

GIVEN = {"text", "language"}


class Pivot(BaseModel):
    """One language to go by.

    Attributes:
        language: As the prompts say it, where a chat model is asked.
        forward: Else a translator into it; `back` one that translates back.
        forward_prefix: Put before every text; T5 needs "translate English to French: ".
        back_prefix: The same for the way back.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: str = ""
    forward: str = ""
    back: str = ""
    forward_prefix: str = ""
    back_prefix: str = ""


def _named(value: Any) -> Any:
    return {"language": value} if isinstance(value, str) else value


class BackTranslationGates(Gates):
    """The gates; a translator changes less of the wording than a paraphrase, so less is asked."""

    difference: Annotated[float, Field(ge=0, le=1)] = 0.1


class Trip(NamedTuple):
    """One try: a row's text, the pivot it goes by, and the seed."""

    row: Row
    text: str
    pivot: Pivot
    seed: int
    context: Context


@STAGES.register
class BackTranslate(Augment):
    """Variants by way of another language: translators, or one chat model both ways.

    Attributes:
        forward: A text-to-text model of the job (Marian, NLLB, T5) that translates into the pivot.
        back: One that translates back.
        forward_prefix: Put before every text; T5 needs "translate English to French: ".
        back_prefix: The same for the way back.
        model: Instead of these two, a chat model that is asked by prompts.
        pivot: The other language, as the prompts say it; for `model` only.
        pivots: Instead of `pivot`, or of `forward` and `back`: several, which variants and tries
            take in turn, beginning with one drawn for the row.
        forward_prompt: A prompt with the variable `text`, and `language` if it wants the pivot.
        back_prompt: The same for the way back; its `text` is the pivot text.
        forward_decoding: How the way there is decoded; one reply a try.
        back_decoding: The same for the way back, whose `n` replies are the candidates of a try;
            left out, the four beams of a search for translators, sampling for `model`.
        pivot_noise: The share of the pivot's words that are lost, while the others move by three
            places at most: what makes beam search vary.
        length: How long a variant is to be; for `model` only.
    """

    kind: Literal["back_translate"] = "back_translate"
    forward: str = ""
    back: str = ""
    forward_prefix: str = ""
    back_prefix: str = ""
    model: str = ""
    pivot: Annotated[str, Field(min_length=1)] = "French"
    pivots: tuple[Annotated[Pivot, BeforeValidator(_named)], ...] = ()
    forward_prompt: Annotated[str, Field(min_length=1)] = "translate/forward"
    back_prompt: Annotated[str, Field(min_length=1)] = "translate/back"
    forward_decoding: AnyDecoding = Sample(temperature=0.9, top_p=0.95)
    back_decoding: AnyDecoding | None = None
    pivot_noise: Annotated[float, Field(ge=0, lt=1)] = 0.0
    length: Length | None = None
    gates: BackTranslationGates = BackTranslationGates()

    @field_validator("forward_decoding")
    @classmethod
    def _one_pivot_text(cls, value: Decoding) -> Decoding:
        if value.n != 1:
            raise ValueError("here n is 1; 'variants' says how many variants are made")
        return value

    @model_validator(mode="after")
    def _translators_or_one_model(self) -> "BackTranslate":
        pairs = [bool(way.forward) and bool(way.back) for way in self.pivots]
        partial = any(bool(way.forward) != bool(way.back) for way in self.pivots)
        if self.pivots and (self.forward or self.back):
            raise ValueError("'forward' and 'back' stand inside of 'pivots', one pair each")
        if partial or (self.pivots and (any(pairs) if self.model else not all(pairs))):
            raise ValueError("a pivot is a language for 'model', or has 'forward' and 'back'")
        if bool(self.forward) != bool(self.back):
            raise ValueError("give 'forward' and 'back', or 'model' alone")
        if bool(self.forward or any(pairs)) == bool(self.model):
            raise ValueError("give 'forward' and 'back', or 'model' alone")
        if self.length is not None and not self.model:
            raise ValueError("a translator is told no length: 'length' is for 'model'")
        return self

    @property
    def routes(self) -> tuple[Pivot, ...]:
        """The pivots, or the one that the other keys say."""
        if self.pivots:
            return self.pivots
        if self.model:
            return (Pivot(language=self.pivot),)
        own = {name: getattr(self, name) for name in Pivot.model_fields if name != "language"}
        return (Pivot(**own),)

    @property
    def returning(self) -> Decoding:
        """How the way back is decoded."""
        if self.back_decoding is not None:
            return self.back_decoding
        return Sample(temperature=0.7, top_p=0.95) if self.model else Beam(n=4)

    @property
    def deterministic(self) -> bool:
        """Whether nothing is drawn on either way."""
        ways = (self.forward_decoding, self.returning)
        return not self.pivot_noise and all(decoding.deterministic for decoding in ways)

    @property
    def ways(self) -> int:
        """The number of pivots."""
        return len(self.routes)

    @property
    def candidates(self) -> int:
        """The `n` of the way back."""
        return self.returning.n

    @property
    def tries(self) -> int:
        """Where nothing is drawn, once by each pivot."""
        return min(self.attempts, self.ways) if self.deterministic else self.attempts

    def check(self, job: JobView) -> None:
        """The models exist, and so do the prompts where they are used."""
        super().check(job)
        if self.model:
            job.model(self.model, key="model")
            check_text_prompt(job, self.forward_prompt, "forward_prompt", given=GIVEN)
            check_text_prompt(job, self.back_prompt, "back_prompt", given=GIVEN)
        for place, way in enumerate(self.routes if not self.model else ()):
            inside = f"pivots.{place}." if self.pivots else ""
            job.model(way.forward, key=f"{inside}forward")
            job.model(way.back, key=f"{inside}back")
        if self.length is not None:
            self.length.check(self.returning)
            refuse_candidates(self.length)

    def propose(self, row: Row, text: str, slot: int, attempt: int, context: Context) -> Proposing:
        """There and back; what stood between is kept in the history."""
        pivot = self.routes[(context.seed(row) + slot + attempt) % self.ways]
        trip = Trip(row, text, pivot, context.seed(row, attempt, slot), context)
        event = self._event(trip)
        between, fault = yield from self._there(trip)
        event["pivot"] = between
        if fault is not None:
            return [Proposal(between, event, fault)]
        if self.pivot_noise:
            between = jumbled(between, self.pivot_noise, drawing(str(trip.seed)))
            event["jumbled"] = between
        aimed = Aimed.at(self.length, context, self.model, context.seed(row, 0, slot))
        said = aimed.said(self._messages(trip, between, back=True))
        again = Call(said, self.returning, trip.seed, aimed.guides)
        replies = yield from ask_one(pivot.back or self.model, again)
        return [
            aimed.proposal(reply, text, event, Trial(slot, attempt, number), self.returning)
            for number, reply in enumerate(replies)
        ]

    def _there(self, trip: Trip) -> Generator[Request, Any, tuple[str, Fault | None]]:
        """The pivot text, and why it cannot be used, if it cannot."""
        messages = self._messages(trip, trip.text, back=False)
        call = Call(messages, self.forward_decoding, trip.seed)
        reply = (yield from ask_one(trip.pivot.forward or self.model, call))[0]
        between = reply.text.strip()
        if self.model:
            between = Cleaning(ending=False).clean(reply.text).text
        fault = reply_fault(reply, self.forward_decoding.max_tokens)
        return between, fault or _pivot_fault(trip.text, between)

    def _messages(self, trip: Trip, text: str, *, back: bool) -> tuple[Message, ...]:
        if not self.model:
            prefix = trip.pivot.back_prefix if back else trip.pivot.forward_prefix
            return (Message("user", prefix + text),)
        prompt = trip.context.prompt(self.back_prompt if back else self.forward_prompt)
        given: dict[str, JSON] = {"text": text, "language": trip.pivot.language}
        values = {n: given[n] if n in given else trip.row.data[n] for n in prompt.variables}
        return trip.context.chat(prompt, values)

    def _event(self, trip: Trip) -> dict[str, JSON]:
        context, pivot = trip.context, trip.pivot
        models = [self.model] if self.model else [pivot.forward, pivot.back]
        event: dict[str, JSON] = {"models": [context.model_label(name) for name in models]}
        if self.model:
            prompts = (self.forward_prompt, self.back_prompt)
            event["prompts"] = [context.prompt(name).label for name in prompts]
            event["language"] = pivot.language
        ways = (self.forward_decoding, self.returning)
        event["strategies"] = [decoding.key()["strategy"] for decoding in ways]
        if not self.deterministic:
            event["seed"] = trip.seed
        return event


def _pivot_fault(text: str, pivot: str) -> Fault | None:
    if not pivot:
        return Fault("empty_translation")
    if normalised(pivot) == normalised(text):
        return Fault("not_translated")
    return None
