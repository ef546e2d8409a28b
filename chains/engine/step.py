"""A step of decoding: one token for every row, each attending to its regions.

regions = [Region(352, starts, bias, [head]), Region(192, ..., buffers=own, parts=[...])]
Step(regions, 48, places, positions)          # see `chains.engine.attention`
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch

from chains.engine.attention import Pass, Scoring, product
from chains.engine.keys_values import Buffers, Segment


class Group:
    """Segments that equally many rows share each.

    Args:
        segments: At least one.

    Attributes:
        rows: Their rows, those of the first segment first, int64 [rows]; None for all in order.
    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.rows: torch.Tensor | None = None
        self.count = len(segments)
        self.slots = max(segment.slots for segment in segments)
        self.segments = segments
        self._stacked: dict[tuple[int, bool], torch.Tensor] = {}

    def keys(self, layer: int) -> torch.Tensor:
        """[segments, key heads, slots, size]."""
        return self._stack(layer, values=False)

    def values(self, layer: int) -> torch.Tensor:
        """[segments, key heads, slots, size of the values]."""
        return self._stack(layer, values=True)

    def _stack(self, layer: int, *, values: bool) -> torch.Tensor:
        tensors = [(s.values if values else s.keys)[layer] for s in self.segments]
        if self.count == 1:
            return tensors[0][None]
        if (layer, values) not in self._stacked:
            heads, _, size = tensors[0].shape
            stack = tensors[0].new_zeros(self.count, heads, self.slots, size)
            for at, tensor in enumerate(tensors):
                stack[at, :, : tensor.shape[1]] = tensor
            self._stacked[layer, values] = stack
        return self._stacked[layer, values]

    def together(self, rows: torch.Tensor, shared: torch.Tensor) -> torch.Tensor:
        """One product for all rows of a segment.

        Args:
            rows: [key heads, rows of the step, group, k].
            shared: [segments, key heads, k, n].

        Returns:
            [key heads, rows of these segments, group, n].
        """
        mine = rows if self.rows is None else rows[:, self.rows]
        heads, count, group, size = mine.shape
        flat = mine.reshape(heads, self.count, count // self.count * group, size).transpose(0, 1)
        return product(flat, shared).transpose(0, 1).reshape(heads, count, group, -1)


class Part(NamedTuple):
    """Rows beside each other in the buffers, and the slots that the longest of them takes."""

    start: int
    stop: int
    width: int


@dataclass
class Region:
    """A part of what rows attend to, at each step of one token a row.

    Attributes:
        width: Columns of it.
        start: Position of the first column in each row's text, int64 [rows].
        bias: 0 where a row may look and -inf elsewhere, float32 [rows, 1, width].
        groups: What several rows share.
        buffers: Keys and values of single rows, where there are any.
        parts: Of the buffers, together all rows.
    """

    width: int
    start: torch.Tensor
    bias: torch.Tensor
    groups: Sequence[Group] = ()
    buffers: Buffers | None = None
    parts: Sequence[Part] = field(default_factory=tuple)

    def products(self, query: torch.Tensor, layer: int) -> torch.Tensor:
        """Query times keys; [key heads, rows, group, size] to [key heads, rows, group, width]."""
        found = None
        for part in self.parts if self.buffers is not None else ():
            assert self.buffers is not None
            keys = self.buffers.keys[layer][part.start : part.stop, :, : part.width]
            mine = query[:, part.start : part.stop].transpose(0, 1)
            one = product(mine, keys.transpose(2, 3)).transpose(0, 1)
            if len(self.parts) == 1:
                found = one
                break
            found = self._empty(query) if found is None else found
            found[:, part.start : part.stop, :, : part.width] = one
        for group in self.groups:
            one = group.together(query, group.keys(layer).transpose(2, 3))
            if group.rows is None and group.slots == self.width:
                return one
            found = self._empty(query) if found is None else found
            found[:, slice(None) if group.rows is None else group.rows, :, : group.slots] = one
        assert found is not None
        return found

    def mixed(self, weights: torch.Tensor, layer: int) -> torch.Tensor:
        """Weights times values, [key heads, rows, group, size of the values]."""
        found = None
        if self.buffers is not None:
            values = self.buffers.values[layer]
            pieces = [
                product(
                    weights[:, part.start : part.stop, :, : part.width].transpose(0, 1),
                    values[part.start : part.stop, :, : part.width],
                )
                for part in self.parts
            ]
            found = (pieces[0] if len(pieces) == 1 else torch.cat(pieces)).transpose(0, 1)
        for group in self.groups:
            one = group.together(weights[..., : group.slots], group.values(layer))
            if group.rows is None:
                return one
            if found is None:
                found = one.new_zeros(*weights.shape[:3], one.shape[-1])
            found[:, group.rows] = one
        assert found is not None
        return found

    def _empty(self, query: torch.Tensor) -> torch.Tensor:
        return query.new_zeros(*query.shape[:3], self.width)


class Step(Pass):
    """A pass of one token for each row; further rows of the batch are fillings.

    Args:
        regions: What rows attend to; the last one holds their own tokens.
        count: Rows.
        places: Column of its own region that each row's token goes to, int64 [rows].
        positions: Of the token in its text, int64 [rows].
    """

    def __init__(
        self,
        regions: Sequence[Region],
        count: int,
        places: torch.Tensor,
        positions: torch.Tensor,
    ) -> None:
        super().__init__()
        self.regions = regions
        self.count = count
        self.places = places
        self.positions = positions
        self._index = torch.arange(count, device=places.device)
        self._windows: dict[int, list[torch.Tensor]] = {}

    def keep(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Write the token's key and value into the rows' own buffers."""
        buffers = self.regions[-1].buffers
        assert buffers is not None
        buffers.layer(self.layer, keys, values)
        buffers.keys[self.layer][self._index, :, self.places] = keys[: self.count, :, 0]
        buffers.values[self.layer][self._index, :, self.places] = values[: self.count, :, 0]

    def attend(self, query: torch.Tensor, scoring: Scoring) -> torch.Tensor:
        """Attention of the rows; the fillings get zeros."""
        fill, heads, _, size = query.shape
        own = self.regions[-1].buffers
        assert own is not None
        key_heads = own.keys[self.layer].shape[1]
        grouped = query[: self.count].reshape(self.count, key_heads, heads // key_heads, size)
        weights = self._weights(grouped.transpose(0, 1).contiguous(), scoring)
        mixed = self._mixed(weights, query.dtype).to(query.dtype)
        out = mixed.transpose(0, 1).reshape(self.count, 1, heads, -1)
        if fill == self.count:
            return out
        return torch.cat([out, out.new_zeros(fill - self.count, *out.shape[1:])])

    def _weights(self, query: torch.Tensor, scoring: Scoring) -> torch.Tensor:
        width = sum(region.width for region in self.regions)
        scores = query.new_empty(*query.shape[:3], width, dtype=torch.float32)
        at = 0
        for region, bias in zip(self.regions, self._biases(scoring.window), strict=True):
            raw = region.products(query, self.layer)
            scoring.of(raw, bias, out=scores[..., at : at + region.width])
            at += region.width
        return scores.softmax(-1)

    def _mixed(self, weights: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        total: torch.Tensor | None = None
        at = 0
        for region in self.regions:
            mine = weights[..., at : at + region.width].to(dtype).contiguous()
            part = region.mixed(mine, self.layer)
            total = part if total is None else total.float() + part
            at += region.width
        assert total is not None
        return total

    def _biases(self, window: int | None) -> list[torch.Tensor]:
        if window is None:
            return [region.bias for region in self.regions]
        if window not in self._windows:
            self._windows[window] = [self._seen(region, window) for region in self.regions]
        return self._windows[window]

    def _seen(self, region: Region, window: int) -> torch.Tensor:
        column = torch.arange(region.width, device=region.bias.device)
        gap = self.positions[:, None] - region.start[:, None] - column[None]
        return region.bias.masked_fill((gap >= window)[:, None], -torch.inf)
