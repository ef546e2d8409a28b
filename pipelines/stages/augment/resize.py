"""`expand` and `compress`: a model writes a text anew, longer or shorter, at a length.

- {kind: expand, model: writer, field: text, length: {target: 40, tolerance: 0.25}}
- {kind: compress, model: writer, field: text, length: {max: 12}}

"A dog barks."  ->  itself, "In the early morning, a dog stands in the yard and barks."
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pipelines.stages.augment.gates import Gates
from pipelines.stages.augment.rewriting import Rewrite
from pipelines.stages.base import STAGES


class ResizeGates(Gates):
    """The gates; a longer text says more than the original, so less closeness is asked."""

    similarity: Annotated[float, Field(ge=-1, le=1)] | None = 0.7
    length_ratio: Annotated[float, Field(ge=1)] = 20.0


class Resize(Rewrite):
    """A rewriting whose length has to be given."""

    gates: ResizeGates = ResizeGates()

    @model_validator(mode="after")
    def _length_is_given(self) -> Self:
        if self.length is None:
            raise ValueError("say how long: 'length: {target: 40}' or 'length: {max: 12}'")
        return self


@STAGES.register
class Expand(Resize):
    """Longer variants: details may be added, what is said stays."""

    kind: Literal["expand"] = "expand"
    prompt: Annotated[str, Field(min_length=1)] = "rewrite/expand"


@STAGES.register
class Compress(Resize):
    """Shorter variants: what matters least is left out."""

    kind: Literal["compress"] = "compress"
    prompt: Annotated[str, Field(min_length=1)] = "rewrite/compress"
