"""The decode loop: rows of a session advance together, new ones take the places of finished ones.

    flight = Flight(engine, vocabulary)
    flight.admit([(0, (Greedy(), request)), (1, (Sample(), request))])
    while flight.running:
        flight.step()
        flight.take()       # [(0, [Generated(text="Blue.", finish="stop", ...)])]

Requests of different settings share the model's forward passes; each group of equal settings has
its own search.
"""

from collections.abc import Sequence

import torch

from chains.decoding.base import Decoding
from chains.decoding.search import Generated, Move, Request, Search, Vocabulary
from chains.engine.base import Engine

Task = tuple[Decoding, Request]
Finished = list[tuple[int, list[Generated]]]


class Flight:
    """The tasks that are decoded together at the moment.

    Args:
        engine: The model.
        vocabulary: The model's tokens.
        states: Whether any task will look at hidden states.
    """

    def __init__(self, engine: Engine, vocabulary: Vocabulary, states: bool = False) -> None:
        self._vocabulary = vocabulary
        self._session = engine.open(states)
        self._searches: dict[Decoding, Search] = {}
        self._rows: dict[Decoding, list[int]] = {}
        self._indices: dict[Decoding, list[int]] = {}
        self._tokens: list[int] = []
        self._admitted: list[tuple[Decoding, Request]] = []
        self.running: dict[int, Decoding] = {}

    @property
    def slots(self) -> int:
        """Rows that the running tasks may take."""
        return sum(settings.slots() for settings in self.running.values())

    def admit(self, tasks: Sequence[tuple[int, Task]]) -> None:
        """Take in tasks under their indices; the next step reads their prompts.

        Where `engine.refills` is false only a new flight takes tasks, all of one shape.
        """
        self.running.update((index, settings) for index, (settings, _) in tasks)
        for index, (settings, request) in tasks:
            if settings not in self._searches:
                self._searches[settings] = settings.search(self._vocabulary)
                self._rows[settings], self._indices[settings] = [], []
            self._indices[settings].append(index)
            self._admitted.append((settings, request))

    def step(self) -> None:
        """One token for every running sequence, and the first one for the new."""
        with torch.inference_mode():
            logits = self._logits()
            moves = {settings: self._search(settings, logits) for settings in [*self._searches]}
            self._move(moves)

    def take(self) -> Finished:
        """What has finished since the last call."""
        found = [
            (self._indices[settings][number], sequences)
            for settings, search in self._searches.items()
            for number, sequences in search.take().items()
        ]
        for index, _ in found:
            del self.running[index]
        return found

    def _logits(self) -> torch.Tensor:
        """Of the running rows, and behind them of those admitted now."""
        parts = []
        if self._tokens:
            parts.append(self._session.advance(self._tokens))
        if self._admitted:
            requests = [request for _, request in self._admitted]
            parts.append(self._session.admit(requests))
        for row, (settings, request) in enumerate(self._admitted, len(self._tokens)):
            self._searches[settings].admit([request])
            self._rows[settings].append(row)
        self._show_states()
        self._admitted = []
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _show_states(self) -> None:
        """Show each search that looks at hidden states those of its rows and of its new prompts."""
        for settings, search in self._searches.items():
            if settings.needs_states and self._rows[settings]:
                own = [place for place, (s, _) in enumerate(self._admitted) if s == settings]
                prompts = [self._session.prompt_states[place] for place in own]
                search.see(self._session.states[self._rows[settings]], prompts)

    def _search(self, settings: Decoding, logits: torch.Tensor) -> Move:
        rows, search = self._rows[settings], self._searches[settings]
        if not rows:
            return Move([], [])
        if len(rows) < len(logits):
            logits = logits[torch.tensor(rows, device=logits.device)]
        return search.advance(logits)

    def _move(self, moves: dict[Decoding, Move]) -> None:
        parents: list[int] = []
        tokens: list[int] = []
        before = sum(map(len, self._rows.values()))
        for settings, move in moves.items():
            rows, start = self._rows[settings], len(parents)
            parents += [rows[parent] for parent in move.parents]
            tokens += move.tokens
            self._rows[settings] = list(range(start, len(parents)))
        if parents != list(range(before)):
            self._session.select(parents)
        self._tokens = tokens
