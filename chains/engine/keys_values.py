"""Keys and values: of the rows of a session, and of what several rows have in common.

own = Buffers()                       # layer -> [rows, key heads, slots, size]
own.reserve(rows=48, slots=192)
head = Segment(length=320)            # layer -> [key heads, 320, size]
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

BLOCK = 64
"""Buffers grow in steps of this many tokens."""

LANES = 32
"""What rows attend to is a multiple of this wide: vector instructions then take the same steps,
and sums over it round alike, however much of it is masked."""


def up_to(multiple: int, number: int) -> int:
    """The smallest multiple of `multiple` that is at least `number`, and never 0."""
    return max(1, -(-number // multiple)) * multiple


@dataclass(eq=False)
class Segment:
    """Keys and values of a run of tokens that stands before the own tokens of some rows.

    Attributes:
        length: Tokens.
        keys: Layer to [key heads, slots, size]; zeros behind the tokens.
        values: Layer to [key heads, slots, size of the values].
        states: Hidden states of the last layer, float32 [length, size], where they were asked for.
    """

    length: int
    keys: dict[int, torch.Tensor] = field(default_factory=dict)
    values: dict[int, torch.Tensor] = field(default_factory=dict)
    states: torch.Tensor | None = None

    @property
    def slots(self) -> int:
        """The length, filled up to `LANES`."""
        return up_to(LANES, self.length)

    def of(
        self, layer: int, row: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Buffers of a layer, made like `keys` and `values` [1, heads, tokens, size] if missing."""
        if layer not in self.keys:
            self.keys[layer] = keys.new_zeros(keys.shape[1], self.slots, keys.shape[3])
            self.values[layer] = values.new_zeros(values.shape[1], self.slots, values.shape[3])
        return self.at(layer, row)

    def at(self, layer: int, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of a layer; a segment has one row only."""
        return self.keys[layer], self.values[layer]


class Buffers:
    """Keys and values of single rows, all of one width."""

    def __init__(self) -> None:
        self.rows = 0
        self.slots = 0
        self.keys: dict[int, torch.Tensor] = {}
        self.values: dict[int, torch.Tensor] = {}

    def reserve(self, rows: int, slots: int) -> None:
        """Make room for at least so many rows and slots; what is there stays."""
        rows, slots = max(rows, self.rows), max(-(-slots // BLOCK) * BLOCK, self.slots)
        if (rows, slots) == (self.rows, self.slots):
            return
        before = self.rows, self.slots
        self.rows, self.slots = rows, slots
        for tensors in (self.keys, self.values):
            for layer, old in tensors.items():
                new = old.new_zeros(rows, old.shape[1], slots, old.shape[3])
                new[: before[0], :, : before[1]] = old
                tensors[layer] = new

    def layer(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Make the buffers of a layer if they are missing, like [.., heads, tokens, size]."""
        if layer not in self.keys:
            shape = self.rows, keys.shape[1], self.slots
            self.keys[layer] = keys.new_zeros(*shape, keys.shape[3])
            self.values[layer] = values.new_zeros(*shape, values.shape[3])

    def of(
        self, layer: int, row: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Buffers of a layer and row, made if missing."""
        self.layer(layer, keys, values)
        return self.at(layer, row)

    def at(self, layer: int, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of a layer and row, [key heads, slots, size]."""
        return self.keys[layer][row], self.values[layer][row]

    def copy(self, sources: Sequence[int], targets: Sequence[int], used: int) -> None:
        """Make the rows `targets` what the rows `sources` were, in their first `used` slots."""
        if not sources or not used:
            return
        for tensors in (self.keys, self.values):
            for tensor in tensors.values():
                origin = torch.tensor(sources, device=tensor.device)
                target = torch.tensor(targets, device=tensor.device)
                front = tensor[:, :, :used]
                front.index_copy_(0, target, front.index_select(0, origin))

    def put(self, row: int, segment: Segment) -> None:
        """Make the beginning of a row what a segment holds."""
        for mine, its in ((self.keys, segment.keys), (self.values, segment.values)):
            for layer, states in its.items():
                if layer not in mine:
                    heads, _, size = states.shape
                    mine[layer] = states.new_zeros(self.rows, heads, self.slots, size)
                mine[layer][row, :, : segment.slots] = states
