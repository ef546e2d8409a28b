"""`noise`: variants with typos, misread letters or lost words, to make a model robust to them.

- {kind: noise, field: text, rate: 0.15, variants: 2}
- {kind: noise, field: text, operations: [ocr, case], name: scanned}

"The museum opens at nine."  ->  itself, "The musuem opens at nine.", "The museum openz at nine."

No model is asked. Numbers, placeholders, markup and addresses are left alone.
"""

from typing import Literal

from pipelines.rows import Fault, Row
from pipelines.stages.augment.base import Augment, Proposal, Proposing
from pipelines.stages.augment.gates import PlainGates
from pipelines.stages.augment.noising import Noising
from pipelines.stages.base import STAGES, Context
from pipelines.stages.safety.stand_ins import drawing


@STAGES.register
class Noise(Noising, Augment):
    """Variants with noise, drawn for each row."""

    kind: Literal["noise"] = "noise"
    gates: PlainGates = PlainGates()

    def tidied(self, variant: str, original: str) -> tuple[str, Fault | None]:
        """The text as it is: cleaning would mend what was done to it."""
        return variant, None if variant.strip() else Fault("empty")

    def propose(self, row: Row, text: str, slot: int, attempt: int, context: Context) -> Proposing:
        """The text with noise; this asks nobody."""
        yield from ()
        seed = context.seed(row, attempt, slot)
        variant, changes = self.noised(text, drawing(str(seed)))
        return [Proposal(variant, {"seed": seed, "changes": changes})]
