"""`reconstruct`: a text is spoilt by noise, and a model writes it anew from what is left.

    - {kind: reconstruct, model: writer, field: text, rate: 0.3}
    - {kind: reconstruct, model: writer, field: text,
       decoding: {strategy: noisy_channel, candidates: 4, source_after: "Notes:"}}

    "A man is selling balloons near the fountain."
    ->  "A man is [...] balloons near [...]."
    ->  "A man is holding balloons near a house."

The model fills in what it finds likely, so variants drift more than paraphrases, and what stood in
one text alone, such as a name, is seldom guessed again. With the strategy `noisy_channel` several
candidates are ranked by log p(x | noised), log p(noised | x) and log p(x).
"""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.rows import JSON, Row
from pipelines.stages.augment.base import Proposing
from pipelines.stages.augment.gates import Gates
from pipelines.stages.augment.noising import Noising, Operation
from pipelines.stages.augment.rewriting import Rewrite
from pipelines.stages.base import STAGES, Context
from pipelines.stages.safety.stand_ins import drawing


class ReconstructionGates(Gates):
    """The gates; little of the wording may have been lost, and the rest comes back as it was."""

    similarity: Annotated[float, Field(ge=-1, le=1)] | None = 0.7
    difference: Annotated[float, Field(ge=0, le=1)] = 0.1


@STAGES.register
class Reconstruct(Noising, Rewrite):
    """Variants that a model restored from noise; each try has a noise of its own."""

    kind: Literal["reconstruct"] = "reconstruct"
    prompt: Annotated[str, Field(min_length=1)] = "rewrite/restore"
    rate: Annotated[float, Field(gt=0, le=1)] = 0.3
    operations: Annotated[tuple[Operation, ...], Field(min_length=1)] = ("mask", "drop_word")
    mask_token: Annotated[str, Field(min_length=1)] = "[...]"
    gates: ReconstructionGates = ReconstructionGates()

    @property
    def deterministic(self) -> bool:
        """Never: the noise is drawn."""
        return False

    def propose(self, row: Row, text: str, slot: int, attempt: int, context: Context) -> Proposing:
        """Restorations of the spoilt text, which is kept in the history."""
        seed = context.seed(row, attempt, slot)
        spoilt, changes = self.noised(text, drawing(str(seed)))
        values: dict[str, JSON] = {"text": spoilt}
        found = yield from self.ask(row, text, values, slot, attempt, context)
        event: dict[str, JSON] = {"noised": spoilt, "changes": changes}
        return [each._replace(event={**event, "seed": seed, **each.event}) for each in found]
