"""What goes into fine-tuning and what comes out, as plain data."""

from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field


class Exchange(NamedTuple):
    """A prompt and the reply that is learned or looked for."""

    prompt: str
    completion: str


class FineTuning(BaseModel):
    """How adapters are trained.

    Attributes:
        epochs: Times that all exchanges are gone through.
        rank: Of the low-rank matrices beside every linear layer (Hu et al. 2021).
        learning_rate: At the beginning; it falls linearly to 0.
        batch: Exchanges in a step.
        max_length: Tokens of an exchange; what is longer is cut.
        max_tokens: Of a reply when exact matches are counted.
        seed: Of the adapters' first weights and of the order of the exchanges.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: Annotated[int, Field(ge=1)] = 3
    rank: Annotated[int, Field(ge=1, le=512)] = 8
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    batch: Annotated[int, Field(ge=1)] = 8
    max_length: Annotated[int, Field(ge=8)] = 512
    max_tokens: Annotated[int, Field(ge=1)] = 64
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class Classifying(BaseModel):
    """How an encoder is trained to classify.

    Attributes:
        epochs: Times that all texts are gone through.
        learning_rate: At its highest, after a tenth of the steps; it falls linearly to 0.
        batch: Texts in a step.
        max_length: Tokens of a text; what is longer is cut.
        seed: Of the new layer's first weights and of the order of the texts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: Annotated[int, Field(ge=1)] = 3
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    batch: Annotated[int, Field(ge=1)] = 16
    max_length: Annotated[int, Field(ge=8)] = 128
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class Scores(NamedTuple):
    """How well a model gives held-out replies.

    Attributes:
        perplexity: Of the replies' tokens and their end, after their prompts.
        exact_match: Share of greedy replies that are the one looked for, but for case, punctuation
            and spaces.
    """

    perplexity: float
    exact_match: float


class Outcome(NamedTuple):
    """The scores before and after training."""

    before: Scores
    after: Scores
