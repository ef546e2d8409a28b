"""Drawing a token: temperature, truncation, Gumbel noise.

    draw(scores, noise, Truncation(temperature=0.8, top_p=0.95))   # [rows, vocabulary] -> [rows]

Only the most probable tokens are sorted: a head of 256 holds all that top_p keeps in nearly every
step. Where it does not, or where a tie crosses its border, the row is drawn from the whole
vocabulary; both ways give the same token. Equal scores rank by token id, the lowest first, and so
do equal sums of score and noise.
"""

import math
from dataclasses import dataclass

import torch

from chains.decoding.noise import Noise

HEAD = 256


@dataclass(frozen=True)
class Truncation:
    """Settings of `chains.decoding.sample.Sample` that shape the distribution, same names."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0

    @property
    def ranks(self) -> bool:
        """Whether tokens have to be ranked by probability."""
        return self.cuts_tail or self.typical_p < 1

    @property
    def cuts_tail(self) -> bool:
        """Whether what is kept is a head of that ranking."""
        return self.top_k > 0 or self.top_p < 1 or self.min_p > 0


def draw(scores: torch.Tensor, noise: Noise, settings: Truncation) -> torch.Tensor:
    """One token a row from the truncated distribution.

    Args:
        scores: Logits after penalties, float32 [rows, vocabulary]; -inf bans a token.
        noise: Of the same rows.
        settings: Temperature and truncation.

    Returns:
        Token ids, int64 [rows].
    """
    # Shifted first, so that no temperature, however low, overflows.
    scores = (scores - scores.amax(-1, keepdim=True)) / settings.temperature
    vocabulary = scores.shape[-1]
    if not settings.ranks:
        return (scores + noise.gumbel_all(vocabulary)).argmax(-1)
    if not settings.cuts_tail or vocabulary <= HEAD:
        return _pick(*_ranked(scores), scores, noise, settings)[0]
    values, ids, exact = _head(scores)
    tokens, kept = _pick(values, ids, scores, noise, settings)
    exact &= kept > values[:, -1]
    if not bool(exact.all()):
        rows = (~exact).nonzero().squeeze(-1)
        part = Noise(noise.seeds[rows], noise.steps[rows])
        tokens[rows] = _pick(*_ranked(scores[rows]), scores[rows], part, settings)[0]
    return tokens


def _ranked(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and token ids, best first, equal scores by id."""
    values, ids = scores.sort(dim=-1, descending=True, stable=True)
    return values, ids


def _head(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The first `HEAD` of `_ranked`, and whether each row's worst is surely ranked right."""
    _, ids = scores.topk(HEAD, dim=-1, sorted=False)
    ids = ids.sort(dim=-1).values
    values, order = scores.gather(-1, ids).sort(dim=-1, descending=True, stable=True)
    exact = torch.isfinite(values[:, -1])
    return values, ids.gather(-1, order), exact


def _pick(
    values: torch.Tensor,
    ids: torch.Tensor,
    scores: torch.Tensor,
    noise: Noise,
    settings: Truncation,
) -> tuple[torch.Tensor, torch.Tensor]:
    """A token of each row's ranking, and the lowest score that was kept (-inf: all of them)."""
    keep, covered = truncate(values, ids, scores, settings)
    lowest = values.masked_fill(~keep, torch.inf).amin(-1)
    noisy = (values + noise.gumbel(ids)).masked_fill(~keep, -torch.inf)
    best = noisy == noisy.amax(-1, keepdim=True)
    tokens = ids.masked_fill(~best, scores.shape[-1]).amin(-1)
    return tokens, lowest.masked_fill(~covered, -torch.inf)


def truncate(
    values: torch.Tensor, ids: torch.Tensor, scores: torch.Tensor, settings: Truncation
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which of the ranked tokens are kept, each rule applied to what the one before has left.

    Args:
        values: Ranked scores, a head of them or all, float32 [rows, k].
        ids: Their token ids, int64 [rows, k].
        scores: The scores of the whole vocabulary, [rows, vocabulary].
        settings: The rules.

    Returns:
        Boolean [rows, k]; and boolean [rows], false where the head was too short to tell.
    """
    width, vocabulary = values.shape[-1], scores.shape[-1]
    keep = values > -torch.inf
    covered = torch.full_like(keep[:, 0], min(settings.top_k or vocabulary, vocabulary) <= width)
    if settings.top_k > 0:
        keep = keep & (torch.arange(width, device=values.device)[None] < settings.top_k)
        probabilities = values.masked_fill(~keep, -torch.inf).softmax(-1)
    else:
        # softmax works row by row; a sum over the vocabulary would round by the number of rows.
        probabilities = scores.softmax(-1).gather(-1, ids)
    if settings.top_p < 1:
        sums = probabilities.double().cumsum(-1)
        if settings.top_k == 0:
            covered = covered | (sums[:, -1] >= settings.top_p)
        before = torch.cat([torch.zeros_like(sums[:, :1]), sums[:, :-1]], dim=-1)
        keep = keep & (before < settings.top_p)
    if settings.min_p > 0:
        floor = values[:, :1] + math.log(settings.min_p)
        if settings.top_k == 0:
            covered = covered | (values[:, -1:] < floor)[:, 0]
        keep = keep & (values >= floor)
    if settings.typical_p < 1:
        keep = _typical(values.masked_fill(~keep, -torch.inf), settings.typical_p)
    return keep, covered


def _typical(values: torch.Tensor, mass: float) -> torch.Tensor:
    """The smallest set of this mass whose tokens' surprise is nearest to the entropy."""
    logs = values.double().log_softmax(-1)
    probabilities = logs.exp()
    entropy = -(probabilities * logs.masked_fill(probabilities == 0, 0)).sum(-1, keepdim=True)
    shift = (-logs - entropy).abs()
    order = shift.sort(dim=-1, stable=True).indices
    gathered = probabilities.gather(-1, order)
    before = gathered.cumsum(-1) - gathered
    chosen = (before < mass) & (gathered > 0)
    return torch.zeros_like(chosen).scatter(-1, order, chosen)
