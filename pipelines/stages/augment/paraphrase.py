"""`paraphrase`: a model says the same in other words, in one or in several styles.

- {kind: paraphrase, model: writer, field: question, variants: 2}
- {kind: paraphrase, model: writer, field: text, styles: [formal, simple], variants: 2,
   prompt: rewrite/style, decoding: {strategy: diverse_beam, num_beams: 4, n: 4}}

"When does the museum open?"  ->  itself, "What time does the museum open?", "At which hour ...?"
"""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.rows import JSON, Row
from pipelines.stages.augment.base import Proposing
from pipelines.stages.augment.rewriting import Rewrite
from pipelines.stages.base import STAGES, Context, JobView
from prompts.errors import UsageError

STYLES = {
    "formal": "formal, as in an official letter",
    "casual": "casual, as among friends",
    "simple": "simple, with short and common words",
    "short": "short, with as few words as possible",
    "long": "long and explicit, but with nothing added",
}


@STAGES.register
class Paraphrase(Rewrite):
    """Variants in other words.

    Attributes:
        styles: What the prompt's variable `style` is given: formal, casual, simple, short, long, or
            words of one's own. The variants of a row take them in turn, beginning with one drawn
            for the row.
    """

    kind: Literal["paraphrase"] = "paraphrase"
    prompt: Annotated[str, Field(min_length=1)] = "rewrite/paraphrase"
    styles: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    @property
    def ways(self) -> int:
        """The number of styles."""
        return max(1, len(self.styles))

    def given(self) -> set[str]:
        """The text, and the style where there is one."""
        return {"text", "style"} if self.styles else {"text"}

    def check(self, job: JobView) -> None:
        """As for every rewriting; styles need a prompt that takes one."""
        if self.styles and "style" not in job.prompt(self.prompt, key="prompt").variables:
            problem = f"prompt '{self.prompt}' has no variable 'style'"
            fix = "take one that has, such as rewrite/style, or leave styles out"
            raise UsageError(problem, fix=fix, key="prompt")
        super().check(job)

    def values(self, row: Row, text: str, slot: int, context: Context) -> dict[str, JSON]:
        """The text, and how its variant's style is said."""
        if not self.styles:
            return {"text": text}
        style = self._style(row, slot, context)
        return {"text": text, "style": STYLES.get(style, style)}

    def propose(self, row: Row, text: str, slot: int, attempt: int, context: Context) -> Proposing:
        """The replies to the prompt, with the style in the history."""
        found = yield from super().propose(row, text, slot, attempt, context)
        if not self.styles:
            return found
        style = self._style(row, slot, context)
        return [each._replace(event={"style": style, **each.event}) for each in found]

    def _style(self, row: Row, slot: int, context: Context) -> str:
        return self.styles[(context.seed(row) + slot) % len(self.styles)]
