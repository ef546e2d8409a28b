"""Reading prompts: pieces of several, one behind the other in one pass.

pieces = [Piece(own, row=0, start=0, tokens=(520, 77), segments=(head,)), ...]
Reading(pieces)                               # see `chains.engine.attention`
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import torch

from chains.engine.attention import Pass, Scoring, product
from chains.engine.keys_values import Buffers, Segment

T = TypeVar("T")

CHUNK = 256
"""Tokens of one prompt that are read in one pass at most, so that long ones stay within memory."""

TOGETHER = 512
"""Tokens of several prompts that are read in one pass, more or less."""


class Piece(NamedTuple):
    """A run of a prompt's tokens that are read in one pass.

    Attributes:
        keys: Where its keys go and those before them lie: layer to [key heads, slots, size].
        values: The same of its values.
        start: Slot of its first token there; its position is `before` more.
        tokens: Token ids.
        segments: What stands before those slots, one behind the other.
    """

    keys: Buffers | Segment
    row: int
    start: int
    tokens: Sequence[int]
    segments: tuple[Segment, ...]

    @property
    def before(self) -> int:
        """Tokens of all the segments."""
        return sum(segment.length for segment in self.segments)


class Reading(Pass):
    """A pass of several pieces of prompts, one behind the other as one sequence of tokens.

    Args:
        pieces: What is read. Each attends to its own prompt alone.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        super().__init__()
        self.pieces = pieces

    def keep(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Write each piece's keys and values to where it says."""
        at = 0
        for piece in self.pieces:
            count = len(piece.tokens)
            mine = slice(at, at + count)
            own_keys, own_values = piece.keys.of(self.layer, piece.row, keys, values)
            own_keys[:, piece.start : piece.start + count] = keys[0, :, mine]
            own_values[:, piece.start : piece.start + count] = values[0, :, mine]
            at += count

    def attend(self, query: torch.Tensor, scoring: Scoring) -> torch.Tensor:
        """Causal attention within each piece's prompt; [1, heads, tokens, size]."""
        _, heads, length, _ = query.shape
        parts = []
        at = 0
        for piece in self.pieces:
            count = len(piece.tokens)
            parts.append(self._of(piece, query[0, :, at : at + count], scoring))
            at += count
        if at < length:  # tokens that fill the pass up
            parts.append(parts[0].new_zeros(length - at, heads, parts[0].shape[-1]))
        return torch.cat(parts)[None]

    def _of(self, piece: Piece, query: torch.Tensor, scoring: Scoring) -> torch.Tensor:
        """[heads, tokens, size] to [tokens, heads, size of the values]."""
        heads, count, size = query.shape
        keys, values = piece.keys.at(self.layer, piece.row)
        key_heads, seen = keys.shape[0], piece.start + count
        groups = heads // key_heads
        flat = query.reshape(key_heads, groups * count, size)
        parts = [
            (s.keys[self.layer][:, : s.length], s.values[self.layer][:, : s.length])
            for s in piece.segments
        ]
        parts.append((keys[:, :seen], values[:, :seen]))
        raw = torch.cat([product(flat, part.transpose(1, 2)) for part, _ in parts], dim=-1)
        bias = _causal(piece, scoring.window, query.device)
        scores = torch.empty(
            key_heads, groups, count, raw.shape[-1], dtype=torch.float32, device=query.device
        )
        scoring.of(raw.view_as(scores), bias, out=scores)
        weights = scores.softmax(-1).to(query.dtype).view(key_heads, groups * count, -1)
        total: torch.Tensor | None = None
        at = 0
        for _, part in parts:
            mixed = product(weights[..., at : at + part.shape[1]], part)
            total = mixed if total is None else total.float() + mixed
            at += part.shape[1]
        assert total is not None
        mixed = total.to(query.dtype).view(key_heads, groups, count, -1)
        return mixed.permute(2, 0, 1, 3).reshape(count, heads, -1)


def _causal(piece: Piece, window: int | None, device: torch.device) -> torch.Tensor:
    """0 where a token of the piece may look and -inf elsewhere, float32 [tokens, columns]."""
    first = piece.before + piece.start
    end = first + len(piece.tokens)
    gap = torch.arange(first, end, device=device)[:, None] - torch.arange(end, device=device)[None]
    hidden = (gap < 0) if window is None else (gap < 0) | (gap >= window)
    return torch.zeros(gap.shape, device=device).masked_fill_(hidden, -torch.inf)


def chunks(tokens: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
    """Runs of at most `CHUNK` tokens, and where each begins."""
    for start in range(0, len(tokens), CHUNK):
        yield start, tokens[start : start + CHUNK]


def passes(items: Sequence[T], piece: Callable[[T], Piece]) -> Iterator[list[T]]:
    """Items whose pieces are read together, in their order."""
    batch: list[T] = []
    length = 0
    for item in items:
        count = len(piece(item).tokens)
        if batch and length + count > TOGETHER:
            yield batch
            batch, length = [], 0
        batch.append(item)
        length += count
    if batch:
        yield batch
