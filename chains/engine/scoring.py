"""Log-probabilities of given tokens in one pass of the batch engine, without decoding them.

    score_pairs(engine, [Pair((1, 520, 77), (415, 12, 2))])      # [[-0.3, -1.9, -0.1]]

A prompt is read once for all its targets, but for its last token, and so is a head that several
prompts have in common. Several prompts, and then several targets, are read together, as pieces of
one sequence that do not see each other. Where a prompt is cut follows from the pair alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from chains.engine.base import ROWS
from chains.engine.keys_values import LANES, Segment, up_to
from chains.engine.reading import Piece, Reading, chunks, passes

if TYPE_CHECKING:
    from chains.engine.attention_engine import AttentionEngine, Chain

HELD = 4096
"""Tokens of prompts and targets whose keys and values are held at once, more or less."""


class Pair(NamedTuple):
    """What is scored.

    Attributes:
        prompt: Token ids, at least one.
        target: Token ids.
        head: How many tokens of the prompt other prompts are likely to begin with too.
    """

    prompt: tuple[int, ...]
    target: tuple[int, ...]
    head: int = 0

    @property
    def chain(self) -> "Chain":
        """The prompt but for its last token, in the runs that are kept."""
        head = min(self.head, len(self.prompt) - 1)
        runs = self.prompt[:head], self.prompt[head:-1]
        return tuple(run for run in runs if run)


@dataclass(frozen=True, slots=True)
class _Part:
    """A run of a pair's tokens, and which logits of it predict which tokens of the target."""

    pair: int
    piece: Piece
    keep: tuple[int, ...]
    tokens: tuple[int, ...]


def score_pairs(engine: "AttentionEngine", pairs: Sequence[Pair]) -> list[list[float]]:
    """Natural-log probabilities of each target's tokens behind its prompt.

    Args:
        engine: The model.
        pairs: Prompts and targets; a target without tokens gives an empty list.
    """
    found: list[list[float]] = [[] for _ in pairs]
    for group in _groups(pairs):
        segments = engine.segments_of([pairs[number].chain for number in group])
        parts = [part for number in group for part in _parts(segments, number, pairs[number])]
        for batch in passes(parts, lambda part: part.piece):
            logprobs = iter(_read(engine, batch))
            for part in batch:
                found[part.pair] += [next(logprobs) for _ in part.keep]
    return found


def picked(logits: torch.Tensor, tokens: Sequence[int]) -> list[float]:
    """Log-probability of one token a row under float32 logits [len(tokens), vocabulary]."""
    index = torch.tensor(tokens, dtype=torch.long, device=logits.device)[:, None]
    found: list[float] = logits.float().log_softmax(-1).gather(-1, index)[:, 0].tolist()
    return found


def _groups(pairs: Sequence[Pair]) -> Iterator[list[int]]:
    """Places of pairs with a target, in their order, as many as fit into `HELD` together."""
    group: list[int] = []
    runs: set[Chain] = set()
    held = 0
    for number, pair in enumerate(pairs):
        if not pair.target:
            continue
        chain = pair.chain
        mine = {chain[:depth] for depth in range(1, len(chain) + 1)}
        slots = up_to(LANES, len(pair.target))
        more = slots + sum(up_to(LANES, len(run[-1])) for run in mine - runs)
        if group and held + more > HELD:
            yield group
            group, runs, held = [], set(), 0
            more = slots + sum(up_to(LANES, len(run[-1])) for run in mine)
        group.append(number)
        runs |= mine
        held += more
    if group:
        yield group


def _parts(segments: "dict[Chain, Segment]", number: int, pair: Pair) -> Iterator[_Part]:
    chain = pair.chain
    before = tuple(segments[chain[:depth]] for depth in range(1, len(chain) + 1))
    run = (pair.prompt[-1], *pair.target[:-1])  # behind each of these stands a token of the target
    own = Segment(len(run))
    for start, tokens in chunks(run):
        predicted = pair.target[start : start + len(tokens)]
        piece = Piece(own, 0, start, tokens, before)
        yield _Part(number, piece, tuple(range(len(tokens))), predicted)


def _read(engine: "AttentionEngine", batch: Sequence[_Part]) -> list[float]:
    tokens: list[int] = []
    places: list[int] = []
    keep: list[int] = []
    for part in batch:
        piece, at = part.piece, len(tokens)
        keep += [at + place for place in part.keep]
        start = piece.before + piece.start
        places += range(start, start + len(piece.tokens))
        tokens += piece.tokens
    # Kernels round a row alike only where they see enough of them.
    fill = [0] * (up_to(ROWS, len(tokens)) - len(tokens))
    kept = [*keep, *[0] * (up_to(ROWS, len(keep)) - len(keep))]
    current = Reading([part.piece for part in batch])
    logits, _ = engine.forward([[*tokens, *fill]], [[*places, *fill]], current, kept, False)
    return picked(logits[0, : len(keep)], [token for part in batch for token in part.tokens])
