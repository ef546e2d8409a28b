"""A language model that is a table: logits by the tokens so far, to count results out."""

import itertools
from typing import Any

import torch

from chains.decoding.search import Vocabulary
from chains.engine.batches import decode_all

LETTERS = "abcdefghijklmnopqrstuvwxyz"
END = 0


def letters(ends: Any = (END,), **more: Any) -> Any:
    """Token 1 is "a", token 2 "b", ...; token 0 ends a reply."""
    return Vocabulary(
        decode=lambda tokens: "".join(LETTERS[token - 1] for token in tokens),
        ends=frozenset(ends),
        **more,
    )


class TableEngine:
    """Logits from a function of the tokens generated so far.

    Args:
        logits: Takes a tuple of tokens (the prompt's last token first) to a list.
        rows: Raises a memory error above this many rows.
        states: Takes the same tuple to the hidden state of its last token.
    """

    name = "table"
    refills = True

    def __init__(
        self, logits: Any, rows: int | None = None, fault: Any = None, states: Any = None
    ) -> None:
        self.logits = logits
        self.states = states
        self.limit = rows
        self.fault = fault
        self.starts = []

    def rows(self, tokens: int) -> int | None:
        return None

    def shape(self, length: Any) -> Any:
        return 0

    def open(self, states: bool = False) -> Any:
        return TableSession(self)


class TableSession:
    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.texts = []

    def admit(self, requests: Any) -> Any:
        self.engine.starts.append(len(requests))
        self.texts += [(request.prompt[-1],) for request in requests]
        self.prompt_states = [self._states([text]) for text in self.texts[-len(requests) :]]
        return self._logits()[-len(requests) :]

    def advance(self, tokens: Any) -> Any:
        self.texts = [(*text, token) for text, token in zip(self.texts, tokens, strict=True)]
        return self._logits()

    def select(self, rows: int) -> None:
        self.texts = [self.texts[row] for row in rows]

    @property
    def states(self) -> Any:
        return self._states(self.texts)

    def _states(self, texts: Any) -> Any:
        function = self.engine.states
        return None if function is None else torch.tensor([function(text) for text in texts])

    def _logits(self) -> Any:
        if self.engine.limit is not None and len(self.texts) > self.engine.limit:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: tried 9 bytes")
        if self.engine.fault is not None:
            self.engine.fault(self.texts)
        return torch.tensor([self.engine.logits(text) for text in self.texts])


def decode(engine: Any, tasks: Any, vocabulary: Any, capacity: int = 1000) -> Any:
    """The sequences of each task."""
    found = dict(itertools.chain(*decode_all(engine, tasks, vocabulary, capacity)))
    return [found[index] for index in range(len(tasks))]


def random_table(vocabulary: int, seed: int) -> Any:
    """Logits that are drawn once for every sequence of tokens."""

    def logits(text: Any) -> Any:
        state = seed
        for token in text:
            state = state * 31 + token + 1
        generator = torch.Generator().manual_seed(state % 2**31)
        return (torch.randn(vocabulary, generator=generator) * 1.5).tolist()

    return logits


def all_sequences(logits: Any, prompt: Any, room: int, vocabulary: int) -> Any:
    """Every reply of at most `room` tokens with the sum of its log-probabilities."""
    found = []
    for length in range(1, room + 1):
        for body in itertools.product(range(1, vocabulary), repeat=length - 1):
            lasts = [END] if length < room else range(vocabulary)
            for last in lasts:
                tokens = (*body, last)
                total = 0.0
                for place, token in enumerate(tokens):
                    row = torch.tensor(logits((prompt, *tokens[:place]))).log_softmax(-1)
                    total += float(row[token])
                found.append((tokens, total))
    return found
