"""The best tokens of every row, and those that a truncation keeps; exact, whatever the scores.

    values, tokens = best_tokens(scores, 3)       # [rows, vocabulary] -> [rows, 3] and [rows, 3]
    tokens, chances = kept_tokens(scores, Truncation(top_p=0.9))     # in the order of token ids

Equal scores rank by token id, the lowest first. A row's result is a function of the row alone.
"""

import torch

from chains.decoding.ranking import bound_of_best, ranked
from chains.decoding.truncation import Truncation, truncate

BLOCK = 128
"""Neighbouring tokens whose maximum is looked at first: only blocks with a high one are read on."""

UNLIKELY = 4096
"""top_p looks first at tokens with at least 1 / UNLIKELY of the mass that it may leave out."""


def best_tokens(scores: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The highest scores of each row, best first, equal ones by token id.

    Args:
        scores: Float32 [rows, vocabulary]; what comes of a row with NaN is unspecified.
        count: Tokens wanted, at least 1.

    Returns:
        Scores and token ids (int64), both [rows, min(count, vocabulary)].
    """
    count = min(count, scores.shape[-1])
    more = min(count + 1, scores.shape[-1])
    found, ids = _highest(scores, more)
    # Which of several equal scores topk takes is left open; that matters at the border alone.
    tied = (found[:, count - 1] == found[:, -1]) & (found[:, -1] > -torch.inf)
    ids, order = ids[:, :count].sort(dim=-1)
    values, order = found.gather(-1, order).sort(dim=-1, descending=True, stable=True)
    ids = ids.gather(-1, order)
    for row in tied.nonzero().flatten().tolist() if more > count else ():
        reached = (scores[row] >= found[row, -1]).nonzero().flatten()
        best, order = scores[row, reached].sort(descending=True, stable=True)
        values[row], ids[row] = best[:count], reached[order[:count]]
    return values, ids


def _highest(scores: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """topk; of a large vocabulary only the `count` blocks with the highest maxima are read.

    No other block can hold a score above the lowest of the `count` highest.
    """
    vocabulary = scores.shape[-1]
    whole = vocabulary // BLOCK
    if whole < 4 * count:
        return scores.topk(count, dim=-1)
    maxima = scores[:, : whole * BLOCK].reshape(-1, whole, BLOCK).amax(-1)
    if vocabulary > whole * BLOCK:
        maxima = torch.cat([maxima, scores[:, whole * BLOCK :].amax(-1, keepdim=True)], dim=-1)
    blocks = maxima.topk(count, dim=-1, sorted=False).indices
    ids = (blocks[:, :, None] * BLOCK + torch.arange(BLOCK, device=scores.device)).flatten(1)
    values = scores.gather(-1, ids.clamp(max=vocabulary - 1))
    values, order = values.masked_fill_(ids >= vocabulary, -torch.inf).topk(count, dim=-1)
    return values, ids.gather(-1, order)


def kept_tokens(scores: torch.Tensor, rules: Truncation) -> tuple[torch.Tensor, torch.Tensor]:
    """The tokens that top_k and top_p keep, in the order of their ids.

    Args:
        scores: Tempered, each row's best one 0; float32 [rows, vocabulary].
        rules: The truncation; its temperature is not looked at.

    Returns:
        Token ids, int64, and their probabilities in the whole vocabulary, float64; both [rows, k].
        What is not kept, or fills a row up, has probability 0.
    """
    probabilities = scores.softmax(-1)
    if rules.keeps_all:
        ids = torch.arange(scores.shape[-1], device=scores.device).expand_as(scores)
        return ids, probabilities.double()
    if rules.top_k:
        return _kept(scores, probabilities, rules, bound_of_best(scores, rules.top_k))[:2]
    floor = torch.full_like(scores[:, :1], (1 - rules.top_p) / UNLIKELY)
    floor = floor.log() - probabilities.amax(-1, keepdim=True).log()
    ids, kept, mass = _kept(scores, probabilities, rules, floor)
    if bool((mass < rules.top_p).any()):
        ids, kept, _ = _kept(scores, probabilities, rules, torch.full_like(floor, -torch.inf))
    return ids, kept


def _kept(
    scores: torch.Tensor, probabilities: torch.Tensor, rules: Truncation, floor: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of the tokens whose score reaches the floor [rows, 1] those kept; and the mass of all."""
    values, ids = ranked(scores, floor)
    chances = probabilities.gather(-1, ids).double().masked_fill(values == -torch.inf, 0)
    keep = truncate(values, chances, rules, whole=torch.zeros_like(chances[:, :1]))
    ids, order = ids.sort(dim=-1, stable=True)
    return ids, (chances * keep).gather(-1, order), chances.cumsum(-1)[:, -1]
