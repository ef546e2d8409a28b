"""The settings every decoding strategy shares; one file a strategy beside this one.

A strategy is one pydantic class. Its settings are read from a job without importing torch:

    decoding: {strategy: sample, temperature: 0.8, top_p: 0.95, n: 2, max_tokens: 60}
"""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationInfo,
    model_validator,
)

from prompts.registry import Registry

if TYPE_CHECKING:
    import torch

    from chains.decoding.noise import Noise
    from chains.decoding.search import History, Search, Vocabulary


class Decoding(BaseModel):
    """Settings that all strategies take; a subclass adds its own and the tag `strategy`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deterministic: ClassVar[bool] = False
    """Whether the reply is a function of the prompt alone, so that no seed enters its key."""

    joint: ClassVar[bool] = False
    """Whether the n replies come out of one search. Where they do not, they are n calls of one
    reply each, told apart by their seeds, and raising n pays for the new ones only."""

    engine: ClassVar[int] = 1
    """Raised whenever the strategy may give other tokens for the same settings."""

    max_tokens: Annotated[int, Field(ge=1)] = 256
    min_tokens: Annotated[int, Field(ge=0)] = 0
    stop: tuple[str, ...] = ()
    n: Annotated[int, Field(ge=1)] = 1
    repetition_penalty: Annotated[float, Field(gt=0)] = 1.0

    @model_validator(mode="after")
    def _window_is_possible(self) -> "Decoding":
        if self.min_tokens > self.max_tokens:
            raise ValueError(f"min_tokens {self.min_tokens} is above max_tokens {self.max_tokens}")
        if any(not text for text in self.stop):
            raise ValueError("an empty stop string would end every reply at once")
        return self

    def key(self) -> dict[str, Any]:
        """What enters a call's ledger key: all settings and the engine version, n only if joint."""
        settings = self.model_dump(mode="json")
        if not self.joint:
            del settings["n"]
        return {**settings, "engine": self.engine}

    def slots(self) -> int:
        """Rows of a batch that one call takes."""
        return 1

    def search(self, vocabulary: "Vocabulary") -> "Search":
        """A new search, for all requests of a batch that have these settings."""
        from chains.decoding.row_search import RowSearch

        return RowSearch(self, vocabulary)

    def choose(self, scores: "torch.Tensor", noise: "Noise") -> "torch.Tensor":
        """The next token of each row, for strategies whose rows know nothing of each other.

        Args:
            scores: Logits after penalties and bans, float32 [rows, vocabulary].
            noise: Random numbers of these rows at this step.

        Returns:
            Token ids, int64 [rows].
        """
        raise NotImplementedError

    def penalises(self) -> bool:
        """Whether `penalise` does anything."""
        return self.repetition_penalty != 1.0

    def penalise(self, scores: "torch.Tensor", history: "History") -> "torch.Tensor":
        """Lower the scores of tokens by what a row has read and drawn; may change them in place.

        The repetition penalty (Keskar et al. 2019, CTRL) divides a positive and multiplies a
        negative score of every token of the prompt and of the reply so far.
        """
        if self.repetition_penalty != 1.0:
            known = history.read | (history.drawn > 0)
            up, down = scores * self.repetition_penalty, scores / self.repetition_penalty
            scores = scores.where(~known, up.where(scores < 0, down))
        return scores


STRATEGIES: Registry[Decoding] = Registry("decoding strategy", tag="strategy")


def _build(value: Any, info: ValidationInfo) -> Decoding:
    return (
        value if isinstance(value, Decoding) else STRATEGIES.build(value, key=info.field_name or "")
    )


AnyDecoding = Annotated[SerializeAsAny[Decoding], BeforeValidator(_build)]
"""Annotation of a stage's field that takes any strategy: `decoding: AnyDecoding = Sample()`."""
