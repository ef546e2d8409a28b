"""Guides: what steers one sequence by what it is so far, such as a grammar or a length.

    settings.open(vocabulary, prompt)          # a Guide at the beginning of a reply
    guide.steer(scores)                        # bans and pulls on the next token, in place
    guide = guide.follow(token)                # the guide of the longer sequence
    guide.verdict()                            # None while the sequence may go on

A `GuideSettings` is plain data and part of a call (and of its key); the `Guide` it opens is the
state of one sequence. Guides are not changed by `follow`, so that the beams of a prompt can branch.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import torch

    from chains.calls import Finish
    from chains.decoding.search import Generated, Vocabulary


class Guide(ABC):
    """The state of one sequence."""

    @abstractmethod
    def steer(self, scores: "torch.Tensor") -> None:
        """Change the scores of the next token in place; float32 [vocabulary], -inf bans."""

    @abstractmethod
    def follow(self, token: int) -> "Guide":
        """The guide of the sequence with one token more; this one stays as it is."""

    def verdict(self) -> "Finish | None":
        """Why the sequence is over; None while it may go on.

        Asked after every token. An end token or a stop string ends a sequence without being asked.
        """
        return None

    def least(self) -> int:
        """Tokens within which a stop string ends nothing and is part of the reply."""
        return 0

    def finish(self, generated: "Generated") -> "Generated":
        """The finished sequence as it is returned; a guide may cut its text."""
        return generated


class GuideSettings(BaseModel):
    """What a call asks of every sequence that comes out of it; frozen, part of the ledger key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: ClassVar[int] = 1
    """Raised whenever the guide may let other tokens through for the same settings."""

    kind: str

    def open(self, vocabulary: "Vocabulary", prompt: Sequence[int]) -> Guide:
        """A guide at the beginning of a reply to `prompt` (token ids).

        Raises:
            ValueError: The model's tokens cannot be guided so; the call then fails alone.
        """
        raise NotImplementedError

    def key(self) -> dict[str, object]:
        """What enters a call's ledger key."""
        return {**self.model_dump(mode="json"), "engine": self.engine}
