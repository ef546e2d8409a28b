"""What decodes: an engine is a loaded model, a session the rows that it decodes at the moment.

session = engine.open()
logits = session.admit([Request((1, 520, 77), seed=0, room=8), ...])
logits.shape                                       # [2, vocabulary], float32
logits = session.advance([415, 12])                # one token a row
session.select([1])                                # row 0 is finished: row 1 goes on alone
logits = session.admit([Request((1, 88), seed=0, room=8)])          # row 1, behind it
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from chains.decoding.search import Request
    from chains.engine.scoring import Pair

ROWS = 16
"""Passes have a multiple of this many rows: the kernels then round a row alike for any number."""


class Session(Protocol):
    """Rows that are decoded in lockstep."""

    def admit(self, requests: "Sequence[Request]") -> torch.Tensor:
        """Read prompts into new rows behind the others; float32 [requests, vocabulary].

        These are the logits of the first token of each reply. A session of an engine that does
        not refill takes requests once, at its beginning.
        """

    def advance(self, tokens: Sequence[int]) -> torch.Tensor:
        """Append one token to each row; logits of the next, float32 [rows, vocabulary]."""

    def select(self, rows: Sequence[int]) -> None:
        """Make row i what row `rows[i]` was: rows are dropped, reordered or doubled."""

    @property
    def states(self) -> torch.Tensor:
        """Hidden states of the rows of the last logits, float32 [rows, size], admitted ones last.

        Only of a session that was opened with `states=True`; so `prompt_states`.
        """

    @property
    def prompt_states(self) -> list[torch.Tensor]:
        """Of each request admitted last the states of its prompt's tokens, [tokens, size]."""


class Engine(Protocol):
    """A loaded model that can open sessions."""

    name: str
    """For the manifest: which path decodes."""

    refills: bool
    """Whether a session takes prompts of any length while others are running."""

    def rows(self, tokens: int) -> int | None:
        """Rows that a session may have whose prompts and replies take up to so many tokens.

        None for no bound, 0 where even one does not fit into the memory for keys and values.
        """

    def shape(self, length: int) -> int:
        """What decides the shapes of a prompt of that length.

        Where the engine does not refill, only prompts of equal shape share a session.
        """

    def open(self, states: bool = False) -> Session:
        """A new, empty session; `states` says whether it also gives hidden states."""

    def score(self, pairs: "Sequence[Pair]") -> list[list[float]]:
        """Natural-log probabilities of given tokens, which no neighbour changes.

        Args:
            pairs: Token ids of a prompt and of a target behind it.

        Returns:
            One number for each token of each target, of float32 logits.
        """
