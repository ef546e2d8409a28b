"""What stages share that have one model rewrite a text by one prompt.

class Shorten(Rewrite):                              # a new rewriting is a few lines
    kind: Literal["shorten"] = "shorten"
    prompt: str = "rewrite/shorten"

A subclass may say what the prompt is given (`given`, `values`) and what else a variant changes.
"""

from collections.abc import Mapping
from functools import partial
from typing import Annotated

from pydantic import Field

from chains.calls import Call, Message, Reply
from chains.decoding import AnyDecoding, Decoding, Sample
from chains.decoding.guide import GuideSettings
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
)
from pipelines.stages.base import Context, JobView
from pipelines.stages.counting import count_tokens
from prompts.errors import UsageError


class Rewrite(Augment):
    """Variants written by one model with one prompt.

    Attributes:
        model: Name of one of the job's models.
        prompt: Name of a prompt with the variable `text`; variables that the stage does not give
            are taken from the columns of the same names.
        decoding: How the model decodes; its `n` replies are the candidates of one try.
        length: How long a variant is to be, and what is done for that.
    """

    model: Annotated[str, Field(min_length=1)]
    prompt: Annotated[str, Field(min_length=1)]
    decoding: AnyDecoding = Sample(temperature=0.9, top_p=0.95)
    length: Length | None = None

    @property
    def deterministic(self) -> bool:
        """Whether the decoding gives one prompt the same replies every time."""
        return self.decoding.deterministic

    @property
    def candidates(self) -> int:
        """The decoding's `n`."""
        return self.decoding.n

    def given(self) -> set[str]:
        """The prompt's variables that the stage gives; others are columns."""
        return {"text"}

    def check(self, job: JobView) -> None:
        """The model exists, the prompt has the variable `text`, and its others are columns."""
        super().check(job)
        job.model(self.model, key="model")
        check_text_prompt(job, self.prompt, "prompt", given=self.given())
        if self.length is not None:
            self.length.check(self.decoding)
            refuse_candidates(self.length)

    def values(self, row: Row, text: str, slot: int, context: Context) -> dict[str, JSON]:
        """What those variables are given."""
        return {"text": text}

    def propose(self, row: Row, text: str, slot: int, attempt: int, context: Context) -> Proposing:
        """The replies to the prompt."""
        values = self.values(row, text, slot, context)
        return (yield from self.ask(row, text, values, slot, attempt, context))

    def ask(
        self,
        row: Row,
        text: str,
        values: Mapping[str, JSON],
        slot: int,
        attempt: int,
        context: Context,
    ) -> Proposing:
        """The replies to the prompt with these values, each a candidate for a variant of `text`."""
        prompt = context.prompt(self.prompt)
        given = {n: values[n] if n in values else row.data[n] for n in prompt.variables}
        seed = context.seed(row, attempt, slot)
        event: dict[str, JSON] = {
            "prompt": prompt.label,
            "model": context.model_label(self.model),
            "strategy": self.decoding.key()["strategy"],
        }
        if not self.deterministic:
            event["seed"] = seed
        aimed = Aimed.at(self.length, context, self.model, context.seed(row, 0, slot))
        call = Call(aimed.said(context.chat(prompt, given)), self.decoding, seed, aimed.guides)
        replies = yield from ask_one(self.model, call)
        return [
            aimed.proposal(reply, text, event, Trial(slot, attempt, number), self.decoding)
            for number, reply in enumerate(replies)
        ]


class Aimed:
    """The length that is wanted of some replies; none where the stage has no `length`.

    Args:
        aim: The length of these replies.
        context: The stage's context.
        model: The name of the model that writes them.
    """

    def __init__(self, aim: Aim | None, context: Context, model: str) -> None:
        self._aim = aim
        self._count = partial(count_tokens, context, model)
        server = aim is not None and bool(context.spec(model).server)
        self.guides: tuple[GuideSettings, ...] = () if aim is None or server else aim.guides()

    @classmethod
    def at(cls, length: Length | None, context: Context, model: str, seed: int) -> "Aimed":
        """The aim of the replies with that seed."""
        return cls(None if length is None else Aim.at(length, seed), context, model)

    def said(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """The chat with the instruction about the length."""
        return messages if self._aim is None else self._aim.said(messages)

    def proposal(
        self, reply: Reply, text: str, event: dict[str, JSON], trial: Trial, decoding: Decoding
    ) -> Proposal:
        """A reply as a candidate for a variant of `text`."""
        fault = reply_fault(reply, decoding.max_tokens)
        if self._aim is None or reply.finish == "error":
            return Proposal(reply.text, event, fault)
        trial = Trial(
            trial.slot,
            trial.attempt,
            trial.candidate,
            guided=bool(self.guides),
            stops=True,
            max_tokens=decoding.max_tokens,
        )
        variant, unusable = cleaned(reply.text, text)  # what is taken off does not count
        judged = self._aim.judged(reply, variant, trial, self._count)
        return Proposal(judged.text, {**event, "length": judged.event}, unusable or judged.fault)


def refuse_candidates(length: Length) -> None:
    """Raise where a length asks for candidates of its own.

    Raises:
        UsageError: It does.
    """
    if length.candidates > 1:
        fix = "raise 'attempts', or give the decoding 'n'"
        problem = "the gates choose among the candidates for a variant"
        raise UsageError(problem, fix=fix, key="length.candidates")
