"""The algorithm behind `chains.decoding.beam`; its rules are those of `chains.decoding.lattice`.

At every step the best tokens of each row are looked up (`best_tokens`), and those of the rows of
one request are merged.
"""

from collections.abc import Sequence

import torch

from chains.decoding.beam import Beams
from chains.decoding.best import best_tokens
from chains.decoding.branch_search import Branch, Options, Prefix
from chains.decoding.lattice import Lattice, LatticeSearch
from chains.decoding.search import Request, Vocabulary


class BeamSearch(LatticeSearch[Lattice]):
    """Beam search of all requests of a batch with these settings."""

    def __init__(self, settings: Beams, vocabulary: Vocabulary) -> None:
        super().__init__(settings, vocabulary, settings.num_beams)

    def plant(self, request: Request) -> Lattice:
        """One beam."""
        return Lattice([Prefix(request.guides)])

    def rank(self, logits: torch.Tensor, logprobs: torch.Tensor) -> list[Options]:
        """The most probable tokens of each row."""
        only_bans = self.only_bans()
        scores = self.restricted(logprobs if only_bans else logprobs.clone())
        return best_options(scores, logprobs, self.keep)

    def step(self, request: int, tree: Lattice, options: Sequence[Options]) -> list[Branch]:
        """Grow the request's lattice."""
        branches = self.grow(request, tree, options)
        if not branches:
            self.conclude(request, tree.hypotheses)
        return branches


def best_options(scores: torch.Tensor, logprobs: torch.Tensor, count: int) -> list[Options]:
    """The `count` best tokens of each row by score; both tensors are [rows, vocabulary]."""
    values, ids = best_tokens(scores, count)
    keys, tokens = values.tolist(), ids.tolist()
    own = keys if scores is logprobs else logprobs.gather(-1, ids).tolist()
    return [Options(*row) for row in zip(tokens, keys, keys, own, strict=True)]
