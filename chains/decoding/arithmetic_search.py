"""The algorithm behind `chains.decoding.arithmetic`: codes that have said the same share a row.

A code is kept as a float64 in [0, 1) and rescaled after every token, (c - low) / p, which moves its
-log2 p leading bits out. As many bits at its end are then no longer those of the code. So after
`FRESH_AFTER` bits the low ones are drawn anew (from the call's seed, the code's number and the
token's index), and those that are surely right are kept. No two codes of a call share a row by
then, so that the even spacing is untouched, and the result is as uniform as before.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from chains.decoding.arithmetic import Arithmetic
from chains.decoding.best import kept_tokens
from chains.decoding.branch_search import Branch, BranchSearch, Prefix
from chains.decoding.noise import Noise
from chains.decoding.search import Generated, Request
from chains.decoding.seeds import reply_seed
from chains.decoding.truncation import Truncation

FRESH_AFTER = 24
"""Bits of a code that are read before its low ones are drawn anew."""

EXACT = 48
"""Bits of a fresh code, less a margin for the rounding of sums and quotients."""

BELOW_ONE = 1 - 2.0**-53


@dataclass(frozen=True, slots=True)
class Code:
    """Where on the unit interval a reply lies, within the cell of the tokens it has so far.

    Attributes:
        number: 1 to n.
        value: At least 0, below 1.
        spent: Bits read since the low ones were drawn.
    """

    number: int
    value: float
    spent: float = 0.0


class Cell(NamedTuple):
    """The token whose cell holds a code: its bounds in [0, 1) and the model's log-probability."""

    token: int
    low: float
    width: float
    logprob: float


@dataclass
class Codes:
    """The running sequences of one request, the codes that lie in each, and finished replies."""

    beams: list[Prefix]
    codes: list[list[Code]]
    replies: dict[int, Generated]

    def rows(self) -> Sequence[Prefix]:
        """The running sequences."""
        return self.beams


class ArithmeticSearch(BranchSearch[Codes, list[Cell]]):
    """Arithmetic sampling for all requests of a batch with these settings."""

    settings: Arithmetic

    def plant(self, request: Request) -> Codes:
        """All codes at the beginning of one row."""
        count = self.settings.n
        shift = uniform(request.seed, 0)
        values = [math.fmod(number / (count + 1) + shift, 1.0) for number in range(1, count + 1)]
        codes = [Code(number, value) for number, value in enumerate(values, 1)]
        return Codes([Prefix(request.guides)], [codes], {})

    def rank(self, logits: torch.Tensor, logprobs: torch.Tensor) -> list[list[Cell]]:
        """The cell of each code of each row."""
        settings = self.settings
        scores = self.restricted(logits.clone())
        best = scores.amax(-1, keepdim=True)
        # Shifted first, so that no temperature, however low, overflows.
        scores = (scores - best.masked_fill(best == -torch.inf, 0)) / settings.temperature
        rules = Truncation(top_k=settings.top_k, top_p=settings.top_p)
        ids, chances = kept_tokens(scores, rules)
        edges = chances.cumsum(-1)
        codes = [row for tree in self.running.values() for row in tree.codes]
        most = max(map(len, codes))
        values = [[code.value for code in row] + [0.0] * (most - len(row)) for row in codes]
        wanted = torch.tensor(values, dtype=torch.float64, device=edges.device) * edges[:, -1:]
        # The first edge above the code; the sum's rounding must not lead behind the last token.
        places = torch.searchsorted(edges, wanted, right=True)
        places = places.minimum(torch.searchsorted(edges, edges[:, -1:].contiguous()))
        places = places.clamp(max=edges.shape[-1] - 1)  # NaN, where every token is banned
        low = edges.gather(-1, (places - 1).clamp(min=0)).masked_fill(places == 0, 0.0)
        width = edges.gather(-1, places) - low
        tokens = ids.gather(-1, places)
        parts = (tokens, low / edges[:, -1:], width / edges[:, -1:], logprobs.gather(-1, tokens))
        cells = zip(*(part.tolist() for part in parts), strict=True)
        return [[Cell(*cell) for cell in zip(*row, strict=True)] for row in cells]

    def step(self, request: int, tree: Codes, options: Sequence[list[Cell]]) -> list[Branch]:
        """One row for each token that codes of a row fall upon."""
        branches: list[Branch] = []
        running: list[list[Code]] = []
        for parent, (beam, codes) in enumerate(zip(tree.beams, tree.codes, strict=True)):
            split: dict[int, list[tuple[Code, Cell]]] = {}
            for code, cell in zip(codes, options[parent], strict=False):
                split.setdefault(cell.token, []).append((code, cell))
            for token, members in split.items():
                width, logprob = members[0][1].width, members[0][1].logprob
                if not width > 0:
                    continue  # every token is banned
                prefix = beam.follow(token, math.log(width), logprob)
                sequence = self.ended(request, prefix)
                if sequence is not None:
                    tree.replies.update((code.number, sequence) for code, _ in members)
                    continue
                branches.append(Branch(parent, prefix))
                running.append([self._rescaled(request, prefix, *member) for member in members])
        tree.beams, tree.codes = [branch.prefix for branch in branches], running
        if not branches:
            self._conclude(request, tree)
        return branches

    def _rescaled(self, request: int, prefix: Prefix, code: Code, cell: Cell) -> Code:
        value = min(max((code.value - cell.low) / cell.width, 0.0), BELOW_ONE)
        spent = code.spent - math.log2(cell.width)
        if spent <= FRESH_AFTER:
            return Code(code.number, value, spent)
        seed = reply_seed(self.requests[request].seed, code.number)
        return Code(code.number, refreshed(value, spent, uniform(seed, len(prefix.tokens))))

    def _conclude(self, request: int, tree: Codes) -> None:
        if len(tree.replies) < self.settings.n:
            self.none_left(request)
        else:
            self.finish(request, [tree.replies[number] for number in sorted(tree.replies)])


def refreshed(value: float, spent: float, noise: float) -> float:
    """A code whose bits behind the surely right ones are those of `noise`.

    Args:
        value: The code, at least 0 and below 1.
        spent: Bits that were read of it.
        noise: Uniform in (0, 1).
    """
    scale = 2.0 ** max(0, min(FRESH_AFTER, EXACT - math.ceil(spent)))
    return min((math.floor(value * scale) + noise) / scale, BELOW_ONE)


def uniform(seed: int, index: int) -> float:
    """A uniform number in (0, 1) of a token's index, a multiple of 2**-52 and a half."""
    noise = Noise(torch.tensor([seed]), torch.tensor([index]))
    return float(noise.uniform()[0])
