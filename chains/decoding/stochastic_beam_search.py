"""The algorithm behind `chains.decoding.stochastic_beam`: Gumbel-top-k from the root to the leaves.

Give every complete sequence the perturbed log-probability G ~ Gumbel(log p): the k highest are k
draws without replacement. G of a prefix is the maximum over all sequences that begin with it, and
is itself Gumbel(log p of the prefix); so one goes down from the root, draws the G of a prefix's
continuations on condition that their maximum is its own, and keeps the k highest (Kool et al. 2019,
"Stochastic beams and where to find them", algorithm 1 and appendix B.3).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from chains.decoding.best import best_tokens
from chains.decoding.branch_search import Branch, BranchSearch, Options, Prefix, scored
from chains.decoding.search import Generated, Request
from chains.decoding.stochastic_beam import StochasticBeam


@dataclass(frozen=True, slots=True)
class Leaf:
    """A finished sequence; `logprob` is that under the distribution drawn from."""

    logprob: float
    sequence: Generated


@dataclass
class Draw:
    """The sequences of one request that are still among the highest.

    Attributes:
        beams: Those that run; their `score` is their log-probability.
        perturbed: G of each; None before the first step, where it is not drawn yet.
        leaves: Those that are finished, with their G.
        kappa: Highest G of what was left behind.
    """

    beams: list[Prefix]
    perturbed: list[float | None]
    leaves: list[tuple[float, Leaf]] = field(default_factory=list)
    kappa: float = -math.inf

    def rows(self) -> Sequence[Prefix]:
        """The running ones."""
        return self.beams


class StochasticBeamSearch(BranchSearch[Draw, Options]):
    """Stochastic beam search of all requests of a batch with these settings."""

    settings: StochasticBeam

    def plant(self, request: Request) -> Draw:
        """The empty prefix."""
        return Draw([Prefix(request.guides)], [None])

    def rank(self, logits: torch.Tensor, logprobs: torch.Tensor) -> list[Options]:
        """The tokens of each row whose log-probability plus Gumbel noise is highest.

        One more than there are beams, so that the highest that is left behind is among them.
        """
        scores = self.restricted(logits.clone())
        best = scores.amax(-1, keepdim=True)
        # Shifted first, so that no temperature, however low, overflows.
        scores = (scores - best.masked_fill(best == -torch.inf, 0)) / self.settings.temperature
        scores = scores.log_softmax(-1).nan_to_num(-torch.inf, neginf=-torch.inf)
        noisy = scores + self.noise(scores.device).gumbel_all(scores.shape[-1])
        keys, tokens = best_tokens(noisy, self.settings.num_beams + 1)
        drawn = (tokens, keys, scores.gather(-1, tokens), logprobs.gather(-1, tokens))
        return [Options(*row) for row in zip(*(part.tolist() for part in drawn), strict=True)]

    def step(self, request: int, tree: Draw, options: Sequence[Options]) -> list[Branch]:
        """Of the leaves and of all continuations keep the highest by G."""
        ranked = [(-perturbed, -1, place) for place, (perturbed, _) in enumerate(tree.leaves)]
        for parent, row in enumerate(options):
            perturbed = conditioned(row.keys, tree.perturbed[parent], tree.beams[parent].score)
            ranked += [(-value, parent, place) for place, value in enumerate(perturbed)]
        ranked.sort()
        count = self.settings.num_beams
        tree.kappa = max([tree.kappa, *(-value for value, _, _ in ranked[count : count + 1])])
        leaves: list[tuple[float, Leaf]] = []
        running: list[tuple[float, Branch]] = []
        for value, parent, place in ranked[:count]:
            if parent < 0:
                leaves.append(tree.leaves[place])
                continue
            row = options[parent]
            token, score = row.tokens[place], row.scores[place]
            prefix = tree.beams[parent].follow(token, score, row.logprobs[place])
            sequence = self.ended(request, prefix)
            if sequence is None:
                running.append((-value, Branch(parent, prefix)))
            else:
                leaves.append((-value, Leaf(prefix.score, sequence)))
        tree.leaves = leaves
        tree.perturbed = [value for value, _ in running]
        tree.beams = [branch.prefix for _, branch in running]
        if not running:
            self._conclude(request, tree)
        return [branch for _, branch in running]

    def _conclude(self, request: int, tree: Draw) -> None:
        count = self.settings.n
        # The (n + 1)-th highest of all: a leaf, or the best of what was left behind on the way.
        kappa = tree.leaves[count][0] if len(tree.leaves) > count else tree.kappa
        weighted = [
            scored(leaf.sequence, log_weight(leaf.logprob, kappa))
            for _, leaf in tree.leaves[:count]
        ]
        if weighted:
            self.finish(request, weighted)
        else:
            self.none_left(request)


def conditioned(noisy: Sequence[float], maximum: float | None, logprob: float) -> list[float]:
    """Gumbel variables of a prefix's continuations, on condition that their maximum is its own.

    Args:
        noisy: Log-probability given the prefix plus Gumbel noise, highest first; -inf: banned.
        maximum: Perturbed log-probability of the prefix; None leaves the maximum free.
        logprob: Log-probability of the prefix.

    Returns:
        The perturbed log-probabilities of those that are not banned, in the same order.
    """
    values = [logprob + value for value in noisy if value > -math.inf]
    if maximum is None or not values:
        return values
    return [maximum, *(_shifted(value, values[0], maximum) for value in values[1:])]


def _shifted(value: float, highest: float, maximum: float) -> float:
    """-log(exp(-maximum) - exp(-highest) + exp(-value)), in the stable form of the paper's B.3."""
    if value >= highest:
        return maximum
    shift = maximum - value + math.log(-math.expm1(value - highest))
    return maximum - max(0.0, shift) - math.log1p(math.exp(-abs(shift)))


def log_weight(logprob: float, kappa: float) -> float:
    """The log importance weight log p - log(1 - exp(-exp(log p - kappa))) of log p."""
    distance = logprob - kappa
    if distance > 50:
        return logprob  # q is 1 to the last bit
    if distance < -50:
        return kappa  # q is exp(distance) to the last bit
    return logprob - math.log(-math.expm1(-math.exp(distance)))
