"""The algorithm behind `chains.decoding.diverse_beam`: a lattice for each group of beams.

At the first step all groups continue the one row of the prompt. A step looks up the best tokens of
all rows at once, and more of them than a group keeps: as many more as tokens can be penalised.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from chains.decoding.beam_search import best_options
from chains.decoding.branch_search import Branch, Options, Prefix
from chains.decoding.diverse_beam import DiverseBeam
from chains.decoding.lattice import Lattice, LatticeSearch
from chains.decoding.search import Generated, Request, Vocabulary


@dataclass
class Groups:
    """The lattices of one request; before the first step all have the same one row."""

    lattices: list[Lattice]
    begun: bool = False

    def rows(self) -> Sequence[Prefix]:
        """The beams of all groups."""
        lattices = self.lattices if self.begun else self.lattices[:1]
        return [beam for lattice in lattices for beam in lattice.beams]


class DiverseBeamSearch(LatticeSearch[Groups]):
    """Diverse beam search of all requests of a batch with these settings."""

    settings: DiverseBeam

    def __init__(self, settings: DiverseBeam, vocabulary: Vocabulary) -> None:
        super().__init__(settings, vocabulary, settings.num_beams // settings.num_beam_groups)

    def plant(self, request: Request) -> Groups:
        """The same row for every group."""
        groups = range(self.settings.num_beam_groups)
        return Groups([Lattice([Prefix(request.guides)]) for _ in groups])

    def rank(self, logits: torch.Tensor, logprobs: torch.Tensor) -> list[Options]:
        """The most probable tokens of each row, without any group's penalty."""
        scores = self.restricted(logprobs if self.only_bans() else logprobs.clone())
        return best_options(scores, logprobs, self.keep + self.settings.num_beams)

    def step(self, request: int, tree: Groups, options: Sequence[Options]) -> list[Branch]:
        """Grow the groups that still run, in order."""
        said: Counter[int] = Counter()
        branches: list[Branch] = []
        start = 0
        for lattice in tree.lattices:
            if not lattice.beams:
                continue
            rows = options[start : start + len(lattice.beams)]
            grown = self.grow(request, lattice, [self._penalised(row, said) for row in rows])
            said.update(t for t in lattice.chosen if t not in self.vocabulary.ends)
            branches += [Branch(start + branch.parent, branch.prefix) for branch in grown]
            start += len(rows) if tree.begun else 0
        tree.begun = True
        if not branches:
            self.conclude(request, _best(tree.lattices))
        return branches

    def _penalised(self, row: Options, said: Counter[int]) -> Options:
        if not said:
            return row
        penalty = self.settings.diversity_penalty
        scores = [
            score - penalty * said[token]
            for score, token in zip(row.scores, row.tokens, strict=True)
        ]
        return Options(row.tokens, scores, scores, row.logprobs)


def _best(lattices: Sequence[Lattice]) -> list[tuple[float, Generated]]:
    """All hypotheses, best first, the second and further ones of equal tokens behind the others."""
    ranked = sorted((h for lattice in lattices for h in lattice.hypotheses), key=lambda h: -h[0])
    first: dict[tuple[int, ...], int] = {}
    for rank, (_, sequence) in enumerate(ranked):
        first.setdefault(sequence.tokens, rank)
    again = [first[sequence.tokens] != rank for rank, (_, sequence) in enumerate(ranked)]
    return [ranked[rank] for rank in sorted(range(len(ranked)), key=lambda rank: again[rank])]
