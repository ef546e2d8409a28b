"""Rows of the batch engine: they come, branch and go, and share what their prompts have in common.

Arithmetic on a matrix rounds differently for another shape, so equal bytes need care. Linear layers
round a row alike for any number of rows from a dozen on, elementwise functions for any multiple of
their vectors' width (so passes have a multiple of sixteen rows), and attention for any width of a
masked buffer. Where a prompt is cut into shared beginnings and own tokens follows from the prompt
alone, whether or not a neighbour has the same beginning. A probe (`chains.engine.choice`) looks
whether all this holds on the machine at hand.
"""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from chains.engine.base import ROWS
from chains.engine.keys_values import Buffers, up_to
from chains.engine.reading import Piece, chunks, passes
from chains.engine.regions import Regions, Row
from chains.engine.step import Step

if TYPE_CHECKING:
    from chains.decoding.search import Request
    from chains.engine.attention_engine import AttentionEngine, Chain

WORTH = 64
"""Tokens that a shared beginning has at least."""


class AttentionSession:
    """Rows of an `AttentionEngine`; the n rows always lie in the slots 0 to n - 1 of the buffers.

    Which of these is whose changes as rows leave, so that little has to be moved.
    """

    def __init__(self, engine: "AttentionEngine", states: bool = False) -> None:
        self._engine = engine
        self._device = next(engine.model.parameters()).device
        self._own = Buffers()
        self._levels = [Buffers(), Buffers()]
        self._rows: list[Row] = []
        self._regions = Regions(self._own, self._levels, self._device)
        self._wants_states = states
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
        chains = [_chain(*one) for one in distinct]
        fresh = self._fresh([prompt for prompt, _ in distinct], chains)
        tails = [prompt[row.before :] for row, (prompt, _) in zip(fresh, distinct, strict=True)]
        self._make_room(start + len(requests), max(map(len, tails)) + 1)
        logits, states = self._read(fresh, tails)
        place = {one: at for at, one in enumerate(distinct)}
        order = [place[request.prompt, request.cuts] for request in requests]
        self._place([fresh[at] for at in order], [request.rows > 1 for request in requests])
        if self._wants_states:
            self._prompt_states = [states[at] for at in order]
            last = torch.stack([states[at][-1] for at in order])
            self._states = torch.cat([self._states, last]) if start else last
        return logits if len(distinct) == len(order) else logits[order]

    def _fresh(self, prompts: Sequence[tuple[int, ...]], chains: "Sequence[Chain]") -> list[Row]:
        """A row for each prompt, what stands before its own tokens read."""
        found = self._engine.segments_of([c for c in chains if c], self._wants_states)
        rows = []
        for slot, (prompt, chain) in enumerate(zip(prompts, chains, strict=True), len(self._rows)):
            segments = tuple(found[chain[: depth + 1]] for depth in range(len(chain)))
            used = len(prompt) - sum(map(len, chain))
            rows.append(Row(slot, used, segments, len(segments)))
        return rows

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
        for batch in passes(pieces, lambda item: item[1]):
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
        """Take rows in, the second and further ones of a prompt as copies of the first.

        A segment that a row has for itself is copied into the buffers: single rows are attended
        to together there.
        """
        start = len(self._rows)
        users = Counter(
            segment for row in (*self._rows, *rows) for segment in row.segments[: row.shared]
        )
        placed = []
        for number, (row, branches) in enumerate(zip(rows, branching, strict=True)):
            common = [branches or users[segment] > 1 for segment in row.segments]
            placed.append(replace(row, slot=start + number, shared=sum(common)))
        copied = [(a.slot, b.slot) for a, b in zip(rows, placed, strict=True) if a.slot != b.slot]
        width = max(row.used for row in rows)
        self._own.copy([a for a, _ in copied], [b for _, b in copied], width)
        for row in placed:
            for level in range(row.shared, len(row.segments)):
                self._levels[level].reserve(self._own.rows, row.segments[level].slots)
                self._levels[level].put(row.slot, row.segments[level])
        self._rows += placed
        self._regions.forget()

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
            self._regions.of(self._rows),
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
        self._move([(a, b) for a, b in zip(chosen, placed, strict=True) if a is not b], len(rows))
        self._rows = placed
        self._regions.forget()
        if self._wants_states:
            self._states = self._states[torch.tensor(rows, device=self._device)]

    def _move(self, moves: Sequence[tuple[Row, Row]], count: int) -> None:
        """Copy rows to other slots."""
        used = max((row.used for row, _ in moves), default=0)
        self._own.reserve(count, 0)
        self._own.copy([a.slot for a, _ in moves], [b.slot for _, b in moves], used)
        for level, buffers in enumerate(self._levels):
            if buffers.rows:
                buffers.reserve(count, 0)
            mine = [(a, b) for a, b in moves if a.shared <= level < len(a.segments)]
            used = max((row.segments[level].slots for row, _ in mine), default=0)
            buffers.copy([a.slot for a, _ in mine], [b.slot for _, b in mine], used)


def _chain(prompt: tuple[int, ...], cuts: tuple[int, ...]) -> "Chain":
    """The beginnings of a prompt that are worth sharing; one token at least is left to itself."""
    borders = [0]
    for cut in cuts:
        end = min(cut, len(prompt) - 1)
        if end - borders[-1] >= WORTH:
            borders.append(end)
    return tuple(prompt[a:b] for a, b in itertools.pairwise(borders))
