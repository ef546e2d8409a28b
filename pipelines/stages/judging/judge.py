"""`judge`: a score by a rubric, from the likelihoods of the marks or from a reply.

    - {kind: judge, model: writer, prompt: judge/rubric, inputs: {text: answer}, adds: score,
       values: {rubric: The answer is polite.}, reply: '{"score": {mark}}', min_score: 3.5}

    {"answer": "Please take a seat."}  ->  {"answer": ..., "score": 4.12}, and in the history
    {"marks": {"1": 0.02, "2": 0.06, "3": 0.14, "4": 0.31, "5": 0.47}, "votes": [4.12]}

With `read: likelihood` a vote is the mean mark under the model's own probabilities (Liu et al.
2023, G-Eval), finer than any reply and never unreadable. With `read: reply` replies are sampled and
parsed. Several prompts, or several replies, are several votes; their mean is the score.
"""

import math
from collections.abc import Generator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from chains.calls import Call, Message, Reply
from chains.decoding import AnyDecoding, Sample
from chains.decoding.grammar import guides_for, refuse_conflicts
from chains.decoding.score import Score
from chains.parsing import ParseFault, parse_reply
from pipelines.rows import JSON, Fault, Rejection, Row
from pipelines.stages.base import STAGES, Ask, Context, JobView, ModelStage, Request, Work
from pipelines.stages.judging.answers import fault_of, logprob_of
from prompts.errors import UsageError
from prompts.prompt import Prompt

SLOT = "{mark}"

Vote = Generator[Request, Any, tuple[list[float], dict[str, JSON]] | Fault]


def _one_or_many(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


@STAGES.register
class Judge(ModelStage):
    """Score a row by a rubric.

    Attributes:
        model: Name of one of the job's models.
        prompt: A prompt, or several that each give a vote.
        inputs: Prompt variable -> column, where the names differ.
        values: Prompt variable -> what it is for every row, such as the rubric.
        adds: The column for the score.
        scale: The marks, from the lowest to the highest.
        read: `likelihood` of every mark, or the mark in a `reply`.
        reply: With `likelihood`: how a reply would give a mark, with `{mark}`.
        mark: With `reply`: the key of the mark in a JSON reply.
        votes: With `reply`: how many replies of each prompt are asked for.
        decoding: With `reply`: how they are decoded.
        min_score: The least score that a row needs.
        max_spread: The most that the highest vote may lie above the lowest.
    """

    kind: Literal["judge"] = "judge"
    model: Annotated[str, Field(min_length=1)]
    prompt: Annotated[tuple[str, ...], BeforeValidator(_one_or_many), Field(min_length=1)] = (
        "judge/rubric",
    )
    inputs: dict[str, str] = {}
    values: dict[str, str] = {}
    adds: Annotated[str, Field(min_length=1)] = "score"
    scale: Annotated[tuple[int, ...], Field(min_length=2, max_length=101)] = (1, 2, 3, 4, 5)
    read: Literal["likelihood", "reply"] = "likelihood"
    reply: str = '{"score": {mark}}'
    mark: str = "score"
    votes: Annotated[int, Field(ge=1, le=100)] = 1
    decoding: AnyDecoding = Sample(temperature=0.7, max_tokens=64)
    min_score: float | None = None
    max_spread: Annotated[float, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _settings_fit(self) -> "Judge":
        if list(self.scale) != sorted(set(self.scale)):
            raise ValueError("give the marks of 'scale' once each, from the lowest to the highest")
        if self.reply.count(SLOT) != 1:
            raise ValueError("write {mark} once in 'reply', where the mark goes")
        if self.decoding.n != 1:
            raise ValueError("here n is 1; 'votes' says how many replies are asked for")
        if self.votes > 1 and (self.read == "likelihood" or self.decoding.deterministic):
            raise ValueError("several votes of one prompt need 'read: reply' and a decoding that"
                             " samples: they would all be the same")  # fmt: skip
        if shared := sorted(set(self.inputs) & set(self.values)):
            raise ValueError(f"'{shared[0]}' is in 'inputs' and in 'values': choose one")
        return self

    def columns_needed(self) -> set[str]:
        """The columns that `inputs` names; those of the prompts are checked in `check`."""
        return set(self.inputs.values())

    def columns_added(self) -> set[str]:
        """The score."""
        return {self.adds}

    def check(self, job: JobView) -> None:
        """The model and the prompts exist, and the columns and values make the prompts whole."""
        job.model(self.model, key="model")
        known: set[str] = set()
        for name in self.prompt:
            prompt = job.prompt(name, key="prompt")
            known |= set(prompt.variables)
            if self.read == "reply":
                refuse_conflicts(prompt.output, self.decoding)
            job.need(self._columns(prompt), key="prompt")
        if stray := sorted(({*self.inputs} | {*self.values}) - known):
            fix = f"their variables: {', '.join(sorted(known)) or 'none'}"
            key = "inputs" if stray[0] in self.inputs else "values"
            raise UsageError(f"no prompt has a variable '{stray[0]}'", fix=fix, key=key)

    def work(self, row: Row, context: Context) -> Work:
        """Score the row, or reject it."""
        votes: list[float] = []
        about: dict[str, JSON] = {}
        for number, name in enumerate(self.prompt):
            prompt = context.prompt(name)
            if missing := sorted(self._columns(prompt) - row.data.keys()):
                detail = {"column": missing[0], "columns": sorted(row.data)}
                return [Rejection(row, "missing_column", detail)]
            chat = context.chat(prompt, self._given(prompt, row))
            ask = self._by_likelihood if self.read == "likelihood" else self._by_reply
            found = yield from ask(row, prompt, chat, number, context)
            if isinstance(found, Fault):
                return [Rejection(row, found.reason, found.detail)]
            votes += found[0]
            about |= found[1]
        score = round(math.fsum(votes) / len(votes), 4)
        spread = round(max(votes) - min(votes), 4)
        event: dict[str, JSON] = {
            "stage": self.name,
            "model": context.model_label(self.model),
            "prompts": [context.prompt(name).label for name in self.prompt],
            "score": score,
            "spread": spread,
            "votes": votes,
            **about,
        }
        fault = self._fault(score, spread, votes)
        made = row.with_data({} if fault else {self.adds: score}, event)
        return [Rejection(made, fault.reason, fault.detail) if fault else made]

    def _fault(self, score: float, spread: float, votes: list[float]) -> Fault | None:
        if self.max_spread is not None and spread > self.max_spread:
            return Fault("votes_differ", {"votes": votes})
        if self.min_score is not None and score < self.min_score:
            return Fault("low_score", {"score": score})
        return None

    def _by_likelihood(
        self, row: Row, prompt: Prompt, chat: tuple[Message, ...], number: int, context: Context
    ) -> Vote:
        """The mean mark under the probabilities of all marks."""
        targets = [self.reply.replace(SLOT, str(mark)) for mark in self.scale]
        answers = yield Ask(
            self.model, tuple(Call(chat, Score(target=t, end=False)) for t in targets)
        )
        logprobs: list[float] = []
        for replies in answers:
            found = logprob_of(replies)
            if isinstance(found, Fault):
                return found
            logprobs.append(found)
        weights = [math.exp(each - max(logprobs)) for each in logprobs]
        shares = [weight / math.fsum(weights) for weight in weights]
        mean = math.fsum(mark * share for mark, share in zip(self.scale, shares, strict=True))
        marks = {str(m): round(share, 4) for m, share in zip(self.scale, shares, strict=True)}
        return [round(mean, 4)], {"marks": marks}

    def _by_reply(
        self, row: Row, prompt: Prompt, chat: tuple[Message, ...], number: int, context: Context
    ) -> Vote:
        """The marks of the replies that can be read; the fault of the first where none can."""
        seeds = [context.seed(row, number, vote) for vote in range(self.votes)]
        guides = guides_for(prompt.output)
        calls = tuple(Call(chat, self.decoding, seed, guides) for seed in seeds)
        answers = yield Ask(self.model, calls)
        found = [self._mark(prompt, replies) for replies in answers]
        marks = [each for each in found if not isinstance(each, Fault)]
        faults = [each for each in found if isinstance(each, Fault)]
        if not marks:
            return faults[0]
        return marks, {"unread": len(faults)}

    def _mark(self, prompt: Prompt, replies: Sequence[Reply]) -> float | Fault:
        """The mark in a reply, or why there is none on the scale."""
        if not replies:
            return Fault("no_reply")
        reply = replies[0]
        if reply.finish == "error":
            return fault_of(reply)
        if reply.finish == "length":
            return Fault("cut_at_max_tokens", {"max_tokens": self.decoding.max_tokens})
        parsed = parse_reply(prompt.output, reply.text)
        if isinstance(parsed, ParseFault):
            return Fault(parsed.reason, {"found": parsed.detail})
        value = parsed.value
        if isinstance(value, dict):
            value = value.get(self.mark)
        try:
            mark = float(value) if not isinstance(value, bool) else math.nan
        except (TypeError, ValueError):
            mark = math.nan
        if not self.scale[0] <= mark <= self.scale[-1]:
            return Fault("no_mark", {"reply": reply.text[:200]})
        return mark

    def _columns(self, prompt: Prompt) -> set[str]:
        return {self.inputs.get(n, n) for n in prompt.variables_used() - self.values.keys()}

    def _given(self, prompt: Prompt, row: Row) -> dict[str, JSON]:
        return {
            name: self.values[name]
            if name in self.values
            else row.data[self.inputs.get(name, name)]
            for name in prompt.variables_used()
        }
