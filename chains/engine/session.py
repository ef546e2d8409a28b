"""Rows of the batch engine: they come, branch and go, and share what their prompts have in common.

Arithmetic on a matrix rounds differently for another shape, so equal bytes need care. Linear layers
round a row alike for any number of rows from a dozen on, elementwise functions for any multiple of
their vectors' width (so passes have a multiple of sixteen rows), and attention for any width of a
masked buffer. Where a prompt is cut into shared beginnings and own
tokens follows from the prompt alone, whether or not a neighbour has the same beginning. A probe
(`chains.engine.choice`) looks whether all this holds on the machine at hand.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from chains.engine.base import ROWS
from chains.engine.keys_values import LANES, Buffers, Segment, up_to
from chains.engine.reading import Piece
from chains.engine.step import Region, Step

if TYPE_CHECKING:
    from chains.decoding.search import Request
    from chains.engine.attention_engine import AttentionEngine

CHUNK = 256
"""Tokens of one prompt that are read in one pass at most, so that long ones stay within memory."""

WORTH = 32
"""Tokens that a shared beginning has at least."""

TOGETHER = 512
"""Tokens of several prompts that are read in one pass, more or less."""


def chunks(tokens: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
    """Runs of at most `CHUNK` tokens and where each begins; the first one even if it is empty."""
    for start in range(0, len(tokens), CHUNK):
        yield start, tokens[start : start + CHUNK]


@dataclass(frozen=True, slots=True)
class Row:
    """A row of an `AttentionSession`.

    Attributes:
        slot: Where it lies in the buffers.
        used: Own tokens, those generated included.
        segments: What stands before its own tokens: nothing, a beginning, or also a body.
        alone: Whether the body lies in the buffers and not in its segment.
    """

    slot: int
    used: int
    segments: tuple[Segment, ...] = ()
    alone: bool = False

    @property
    def before(self) -> int:
        """Tokens of the segments."""
        return sum(segment.length for segment in self.segments)


class AttentionSession:
    """Rows of an `AttentionEngine`; the n rows always lie in the slots 0 to n - 1 of the buffers.

    Which of these is whose changes as rows leave, so that little has to be moved.
    """

    def __init__(self, engine: "AttentionEngine", states: bool = False) -> None:
        self._engine = engine
        self._device = next(engine.model.parameters()).device
        self._own = Buffers()
        self._bodies = Buffers()
        self._rows: list[Row] = []
        self._wants_states = states
        self._shared: list[Region] | None = None
        self._states: torch.Tensor
        self._prompt_states: list[torch.Tensor] = []

    @property
    def states(self) -> torch.Tensor:
        """Of the rows of the last logits."""
        return self._states

    @property
    def prompt_states(self) -> list[torch.Tensor]:
        """Of the requests admitted last."""
        return self._prompt_states

    def admit(self, requests: "Sequence[Request]") -> torch.Tensor:
        """Read each prompt once, and a beginning that is known not again."""
        start = len(self._rows)
        distinct = list(dict.fromkeys((request.prompt, request.cuts) for request in requests))
        fresh = [self._row(start + at, *one) for at, one in enumerate(distinct)]
        tails = [prompt[row.before :] for row, (prompt, _) in zip(fresh, distinct, strict=True)]
        self._make_room(start + len(requests), max(map(len, tails)) + 1)
        logits, states = self._read(fresh, tails)
        order = [distinct.index((request.prompt, request.cuts)) for request in requests]
        branching = [request.rows > 1 for request in requests]
        self._place([fresh[at] for at in order], branching)
        if self._wants_states:
            self._prompt_states = [states[at] for at in order]
            last = torch.stack([states[at][-1] for at in order])
            self._states = torch.cat([self._states, last]) if start else last
        return logits if len(distinct) == len(order) else logits[order]

    def _row(self, slot: int, prompt: tuple[int, ...], cuts: tuple[int, ...]) -> Row:
        """A row whose prompt is cut into runs worth sharing, one token at least left to itself."""
        borders = [0]
        for cut in cuts:
            end = min(cut, len(prompt) - 1)
            if end - borders[-1] >= WORTH:
                borders.append(end)
        runs = [prompt[a:b] for a, b in itertools.pairwise(borders)]
        segments = [
            self._engine.segment(tuple(runs[: n + 1]), self._wants_states) for n in range(len(runs))
        ]
        return Row(slot, len(prompt) - borders[-1], tuple(segments))

    def _make_room(self, rows: int, slots: int) -> None:
        start = len(self._rows)
        self._own.reserve(rows, slots)
        for tensors in (self._own.keys, self._own.values):
            for tensor in tensors.values():
                tensor[start:rows] = 0  # what a failed row left there may not be a number

    def _read(
        self, rows: Sequence[Row], tails: Sequence[Sequence[int]]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Read the prompts' own tokens; of each the logits behind it, and the states if wanted."""
        pieces = [
            (number, Piece(self._own, row.slot, start, run, row.segments))
            for number, (row, tail) in enumerate(zip(rows, tails, strict=True))
            for start, run in chunks(tail)
        ]
        logits = []
        hidden: list[list[torch.Tensor]] = [
            [s.states for s in row.segments if s.states is not None] for row in rows
        ]
        for batch in _passes(pieces):
            ends = [
                at
                for at, (number, piece) in enumerate(batch)
                if piece.start + len(piece.tokens) == len(tails[number])
            ]
            found, states = self._engine.read(
                [piece for _, piece in batch], ends, self._wants_states
            )
            logits.append(found)
            if states is not None:
                lengths = [len(piece.tokens) for _, piece in batch]
                for (number, _), part in zip(batch, torch.split(states, lengths), strict=True):
                    hidden[number].append(part)
        return torch.cat(logits), [torch.cat(parts) for parts in hidden if parts]

    def _place(self, rows: Sequence[Row], branching: Sequence[bool]) -> None:
        """Take rows in, the second and further ones of a prompt as copies of the first."""
        start = len(self._rows)
        users: dict[int, int] = {}
        for row in (*self._rows, *rows):
            if len(row.segments) > 1 and not row.alone:
                users[id(row.segments[1])] = users.get(id(row.segments[1]), 0) + 1
        placed = []
        for number, (row, branches) in enumerate(zip(rows, branching, strict=True)):
            alone = len(row.segments) > 1 and not branches and users[id(row.segments[1])] == 1
            placed.append(replace(row, slot=start + number, alone=alone))
        copied = [(a.slot, b.slot) for a, b in zip(rows, placed, strict=True) if a.slot != b.slot]
        width = max(row.used for row in rows)
        self._own.copy([a for a, _ in copied], [b for _, b in copied], width)
        for row in placed:
            if row.alone:
                self._bodies.reserve(self._own.rows, row.segments[1].slots)
                self._bodies.put(row.slot, row.segments[1])
        self._rows += placed
        self._shared = None

    def advance(self, tokens: Sequence[int]) -> torch.Tensor:
        """One step of all rows, filled up to a multiple of `ROWS`."""
        rows, count = self._rows, len(self._rows)
        self._own.reserve(count, max(row.used for row in rows) + 1)
        fill = up_to(ROWS, count)
        ids, positions, places = [0] * fill, [0] * fill, [0] * count
        for row, token in zip(rows, tokens, strict=True):
            ids[row.slot] = token
            positions[row.slot] = row.before + row.used
            places[row.slot] = row.used
        self._rows = [replace(row, used=row.used + 1) for row in rows]
        step = Step(
            self._regions(),
            count,
            torch.tensor(places, device=self._device),
            torch.tensor(positions[:count], device=self._device),
        )
        logits, states = self._engine.forward(
            [[token] for token in ids],
            [[place] for place in positions],
            step,
            None,
            self._wants_states,
        )
        order = torch.tensor([row.slot for row in rows], device=self._device)
        if states is not None:
            self._states = states[order, -1]
        in_place = all(row.slot == at for at, row in enumerate(rows))
        return (logits[:count, -1] if in_place else logits[order, -1]).float()

    def select(self, rows: Sequence[int]) -> None:
        """Drop, reorder or double rows; one that goes on stays in its slot if that is left."""
        chosen = [self._rows[row] for row in rows]
        taken: set[int] = set()
        stays = []
        for row in chosen:
            stays.append(row.slot < len(rows) and row.slot not in taken)
            if stays[-1]:
                taken.add(row.slot)
        free = iter(slot for slot in range(len(rows)) if slot not in taken)
        placed = [
            row if stay else replace(row, slot=next(free))
            for row, stay in zip(chosen, stays, strict=True)
        ]
        moves = [
            (a.slot, b.slot, a.alone) for a, b in zip(chosen, placed, strict=True) if a is not b
        ]
        self._own.reserve(len(rows), 0)
        if self._bodies.rows:
            self._bodies.reserve(len(rows), 0)
        used = max((row.used for row in placed), default=0)
        self._own.copy([a for a, _, _ in moves], [b for _, b, _ in moves], used)
        bodies = [(a, b) for a, b, alone in moves if alone]
        self._bodies.copy([a for a, _ in bodies], [b for _, b in bodies], self._bodies.slots)
        self._rows = placed
        self._shared = None
        if self._wants_states:
            self._states = self._states[torch.tensor(rows, device=self._device)]

    def _regions(self) -> list[Region]:
        if self._shared is None:
            levels = range(max((len(row.segments) for row in self._rows), default=0))
            self._shared = [self._region(level) for level in levels]
        return [*self._shared, self._own_region()]

    def _by_slot(self) -> list[Row]:
        return sorted(self._rows, key=lambda row: row.slot)

    def _region(self, level: int) -> Region:
        """The first or second segment of all rows."""
        rows = self._by_slot()
        members: dict[int, list[int]] = {}
        segments: dict[int, Segment] = {}
        lengths, starts, alone = [], [], False
        for row in rows:
            segment = row.segments[level] if level < len(row.segments) else None
            lengths.append(segment.length if segment else 0)
            starts.append(row.segments[0].length if level and segment else 0)
            if segment is None:
                continue
            if level and row.alone:
                alone = True
            else:
                segments[id(segment)] = segment
                members.setdefault(id(segment), []).append(row.slot)
        groups: list[tuple[Segment, torch.Tensor | None]] = [
            (segments[key], self._index(slots) if len(slots) < len(rows) else None)
            for key, slots in members.items()
        ]
        width = up_to(LANES, max(lengths))
        if alone:
            self._bodies.reserve(len(rows), width)
        buffers = self._bodies if alone else None
        return Region(width, self._index(starts), self._bias(lengths, width), groups, buffers)

    def _own_region(self) -> Region:
        rows = self._by_slot()
        width = up_to(LANES, max(row.used for row in rows))
        starts = self._index([row.before for row in rows])
        bias = self._bias([row.used for row in rows], width)
        return Region(width, starts, bias, [], self._own)

    def _bias(self, lengths: Sequence[int], width: int) -> torch.Tensor:
        column = torch.arange(width, device=self._device)
        hidden = column[None] >= self._index(lengths)[:, None]
        bias = torch.zeros(hidden.shape, device=self._device).masked_fill_(hidden, -torch.inf)
        return bias[:, None]

    def _index(self, numbers: Sequence[int]) -> torch.Tensor:
        return torch.tensor(numbers, device=self._device, dtype=torch.long)


def _passes(pieces: Sequence[tuple[int, Piece]]) -> Iterator[list[tuple[int, Piece]]]:
    """Pieces that are read together; those of one prompt stay in their order."""
    batch: list[tuple[int, Piece]] = []
    length = 0
    for piece in pieces:
        if batch and length + len(piece[1].tokens) > TOGETHER:
            yield batch
            batch, length = [], 0
        batch.append(piece)
        length += len(piece[1].tokens)
    if batch:
        yield batch
