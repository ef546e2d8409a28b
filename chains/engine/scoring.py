"""Log-probabilities of given tokens in one pass of the batch engine, without decoding them.

    score_pairs(engine, [((1, 520, 77), (415, 12, 2))])      # [[-0.3, -1.9, -0.1]]

What stands in whole blocks at the beginning of a prompt is read once for all its targets; the rest
of the prompts and the targets are read together, as pieces of one sequence that do not see each
other. Where a prompt is cut follows from its length alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from chains.engine.base import ROWS
from chains.engine.keys_values import BLOCK, Segment, up_to
from chains.engine.reading import Piece, Reading, chunks, passes

if TYPE_CHECKING:
    from chains.engine.attention_engine import AttentionEngine

Pair = tuple[tuple[int, ...], tuple[int, ...]]
"""Token ids of a prompt, at least one, and of a target."""


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
    parts = [part for number, pair in enumerate(pairs) for part in _parts(engine, number, pair)]
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


def _parts(engine: "AttentionEngine", number: int, pair: Pair) -> Iterator[_Part]:
    prompt, target = pair
    if not target:
        return
    cut = (len(prompt) - 1) // BLOCK * BLOCK
    chain = (prompt[:cut],)
    before = (engine.segments_of([chain])[chain],) if cut else ()
    run = (*prompt[cut:], *target[:-1])
    first = len(prompt) - cut - 1  # behind this token stands the target's first
    own = Segment(len(run))
    for start, tokens in chunks(run):
        keep = tuple(range(max(0, first - start), len(tokens)))
        predicted = tuple(target[start + at - first] for at in keep)
        yield _Part(number, Piece(own, 0, start, tokens, before), keep, predicted)


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
