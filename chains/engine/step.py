"""A step of decoding: one token for every row, each attending to its regions.

regions = [Region(320, starts, bias, [(head, None)]), Region(192, ..., buffers=own)]
Step(regions, 48, places, positions)          # see `chains.engine.attention`
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from chains.engine.attention import Pass, Scoring, product
from chains.engine.keys_values import Buffers, Segment


@dataclass
class Region:
    """A part of what rows attend to, at each step of one token a row.

    Attributes:
        width: Columns of it.
        start: Position of the first column in each row's text, int64 [rows].
        bias: 0 where a row may look and -inf elsewhere, float32 [rows, 1, width].
        groups: Segments and the rows that share them (None: all rows).
        buffers: Keys and values of single rows, where there are any.
    """

    width: int
    start: torch.Tensor
    bias: torch.Tensor
    groups: list[tuple[Segment, torch.Tensor | None]] = field(default_factory=list)
    buffers: Buffers | None = None

    def products(self, query: torch.Tensor, layer: int) -> torch.Tensor:
        """Query times keys; [key heads, rows, group, size] to [key heads, rows, group, width]."""
        heads, count, group, _ = query.shape
        found = None
        if self.buffers is not None:
            keys = self.buffers.keys[layer][:count, :, : self.width]
            found = product(query.transpose(0, 1), keys.transpose(2, 3)).transpose(0, 1)
        for segment, rows in self.groups:
            mine = query if rows is None else query[:, rows]
            part = _together(mine, segment.keys[layer].transpose(1, 2))
            if rows is None and segment.slots == self.width:
                return part
            if found is None:
                found = query.new_zeros(heads, count, group, self.width)
            found[:, slice(None) if rows is None else rows, :, : segment.slots] = part
        assert found is not None
        return found

    def mixed(self, weights: torch.Tensor, layer: int) -> torch.Tensor:
        """Weights times values, [key heads, rows, group, size of the values]."""
        heads, count, group, _ = weights.shape
        found = None
        if self.buffers is not None:
            values = self.buffers.values[layer][:count, :, : self.width]
            found = product(weights.transpose(0, 1), values).transpose(0, 1)
        for segment, rows in self.groups:
            mine = weights if rows is None else weights[:, rows]
            part = _together(mine[..., : segment.slots], segment.values[layer])
            if rows is None:
                return part
            if found is None:
                found = part.new_zeros(heads, count, group, part.shape[-1])
            found[:, rows] = part
        assert found is not None
        return found


def _together(rows: torch.Tensor, shared: torch.Tensor) -> torch.Tensor:
    """One product for all rows: [heads, rows, group, k] by [heads, k, n] to [.., group, n]."""
    heads, count, group, size = rows.shape
    return product(rows.reshape(heads, count * group, size), shared).view(heads, count, group, -1)


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
