"""Strategies made of other calls: candidates are drawn by one strategy and judged by other calls.

    plan = BestOfN(candidates=8, base=Sample(temperature=0.8)).plan(call)
    calls = next(plan)                       # eight times ("", Call(..., Sample(...), seed))
    plan.send(replies)                       # StopIteration, its value the best reply

Each candidate is a call of its own, told apart by its seed: behind a ledger more candidates cost
only what they are more. Who carries out plans is `chains.decoding.plans`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, model_validator

from chains.decoding.base import AnyDecoding, Decoding
from chains.decoding.sample import Sample
from chains.decoding.score import Score
from chains.decoding.seeds import reply_seed
from prompts.registry import validate

if TYPE_CHECKING:
    from chains.calls import Call, Plan, Reply, Wanted


class Composite(Decoding):
    """Candidates of a base strategy, ranked; a subclass gives them their scores.

    Settings that all strategies have (`max_tokens`, `stop`, ...) stand beside `base`, not in it:
    they hold for the candidates.

    Attributes:
        candidates: How many are drawn. base: The strategy that draws them.
    """

    joint: ClassVar[bool] = True

    candidates: Annotated[int, Field(ge=2, le=1024)] = 8
    base: AnyDecoding = Sample()

    @model_validator(mode="after")
    def _candidates_can_be_drawn(self) -> "Composite":
        name = self.base.key()["strategy"]
        if self.n > self.candidates:
            raise ValueError(f"n {self.n} is above candidates {self.candidates}")
        if isinstance(self.base, Composite | Score):
            raise ValueError(f"{name} draws no candidates; use sample or beam as the base")
        if self.base.deterministic and not self.base.joint:
            raise ValueError(f"{name} has one reply only; use sample or beam as the base")
        for field, info in Decoding.model_fields.items():
            default = info.get_default(call_default_factory=True)
            if getattr(self.base, field) not in (default, getattr(self, field)):
                raise ValueError(f"{field} stands beside base, not in it")
        self.drawing()
        return self

    def drawing(self) -> Decoding:
        """The base with the settings that stand beside it.

        Raises:
            UsageError: They do not go together.
        """
        shared = {name: getattr(self, name) for name in Decoding.model_fields}
        n = self.candidates if self.base.joint else 1
        return validate(type(self.base), {**dict(self.base), **shared, "n": n}, key="base")

    def plan(self, call: "Call") -> "Plan":
        """Draw the candidates, have them scored, return the n best."""
        found = yield self._draws(call)
        candidates = [reply for replies in found for reply in replies]
        if all(reply.finish == "error" for reply in candidates):
            return candidates[:1]
        scored = yield from self.scored(call, candidates)
        return best(scored, self.n)

    def scored(self, call: "Call", candidates: "Sequence[Reply]") -> "Plan":
        """The candidates, in their order, with their scores; higher is better.

        One that cannot be scored becomes an error.

        Args:
            call: What they answer.
            candidates: At least one of them not an error.
        """
        raise NotImplementedError

    def _draws(self, call: "Call") -> "Wanted":
        drawing = self.drawing()
        count = 1 if drawing.joint else self.candidates
        seeds = [reply_seed(call.seed, number) for number in range(count)]
        return [("", replace(call, decoding=drawing, seed=seed)) for seed in seeds]


def best(scored: "Sequence[Reply]", n: int) -> "list[Reply]":
    """The n best: finished ones, then those cut at max_tokens, then errors; equals in their order.

    A text that stands further ahead already comes behind all others of its sort. Where all failed,
    the first error alone.
    """
    if all(reply.finish == "error" for reply in scored):
        return list(scored[:1])
    texts: set[str] = set()
    keys: list[tuple[int, bool, int]] = []
    by_score = sorted(range(len(scored)), key=lambda at: _by_score(scored[at]))
    for place, at in enumerate(by_score):
        reply = scored[at]
        keys.append((_SORTS.index(reply.finish), reply.text in texts, place))
        texts.add(reply.text)
    return [scored[by_score[place]] for _, _, place in sorted(keys)[:n]]


_SORTS = ("stop", "length", "error")


def _by_score(reply: "Reply") -> tuple[int, float]:
    score = -float("inf") if reply.score is None else reply.score
    return _SORTS.index(reply.finish), -score
