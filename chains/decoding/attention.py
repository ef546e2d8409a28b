"""Attention and key/value buffers of the decode loop, for any model of transformers.

    model.set_attn_implementation(ATTENTION)
    rows = RowCache(count=3, width=128)                 # three prompts, each padded to 128
    with rows.prefilling(0):
        model(input_ids=ids, position_ids=positions, past_key_values=rows)   # ids [1, 128]
    ...
    with rows.decoding(visible):                              # 16 rows go in, three of them real
        model(input_ids=last, position_ids=positions, past_key_values=rows)  # last [16, 1]

Attention is a matrix product over the key/value heads (no head is repeated), then a float32
softmax. A row's result depends on its own queries, keys and values and on the width of the
buffer, never on how many rows stand beside it. Rows beyond the real ones pass through the linear
layers alone, which are exact for a fixed number of rows only; they hold no keys and attend to
nothing.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from transformers import AttentionInterface
from transformers.cache_utils import Cache, DynamicLayer

ATTENTION = "textmill"
BLOCK = 64
"""Buffers grow and prompts are padded in steps of this many tokens."""

QUERY_CHUNK = 256
"""Queries of a prompt that are scored at once, so that long prompts stay within memory."""

KNOWN_OPTIONS = frozenset({"sliding_window", "softcap", "is_causal", "position_ids", "use_cache"})
"""Options of attention that are honoured or mean nothing here; any other that is set is refused."""

_ACTIVE: ContextVar["RowCache"] = ContextVar("active rows")


class UnsupportedAttention(NotImplementedError):
    """The model asks its attention for something that this function does not do."""


class RowCache(Cache):  # type: ignore[misc]
    """Key and value buffers [rows, heads, slots, size] of one batch, one pair a layer.

    A prompt lies in the slots 0 to width - 1, padded at its end; the tokens generated for it lie
    behind, from slot `width` on, whatever the prompt's own length.

    Args:
        count: Rows.
        width: Slots of a prompt, a multiple of `BLOCK`.
    """

    def __init__(self, count: int, width: int) -> None:
        super().__init__(layer_class_to_replicate=DynamicLayer)
        self.count = count
        self.width = width
        self.used = width
        self.keys: dict[int, torch.Tensor] = {}
        self.values: dict[int, torch.Tensor] = {}
        self.origin = list(range(count))
        self.prompt_row: int | None = None
        self.known = 0
        self.visible: torch.Tensor | None = None
        self.positions: torch.Tensor | None = None

    @property
    def slots(self) -> int:
        """Slots of a row, prompt and generated tokens together; a multiple of `BLOCK`."""
        return self.width + -(-(self.used - self.width) // BLOCK) * BLOCK

    @contextmanager
    def prefilling(self, row: int, known: int = 0) -> Iterator[None]:
        """While it lasts, a pass of a prompt [1, width - known] fills that row from `known`."""
        self.prompt_row, self.known = row, known
        with self._active():
            yield
        self.prompt_row = None

    @contextmanager
    def decoding(self, visible: torch.Tensor, positions: torch.Tensor) -> Iterator[None]:
        """While it lasts, a forward pass adds one token to every row.

        Args:
            visible: Which slots hold a token, boolean [rows, slots], the new one included.
            positions: Where in its text the token of each slot stands, integer [rows, slots].
        """
        self.visible, self.positions = visible, positions
        with self._active():
            yield

    @contextmanager
    def _active(self) -> Iterator[None]:
        token = _ACTIVE.set(self)
        try:
            yield
        finally:
            _ACTIVE.reset(token)

    def extend(self) -> None:
        """Make room for one more token a row."""
        before = self.slots
        self.used += 1
        if self.slots > before:
            for buffers in (self.keys, self.values):
                for layer, buffer in buffers.items():
                    rows, heads, _, size = buffer.shape
                    room = buffer.new_zeros(rows, heads, self.slots - before, size)
                    buffers[layer] = torch.cat([buffer, room], dim=2)

    def copy(self, row: int, head: "RowCache") -> None:
        """Begin a row with what `head`, a cache of one shorter prompt, holds."""
        for mine, its in ((self.keys, head.keys), (self.values, head.values)):
            for layer, states in its.items():
                self._buffer(mine, layer, states)[row, :, : head.width] = states[0, :, : head.width]

    def select(self, rows: Sequence[int]) -> None:
        """Make row i what row `rows[i]` was: rows are dropped, reordered or doubled.

        Beams of one prompt change places with each other only; their prompt then stays where it is.
        """
        origin = [self.origin[row] for row in rows]
        start = self.width if origin == self.origin else 0
        self.origin, self.count = origin, len(rows)
        for buffers in (self.keys, self.values):
            for layer, buffer in buffers.items():
                index = torch.tensor(rows, device=buffer.device)
                if start:
                    buffer[:, :, start:] = buffer[:, :, start:].index_select(0, index)
                else:
                    buffers[layer] = buffer.index_select(0, index)

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *args: Any,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store what a layer computed, and give what it attends to.

        Args:
            key_states: [1, heads, width - known, size] of one prompt, or
                [at least rows, heads, 1, size].
            value_states: The same of the values, whose size may differ.
            layer_idx: The layer.
            args: Ignored.
            kwargs: Ignored.
        """
        found = []
        for buffers, states in ((self.keys, key_states), (self.values, value_states)):
            buffer = self._buffer(buffers, layer_idx, states)
            if self.prompt_row is not None:
                row = buffer[self.prompt_row, :, : self.width]
                row[:, self.known :] = states[0]
                found.append(row[None] if self.known else states)
            else:
                buffer[:, :, self.used - 1] = states[: self.count, :, 0]
                found.append(buffer)
        return found[0], found[1]

    def _buffer(
        self, buffers: dict[int, torch.Tensor], layer: int, like: torch.Tensor
    ) -> torch.Tensor:
        if layer not in buffers:
            _, heads, _, size = like.shape
            buffers[layer] = like.new_zeros(self.count, heads, self.slots, size)
        return buffers[layer]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens before those of the next pass; models that are given positions do not ask."""
        return self.known if self.prompt_row is not None else self.used - 1


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers calls it; masks come from the active `RowCache` alone.

    Args:
        module: The attention layer that calls.
        query: [1, heads, width - known, size] of one prompt, or [rows and fill, heads, 1, size].
        key: [rows, key heads, slots, size].
        value: Like key.
        attention_mask: Refused.
        scaling: Factor on the scores; left out, 1 / sqrt(size).
        dropout: Ignored: nothing is trained here.
        options: `sliding_window` and `softcap` are honoured.

    Returns:
        [rows, tokens, heads, size of the values], and no weights.
    """
    rows = _ACTIVE.get(None)
    strange = sorted(k for k, v in options.items() if v is not None and k not in KNOWN_OPTIONS)
    if rows is None or attention_mask is not None or strange:
        raise UnsupportedAttention(f"attention is called with {', '.join(strange) or 'a mask'}")
    scale = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
    settings = (scale, options.get("softcap"), options.get("sliding_window"))
    if rows.prompt_row is not None:
        return _attend_prompt(query, key, value, *settings).transpose(1, 2), None
    return _attend_step(rows, query, key, value, *settings).transpose(1, 2), None


AttentionInterface.register(ATTENTION, attend)


def _attend_prompt(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    softcap: float | None,
    window: int | None,
) -> torch.Tensor:
    """Causal attention of the last tokens of one prompt, a chunk of queries at a time."""
    _, heads, count, size = query.shape
    _, key_heads, width, _ = key.shape
    known, group = width - count, heads // key_heads
    grouped = query[0].reshape(key_heads, group, count, size)
    keys, values = key[0].transpose(1, 2), value[0]
    place = torch.arange(width, device=query.device)
    parts = []
    for start in range(0, count, QUERY_CHUNK):
        stop = min(start + QUERY_CHUNK, count)
        seen = known + stop  # keys up to the chunk's last query
        gap = place[known + start : seen, None] - place[None, :seen]
        hidden = (gap < 0) if window is None else (gap < 0) | (gap >= window)
        chunk = grouped[:, :, start:stop].reshape(key_heads, group * (stop - start), size)
        scores = _scale(torch.matmul(chunk, keys[..., :seen]), scale, softcap)
        scores = scores.view(key_heads, group, stop - start, seen).masked_fill_(hidden, -torch.inf)
        weights = scores.softmax(-1).to(query.dtype).view(key_heads, -1, seen)
        mixed = torch.matmul(weights, values[:, :seen])
        parts.append(mixed.view(key_heads, group, stop - start, -1))
    return torch.cat(parts, dim=2).reshape(1, heads, count, -1)


def _attend_step(
    rows: RowCache,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    softcap: float | None,
    window: int | None,
) -> torch.Tensor:
    """Attention of the last token of each row; the filling rows get zeros."""
    assert rows.visible is not None
    assert rows.positions is not None
    fill, heads, _, size = query.shape
    count, key_heads, _, _ = key.shape
    visible = rows.visible
    if window is not None:
        now = rows.positions[:, rows.used - 1, None]
        visible = visible & (now - rows.positions < window)
    grouped = query[:count].reshape(count, key_heads, heads // key_heads, size)
    scores = _scale(torch.matmul(grouped, key.transpose(2, 3)), scale, softcap)
    weights = scores.masked_fill_(~visible[:, None, None, :], -torch.inf).softmax(-1)
    mixed = torch.matmul(weights.to(query.dtype), value).reshape(count, heads, 1, -1)
    if fill == count:
        return mixed
    return torch.cat([mixed, mixed.new_zeros(fill - count, *mixed.shape[1:])])


def _scale(scores: torch.Tensor, scale: float, softcap: float | None) -> torch.Tensor:
    scores = scores.float().mul_(scale)
    return scores if softcap is None else torch.tanh(scores / softcap).mul_(softcap)
