"""Minimum Bayes risk: the candidate that agrees best with the others (Eikema and Aziz 2020).

    candidates   "A cat sleeps."  "The cat sleeps."  "A cat is asleep."  "No."
    mean chrF    0.56             0.55               0.44                0.03

What the model says in many ways is what it means; a likely reply that stands alone is often wrong.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from chains.decoding.base import STRATEGIES
from chains.decoding.composite import Composite

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chains.calls import Call, Plan, Reply


@STRATEGIES.register
class MinimumBayesRisk(Composite):
    """The candidates by their mean utility against the others, which is `Reply.score`.

    Equal candidates are votes for each other. References are the candidates that finished by
    themselves, or all that came where none did; a candidate without a reference gets 0.

    Attributes:
        utility: `chrf` (character n-grams 1 to 6, beta 2; Popovic 2015), `token_f1` (words and
            marks shared) or `embedding` (cosine).
        embedder: For `embedding`: `embedded`, `scripted`, a folder or a Hub id.
    """

    strategy: Literal["mbr"] = "mbr"
    utility: Literal["chrf", "token_f1", "embedding"] = "chrf"
    embedder: Annotated[str, Field(min_length=1)] = "embedded"

    @model_validator(mode="after")
    def _embedder_means_something(self) -> "MinimumBayesRisk":
        if self.embedder != "embedded" and self.utility != "embedding":
            raise ValueError("an embedder means nothing here; write utility: embedding")
        return self

    def fingerprint(self) -> str:
        """The embedder's: with another one other candidates win, though no call is another."""
        if self.utility != "embedding":
            return ""
        from chains.embedding import fingerprint

        return fingerprint(self.embedder)

    def scored(self, call: "Call", candidates: "Sequence[Reply]") -> "Plan":
        """No further call: candidates are compared with each other."""
        yield from ()
        came = [at for at, reply in enumerate(candidates) if reply.finish != "error"]
        finished = [at for at in came if candidates[at].finish == "stop"] or came
        # Equal texts are compared once.
        texts = list(dict.fromkeys(candidates[at].text for at in came))
        place = {text: number for number, text in enumerate(texts)}
        matrix = self._utilities(texts)
        scored = list(candidates)
        for at in came:
            row = matrix[place[candidates[at].text]]
            others = [float(row[place[candidates[o].text]]) for o in finished if o != at]
            scored[at] = replace(candidates[at], score=sum(others) / max(1, len(others)))
        return scored

    def _utilities(self, texts: Sequence[str]) -> "NDArray[np.float64]":
        from chains.decoding.utility import chrf, embedding, token_f1

        if self.utility == "embedding":
            return embedding(texts, self.embedder)
        return chrf(texts) if self.utility == "chrf" else token_f1(texts)
