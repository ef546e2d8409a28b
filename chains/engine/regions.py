"""Which regions the rows of a session attend to, and who shares what.

regions = Regions(own, levels, device)
regions.of(rows)          # [the beginnings, the documents, the rows' own tokens]
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from chains.engine.keys_values import LANES, Buffers, Segment, up_to
from chains.engine.step import Group, Part, Region

PARTS = 4
"""Parts that the rows of the buffers are looked at in."""

WASTE = 1.25
"""Factor on the slots that are needed, up to which all rows are looked at as one part."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a session.

    Attributes:
        slot: Where it lies in the buffers.
        used: Own tokens, those generated included.
        segments: What stands before its own tokens: nothing, a beginning, or also a document.
        shared: How many of these it attends to as segments; the others are in the buffers, too.
    """

    slot: int
    used: int
    segments: tuple[Segment, ...] = ()
    shared: int = 0

    @property
    def before(self) -> int:
        """Tokens of the segments."""
        return sum(segment.length for segment in self.segments)


class Regions:
    """Makes the regions of a step; those before the own tokens are kept while the rows stay.

    Args:
        own: Buffers of the rows' own tokens.
        levels: Buffers of first and second segments that a row has for itself.
        device: Of the model.
    """

    def __init__(self, own: Buffers, levels: Sequence[Buffers], device: torch.device) -> None:
        self._own = own
        self._levels = levels
        self._device = device
        self._kept: list[Region] | None = None
        self._groups: dict[tuple[Segment, ...], Group] = {}

    def forget(self) -> None:
        """The rows are others now, or lie elsewhere."""
        self._kept = None

    def of(self, rows: Sequence[Row]) -> list[Region]:
        """The regions of rows, which lie in slots 0 to n - 1 in any order."""
        by_slot = sorted(rows, key=lambda row: row.slot)
        if self._kept is None:
            depth = max(len(row.segments) for row in rows)
            before, self._groups = self._groups, {}
            self._kept = [self._of_level(level, by_slot, before) for level in range(depth)]
        return [*self._kept, self._of_own(by_slot)]

    def _of_own(self, rows: Sequence[Row]) -> Region:
        lengths = [row.used for row in rows]
        width = up_to(LANES, max(lengths))
        starts = self._index([row.before for row in rows])
        return Region(width, starts, self._bias(lengths, width), (), self._own, parts(lengths))

    def _of_level(
        self, level: int, rows: Sequence[Row], before: dict[tuple[Segment, ...], Group]
    ) -> Region:
        lengths, starts = [], []
        members: dict[Segment, list[int]] = {}
        alone = [0] * len(rows)
        for row in rows:
            mine = row.segments[level : level + 1]
            lengths.append(mine[0].length if mine else 0)
            starts.append(sum(segment.length for segment in row.segments[:level]) if mine else 0)
            if mine and level < row.shared:
                members.setdefault(mine[0], []).append(row.slot)
            elif mine:
                alone[row.slot] = mine[0].length
        width = up_to(LANES, max(lengths))
        region = Region(width, self._index(starts), self._bias(lengths, width))
        region.groups = self._grouped(members, len(rows), before)
        if any(alone):
            region.buffers = self._levels[level]
            region.buffers.reserve(len(rows), width)
            region.parts = parts(alone) if not region.groups else parts([width] * len(rows))
        return region

    def _grouped(
        self,
        members: dict[Segment, list[int]],
        count: int,
        before: dict[tuple[Segment, ...], Group],
    ) -> list[Group]:
        """One group of all segments that equally many rows share."""
        sizes: dict[int, list[Segment]] = {}
        for segment, slots in members.items():
            sizes.setdefault(len(slots), []).append(segment)
        groups = []
        for segments in sizes.values():
            slots = [slot for segment in segments for slot in members[segment]]
            key = tuple(segments)
            group = before.get(key) or Group(segments)
            group.rows = None if slots == list(range(count)) else self._index(slots)
            self._groups[key] = group
            groups.append(group)
        return groups

    def _bias(self, lengths: Sequence[int], width: int) -> torch.Tensor:
        column = torch.arange(width, device=self._device)
        hidden = column[None] >= self._index(lengths)[:, None]
        bias = torch.zeros(hidden.shape, device=self._device).masked_fill_(hidden, -torch.inf)
        return bias[:, None]

    def _index(self, numbers: Sequence[int]) -> torch.Tensor:
        return torch.tensor(numbers, device=self._device, dtype=torch.long)


def parts(lengths: Sequence[int]) -> list[Part]:
    """Rows in a few parts, each as wide as its longest, where that spares enough."""
    size = -(-len(lengths) // PARTS)
    found = []
    for start in range(0, len(lengths), size):
        stop = min(start + size, len(lengths))
        found.append(Part(start, stop, up_to(LANES, max(lengths[start:stop]))))
    widest = max(part.width for part in found)
    needed = sum((part.stop - part.start) * part.width for part in found)
    if len(lengths) * widest <= WASTE * needed:
        return [Part(0, len(lengths), widest)]
    return found
