"""Logit bias: some tokens made likelier or unlikelier, by id or by text.

decoding: {strategy: sample, logit_bias: {" perhaps": -5, 2817: 3.5}}
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from chains.decoding.guide import Guide, GuideSettings

if TYPE_CHECKING:
    import torch

    from chains.decoding.search import Vocabulary

Entry = tuple[Annotated[int, Field(ge=0)] | str, Annotated[float, Field(ge=-100, le=100)]]


def _pairs(value: Any) -> Any:
    return tuple(value.items()) if isinstance(value, Mapping) else value


def _sorted(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Equal mappings are equal settings, in whatever order they are written."""
    keys = [key for key, _ in entries]
    twice = [key for key in keys if keys.count(key) > 1]
    if twice:
        raise ValueError(f"logit_bias names {twice[0]!r} twice")
    if "" in keys:
        raise ValueError("logit_bias has an empty text; name a token")
    return tuple(sorted(entries, key=lambda entry: (isinstance(entry[0], str), entry[0])))


Biases = Annotated[tuple[Entry, ...], BeforeValidator(_pairs), AfterValidator(_sorted)]
"""Token id or text of one token, and what is added to its logit; pairs, since text "7" is not id 7
and JSON has no other keys than text."""


class LogitBias(GuideSettings):
    """Adds to logits as OpenAI's `logit_bias` does.

    Attributes:
        entries: Of `Biases`.
    """

    kind: Literal["logit_bias"] = "logit_bias"
    entries: Biases

    def open(self, vocabulary: "Vocabulary", prompt: Sequence[int]) -> "Biased":
        """A guide that is the same at every token.

        Raises:
            ValueError: A text is no single token, there is no such token, or it is named twice.
        """
        import torch

        biases: dict[int, float] = {}
        for key, value in self.entries:
            for token in [key] if isinstance(key, int) else _named(key, vocabulary):
                if token in biases:
                    raise ValueError(f"logit_bias names token {token} twice, once as {key!r}")
                biases[token] = value
        if vocabulary.tokenizer is not None and max(biases) >= len(vocabulary.texts.pieces):
            size = len(vocabulary.texts.pieces)
            raise ValueError(f"logit_bias names token {max(biases)}, the model has {size}")
        return Biased(torch.tensor([*biases]), torch.tensor([*biases.values()]))


class Biased(Guide):
    """Args: the tokens, int64 [n], and what is added to each, float32 [n]."""

    def __init__(self, tokens: "torch.Tensor", values: "torch.Tensor") -> None:
        self._tokens = tokens
        self._values = values

    def steer(self, scores: "torch.Tensor") -> None:
        """Add the biases."""
        if self._tokens.device != scores.device:
            self._tokens = self._tokens.to(scores.device)
            self._values = self._values.to(scores.device)
        scores[self._tokens] += self._values

    def follow(self, token: int) -> "Biased":
        """Itself."""
        return self


def _named(text: str, vocabulary: "Vocabulary") -> list[int]:
    found = vocabulary.texts.named(text)
    if not found:
        parts = vocabulary.texts.split(text)
        shown = ", ".join(map(repr, parts))
        raise ValueError(f"{text!r} of logit_bias is not one token but {len(parts)} ({shown})")
    return found
