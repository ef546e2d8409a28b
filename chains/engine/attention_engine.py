"""The batch engine: decodes any causal model that takes a registered attention function.

engine = AttentionEngine(model, memory=2_000_000_000)
session = engine.open()              # see `chains.engine.base`
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch

from chains.engine.attention import ATTENTION, Pass, active
from chains.engine.base import ROWS
from chains.engine.keys_values import BLOCK, Buffers, Segment, up_to
from chains.engine.reading import Piece, Reading, chunks, passes
from chains.engine.scoring import Pair, score_pairs
from chains.engine.session import AttentionSession

Chain = tuple[tuple[int, ...], ...]
"""Runs of tokens, one behind the other, with which prompts begin."""

KEPT = 4096
"""Tokens of shared beginnings whose keys and values an engine keeps, the least used going first."""


class AttentionEngine:
    """Decodes any model that takes a registered attention function and a cache of ours.

    Args:
        model: A causal model of transformers; its attention is replaced.
        memory: Bytes that keys and values of one session may take; None for no bound.
    """

    name = "registered attention"
    refills = True

    def __init__(self, model: Any, memory: int | None = None) -> None:
        self.model = model
        self.memory = memory
        self.segments: OrderedDict[Chain, Segment] = OrderedDict()
        model.set_attn_implementation(ATTENTION)

    def rows(self, tokens: int) -> int | None:
        """As many as the memory for keys and values holds."""
        if self.memory is None:
            return None
        return self.memory // (up_to(BLOCK, tokens) * bytes_per_token(self.model))

    def shape(self, length: int) -> int:
        """All prompts share a session."""
        return 0

    def open(self, states: bool = False) -> "AttentionSession":
        """A new, empty session."""
        return AttentionSession(self, states)

    def score(self, pairs: Sequence[Pair]) -> list[list[float]]:
        """Log-probabilities of targets; several pairs share a pass."""
        with torch.inference_mode():
            return score_pairs(self, pairs)

    def segments_of(self, chains: Sequence[Chain], states: bool = False) -> dict[Chain, Segment]:
        """Keys and values of the last run of each chain, and of each chain's beginnings.

        Computed when they first come and kept for a while; those that are new are read together.
        """
        found: dict[Chain, Segment] = {}
        for depth in range(1, max(map(len, chains), default=0) + 1):
            wanted = dict.fromkeys(chain[:depth] for chain in chains if len(chain) >= depth)
            found.update(
                (chain, self.segments[chain]) for chain in wanted if chain in self.segments
            )
            missing = [c for c in wanted if c not in found or (states and found[c].states is None)]
            fresh = {chain: Segment(len(chain[-1])) for chain in missing}
            self._fill(fresh, found, states)
            found.update(fresh)
        self._keep(found)
        return found

    def _fill(self, fresh: dict[Chain, Segment], found: dict[Chain, Segment], states: bool) -> None:
        pieces = []
        for chain, segment in fresh.items():
            before = tuple(found[chain[:depth]] for depth in range(1, len(chain)))
            pieces += [Piece(segment, 0, start, run, before) for start, run in chunks(chain[-1])]
        parts: dict[Buffers | Segment, list[torch.Tensor]] = {}
        for batch in passes(pieces, lambda piece: piece):
            _, hidden = self.read(batch, [], states)
            if hidden is not None:
                lengths = [len(piece.tokens) for piece in batch]
                for piece, part in zip(batch, torch.split(hidden, lengths), strict=True):
                    parts.setdefault(piece.keys, []).append(part)
        for segment in fresh.values() if states else ():
            segment.states = torch.cat(parts[segment])

    def _keep(self, found: dict[Chain, Segment]) -> None:
        for chain, segment in found.items():
            self.segments[chain] = segment
            self.segments.move_to_end(chain)
        while len(self.segments) > 1 and sum(s.length for s in self.segments.values()) > KEPT:
            self.segments.popitem(last=False)

    def read(
        self, pieces: Sequence[Piece], last: Sequence[int], states: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Read pieces of prompts in one pass.

        Args:
            pieces: Of any prompts.
            last: Of which pieces the logits behind their last token are wanted.
            states: Whether the hidden states are wanted.

        Returns:
            Logits, float32 [len(last), vocabulary], and states, float32 [tokens, size].
        """
        tokens = [token for piece in pieces for token in piece.tokens]
        places = [
            piece.before + piece.start + at for piece in pieces for at in range(len(piece.tokens))
        ]
        ends = torch.tensor([len(piece.tokens) for piece in pieces]).cumsum(0) - 1
        keep = ends[list(last)].tolist() if last else [0]
        keep += [keep[0]] * (up_to(ROWS, len(keep)) - len(keep))
        fill = [0] * (up_to(ROWS, len(tokens)) - len(tokens))
        logits, hidden = self.forward(
            [[*tokens, *fill]], [[*places, *fill]], Reading(pieces), keep, states
        )
        found = None if hidden is None else hidden[0, : len(tokens)]
        return logits[0, : len(last)].float(), found

    def forward(
        self,
        tokens: Sequence[Sequence[int]],
        positions: Sequence[Sequence[int]],
        current: Pass,
        keep: Sequence[int] | None,
        states: bool,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """One pass of the model: logits [batch, kept tokens, vocabulary] and float32 states."""
        device = next(self.model.parameters()).device
        kept = 0 if keep is None else torch.tensor(keep, device=device)
        with active(current):
            output = self.model(
                input_ids=torch.tensor(tokens, device=device),
                position_ids=torch.tensor(positions, device=device),
                past_key_values=current,
                use_cache=True,
                logits_to_keep=kept,
                output_hidden_states=states,
            )
        return output.logits, output.hidden_states[-1].float() if states else None


def bytes_per_token(model: Any) -> int:
    """Bytes of one token's keys and values in all layers."""
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    number = next(model.parameters()).element_size()
    return int(2 * config.num_hidden_layers * key_heads * size * number)
