"""Drawing a token: temperature, truncation, one random number a row.

    draw(scores, noise, Truncation(temperature=0.8, top_p=0.95))   # [rows, vocabulary] -> [rows]

A draw walks down the tokens, best first (all of them by id where none is cut off), until the mass
that lies behind exceeds the row's random number. Only tokens that the truncation may keep are
ranked: for top_p those above a small probability, which nearly always hold its mass; a row where
they do not is ranked as a whole. Both ways give the same token.
"""

import math

import torch

from chains.decoding.noise import Noise
from chains.decoding.ranking import bound_of_best, in_blocks, ranked
from chains.decoding.truncation import Truncation, eta_floor, truncate

SPAN = 128
"""Neighbouring tokens whose mass is added up first."""

UNLIKELY = (2048, 32768)
"""top_p looks at the tokens with at least 1 / 2048 of the mass that it may leave out; where they do
not suffice at those with 1 / 32768, then at all."""


def draw(scores: torch.Tensor, noise: Noise, rules: Truncation) -> torch.Tensor:
    """One token a row from the truncated distribution.

    Args:
        scores: Logits after penalties, float32 [rows, vocabulary]; -inf bans a token.
        noise: Of the same rows.
        rules: Temperature and truncation.

    Returns:
        Token ids, int64 [rows]. Of a row whose tokens are all banned: any.
    """
    best = scores.amax(-1, keepdim=True)
    # Shifted first, so that no temperature, however low, overflows.
    shifted = (scores - best.masked_fill(best == -torch.inf, 0)).div_(rules.temperature)
    probabilities = shifted.softmax(-1)
    uniform = noise.uniform()[:, None]
    if rules.keeps_all:
        return _pick_any(probabilities, uniform)
    if rules.top_p == 1 or rules.most or rules.min_p:
        return _pick_ranked(shifted, probabilities, uniform, rules)[0]
    return _pick_of_nucleus(shifted, probabilities, uniform, rules)


def _pick_any(probabilities: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """A token of the whole vocabulary: the span of ids that it lies in, then its place there."""
    spans = in_blocks(probabilities, SPAN, 0.0)
    sums = spans.sum(-1).double().cumsum(-1)
    span, within = _walk(sums, uniform)
    inside = spans.gather(1, span[:, :, None].expand(-1, -1, SPAN))[:, 0]
    place, _ = _walk(inside.double().cumsum(-1), within)
    return (span * SPAN + place)[:, 0]


def _walk(sums: torch.Tensor, uniform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The first place where a running sum exceeds its part `uniform`, and how far it lies into it.

    Args:
        sums: Running sums, float64 [rows, k].
        uniform: Between 0 and 1, float64 [rows, 1].

    Returns:
        Places, int64 [rows, 1]; and numbers between 0 and 1 as `uniform`, for a walk inside.
    """
    wanted = sums[:, -1:] * uniform
    # Where rounding makes the wanted sum the whole one: the last place that adds something.
    last = (sums < sums[:, -1:]).sum(-1, keepdim=True)
    place = (sums <= wanted).sum(-1, keepdim=True).minimum(last)
    place = place.clamp(max=sums.shape[-1] - 1)
    stop = sums.gather(-1, place)
    start = sums.gather(-1, (place - 1).clamp(min=0)).masked_fill(place == 0, 0)
    return place, ((wanted - start) / (stop - start)).clamp(0, 1)


def _pick_of_nucleus(
    scores: torch.Tensor, probabilities: torch.Tensor, uniform: torch.Tensor, rules: Truncation
) -> torch.Tensor:
    """A draw with top_p, from the likelier tokens where their mass suffices."""
    tokens = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
    pending = torch.arange(len(scores), device=scores.device)
    for part in (*UNLIKELY, math.inf):
        floor = torch.full_like(scores[:, :1], (1 - rules.top_p) / part).log()
        floor -= probabilities.amax(-1, keepdim=True).log()
        found, mass = _pick_ranked(scores, probabilities, uniform, rules, floor)
        tokens[pending] = found
        short = (mass < rules.top_p).nonzero().squeeze(-1)
        if not len(short):
            break
        pending, uniform = pending[short], uniform[short]
        scores, probabilities = scores[short], probabilities[short]
    return tokens


def _pick_ranked(
    scores: torch.Tensor,
    probabilities: torch.Tensor,
    uniform: torch.Tensor,
    rules: Truncation,
    floor: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """A token of each row, drawn from those whose score reaches the floor, and their mass."""
    nats = _entropy(scores, probabilities) if rules.eta else uniform
    if floor is None:
        floor = _floor(scores, probabilities, rules, nats)
    values, ids = ranked(scores, floor)
    ranks = probabilities.gather(-1, ids).double().masked_fill(values == -torch.inf, 0)
    keep = truncate(values, ranks, rules, whole=nats)
    place, _ = _walk((ranks * keep).cumsum(-1), uniform)
    return ids.gather(-1, place)[:, 0], ranks.cumsum(-1)[:, -1]


def _floor(
    scores: torch.Tensor, probabilities: torch.Tensor, rules: Truncation, nats: torch.Tensor
) -> torch.Tensor:
    """A score that all tokens reach which the rules keep, [rows, 1]."""
    if rules.most:
        return bound_of_best(scores, rules.most)
    if rules.min_p:
        return torch.full_like(scores[:, :1], math.log(rules.min_p))
    if rules.eta and rules.typical_p == 1:
        best = probabilities.amax(-1, keepdim=True)
        # A little lower, for the rounding of the logarithms; 0 is the best token's score.
        return (eta_floor(nats, rules.eta).log() - best.log() - 1e-3).clamp(max=0).float()
    return torch.full_like(scores[:, :1], -torch.inf)


def _entropy(scores: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
    """Of whole distributions, in nats; float64 [rows, 1].

    A logarithm a token is spared: log p is the score and the best token's log p, its own being 0.
    """
    terms = probabilities * scores.clamp(min=torch.finfo(torch.float32).min)
    sums = in_blocks(terms, SPAN, 0.0).sum(-1).double().cumsum(-1)[:, -1:]
    return -sums - probabilities.amax(-1, keepdim=True).double().log()
