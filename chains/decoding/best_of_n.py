"""Best of n: the candidate that the model itself finds likeliest.

candidates      "Blue." -3.0 in 3 tokens   "A deep sea green." -5.0 in 6   "Red" cut
mean_logprob    -1.00                      -0.83: the best                 last of all
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from chains.decoding.base import STRATEGIES
from chains.decoding.composite import Composite

if TYPE_CHECKING:
    from chains.calls import Call, Plan, Reply


@STRATEGIES.register
class BestOfN(Composite):
    """The n best of the candidates by their log-probability, which is `Reply.score`.

    Attributes:
        by: `mean_logprob` divides it by the number of tokens, `logprob` takes it as it is, which
            favours short replies, and `length_normalised` divides it by tokens ** alpha.
        alpha: For `length_normalised`: 0 is logprob, 1 is mean_logprob.
    """

    strategy: Literal["best_of_n"] = "best_of_n"
    by: Literal["mean_logprob", "logprob", "length_normalised"] = "mean_logprob"
    alpha: float = 1.0

    @model_validator(mode="after")
    def _alpha_means_something(self) -> "BestOfN":
        if self.alpha != 1.0 and self.by != "length_normalised":
            raise ValueError(f"alpha means nothing by {self.by}; write by: length_normalised")
        return self

    def scored(self, call: "Call", candidates: "Sequence[Reply]") -> "Plan":
        """No further call: candidates bring their log-probabilities."""
        yield from ()
        return [self._scored(reply) for reply in candidates]

    def _scored(self, reply: "Reply") -> "Reply":
        if reply.finish == "error":
            return reply
        if reply.logprob is None:
            error = "no_logprob: the model tells no log-probabilities to rank candidates by"
            return replace(reply, finish="error", text="", error=error)
        exponent = {"mean_logprob": 1.0, "logprob": 0.0}.get(self.by, self.alpha)
        return replace(reply, score=reply.logprob / max(1, reply.completion_tokens) ** exponent)
