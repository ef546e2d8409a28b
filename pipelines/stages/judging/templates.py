"""How a model that writes is asked for a label: a prompt, and how a reply would say the label.

templates: [{prompt: classify/sentiment, reply: "The review is {label}"}]
labels: {good: positive, bad: negative}
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pipelines.rows import JSON
from prompts.errors import UsageError

if TYPE_CHECKING:
    from prompts.prompt import Prompt

GIVEN = {"text", "labels"}
"""Variables of a template's prompt that the stage fills itself."""

SLOT = "{label}"


def _named(value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return {str(label): str(label) for label in value}
    return value


Labels = Annotated[dict[str, Annotated[str, Field(min_length=1)]], BeforeValidator(_named)]
"""Label -> how the model says it; a list means labels that are said as they are."""


class Template(BaseModel):
    """One way to ask for a label.

    Attributes:
        prompt: Name of a prompt; its variable `text` is the text, `labels` how the labels
            are said, with commas between them, and any other is a column.
        reply: How a reply would say it, with `{label}`.
        words: Label -> how this template says it, where it differs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: Annotated[str, Field(min_length=1)]
    reply: str = SLOT
    words: dict[str, Annotated[str, Field(min_length=1)]] = {}

    @model_validator(mode="after")
    def _has_a_slot(self) -> "Template":
        if self.reply.count(SLOT) != 1:
            raise ValueError("write {label} once in 'reply', where the label goes")
        return self


def _some_templates(value: Any) -> Any:
    many = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return [{"prompt": each} if isinstance(each, str) else each for each in many]


Templates = Annotated[
    tuple[Template, ...], BeforeValidator(_some_templates), Field(min_length=1, max_length=20)
]
"""A prompt's name, a mapping, or a list of them."""


def prompt_values(prompt: "Prompt", given: Mapping[str, JSON]) -> dict[str, JSON]:
    """The values of a prompt's variables.

    Raises:
        UsageError: One is not given.
    """
    missing = sorted(prompt.variables_used() - given.keys())
    if missing:
        problem = f"prompt '{prompt.label}' uses '{missing[0]}', which is not there"
        fix = "for calibration take a prompt of 'text' and 'labels' alone, or method none"
        raise UsageError(problem, fix=fix, key="templates")
    return {name: given[name] for name in prompt.variables_used()}
