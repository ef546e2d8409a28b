"""Truncation: which tokens may be drawn at all, by the settings of `chains.decoding.sample.Sample`.

    probabilities 0.5 0.2 0.2 0.06 0.04, top_p 0.6:   the first two are kept, their mass is 0.7

Each rule is applied to what the one before has left, in the order of transformers' `generate`:
top_h, top_k, top_p, min_p, typical_p, eta. Sums run in float64 along the ranking, one token after
the other, so that neither the rows beside nor the tokens behind change a bit of them.
"""

import math
from dataclasses import dataclass

import torch

from chains.decoding.ranking import ranked

TOP_H_TOKENS = 100
"""Tokens that top_h looks at, as in transformers."""


@dataclass(frozen=True)
class Truncation:
    """Settings of `chains.decoding.sample.Sample` that shape the distribution, same names."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    eta: float = 0.0
    top_h: float = 1.0

    @property
    def keeps_all(self) -> bool:
        """Whether no token is cut off."""
        return not (self.most or self.top_p < 1 or self.min_p or self.typical_p < 1 or self.eta)

    @property
    def most(self) -> int:
        """Tokens that the first rule which counts them looks at; 0 where none counts."""
        return TOP_H_TOKENS if self.top_h < 1 else self.top_k


def truncate(
    values: torch.Tensor, probabilities: torch.Tensor, rules: Truncation, *, whole: torch.Tensor
) -> torch.Tensor:
    """Which of the ranked tokens are kept.

    Args:
        values: Tempered scores, best first, the best one's 0; float32 [rows, k].
        probabilities: Of these tokens in the whole vocabulary, float64 [rows, k].
        rules: The settings.
        whole: Entropy of the whole distribution in nats, float64 [rows, 1]; of interest to eta
            alone, and to it only where no rule before it has cut anything.

    Returns:
        Boolean [rows, k]. The first token is always kept.
    """
    rank = torch.arange(values.shape[-1], device=values.device)[None]
    keep = (values > -torch.inf) & (probabilities > 0)
    if rules.top_h < 1:
        keep = keep & (rank < TOP_H_TOKENS)
        keep = _top_h(_shares(probabilities, keep), rules.top_h) & keep
    if rules.top_k:
        keep = keep & (rank < rules.top_k)
    if rules.top_p < 1:
        sums = (probabilities * keep).cumsum(-1)
        mass = sums[:, -1:] if rules.most else 1.0
        before = torch.cat([torch.zeros_like(sums[:, :1]), sums[:, :-1]], dim=-1)
        keep = keep & (before < rules.top_p * mass)
    if rules.min_p:
        keep = keep & (values >= math.log(rules.min_p))
    if rules.typical_p < 1:
        keep = _typical(_shares(probabilities, keep), rules.typical_p) & keep
    if rules.eta:
        cut = rules.most or rules.top_p < 1 or rules.min_p or rules.typical_p < 1
        shares = _shares(probabilities, keep) if cut else probabilities
        floor = eta_floor(entropy(shares) if cut else whole, rules.eta)
        keep = keep & ((shares >= floor) | (rank == 0))
    return keep


def _shares(probabilities: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Probabilities among the tokens that are kept."""
    kept = probabilities * keep
    return kept / kept.cumsum(-1)[:, -1:]


def entropy(shares: torch.Tensor) -> torch.Tensor:
    """Entropy of each row in nats, [rows, 1]; a running sum, which the rows' width cannot round."""
    terms: torch.Tensor = torch.special.entr(shares)
    return terms.cumsum(-1)[:, -1:]


def eta_floor(nats: torch.Tensor, eta: float) -> torch.Tensor:
    """The least probability that eta sampling keeps (Hewitt et al. 2022, equation 4).

    Args:
        nats: Entropy, float64.
        eta: Epsilon of the paper; its alpha is the root of it.
    """
    return (-nats).exp().mul(math.sqrt(eta)).clamp(max=eta)


def _top_h(shares: torch.Tensor, bound: float) -> torch.Tensor:
    """The longest head whose terms -p log p add up to no more than this share of the entropy."""
    terms: torch.Tensor = torch.special.entr(shares)
    sums = terms.cumsum(-1)
    keep = sums <= bound * sums[:, -1:]
    keep[:, 0] = True
    return keep


def _typical(shares: torch.Tensor, mass: float) -> torch.Tensor:
    """The smallest set of this mass whose tokens' surprise is nearest to the entropy."""
    # In float32, so that the last bit of a logarithm, which may differ between the vector and the
    # scalar code of a library, cannot part equals.
    shift = (-shares.log() - entropy(shares)).abs().float()
    _, order = ranked(-shift, torch.full_like(shift[:, :1], -torch.inf))
    gathered = shares.gather(-1, order)
    sums = gathered.cumsum(-1)
    before = torch.cat([torch.zeros_like(sums[:, :1]), sums[:, :-1]], dim=-1)
    chosen = (before < mass) & (gathered > 0)
    return torch.zeros_like(chosen).scatter(-1, order, chosen)
