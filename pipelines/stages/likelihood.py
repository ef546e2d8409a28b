"""`likelihood`: keeps rows whose generated text the model itself found likely.

- {kind: likelihood, of: answer, min_mean: -0.25}

A greedy answer that the model is unsure of at every token is more often wrong than one it is sure
of. What bound fits depends on model, prompt and strategy: look at a few rows on both sides first.
"""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.rows import Fault, Row
from pipelines.stages.base import STAGES, Filter


@STAGES.register
class Likelihood(Filter):
    """Reject a row whose text has too low a mean log-probability a token.

    Attributes:
        of: Name of the stage that generated the text.
        min_mean: The least mean of the natural-log probabilities of its tokens under the model
            (temperature 1, nothing truncated), below 0.
    """

    kind: Literal["likelihood"] = "likelihood"
    of: Annotated[str, Field(min_length=1)]
    min_mean: Annotated[float, Field(le=0)]

    def fault(self, row: Row) -> Fault | None:
        """`unlikely` with the mean, or `no_logprob` where the model told none."""
        event = next((e for e in reversed(row.history) if e.get("stage") == self.of), {})
        if "logprob" not in event:
            return Fault("no_logprob", {"of": self.of})
        mean = round(event["logprob"] / max(1, event["tokens"][1]), 4)
        return None if mean >= self.min_mean else Fault("unlikely", {"mean": mean})
