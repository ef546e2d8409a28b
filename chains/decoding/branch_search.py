"""What the searches have in common that keep several sequences of a request and let them branch.

A request begins with one row. At every step each of its rows is continued by some tokens, and the
search says which continuations run on: `step` turns the running sequences of one request, its tree,
into `Branch`es; the rows of the batch follow. Requests never look at each other.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, Protocol, TypeVar

import torch

from chains.decoding.base import Decoding
from chains.decoding.guide import Guide
from chains.decoding.noise import Noise
from chains.decoding.search import Generated, Move, Request, Search, Vocabulary
from chains.decoding.seeds import reply_seed


@dataclass(frozen=True, slots=True)
class Prefix:
    """A running sequence.

    Attributes:
        guides: What steers it.
        tokens: Generated so far.
        score: Sum of the step scores that it is ranked by.
        logprob: Sum of the model's own log-probabilities.
    """

    guides: tuple[Guide, ...] = ()
    tokens: tuple[int, ...] = ()
    score: float = 0.0
    logprob: float = 0.0

    def follow(self, token: int, score: float, logprob: float) -> "Prefix":
        """The sequence with one token more, of this score and log-probability."""
        guides = tuple(guide.follow(token) for guide in self.guides)
        return Prefix(guides, (*self.tokens, token), self.score + score, self.logprob + logprob)


class Branch(NamedTuple):
    """A sequence that runs on; `parent` is the place of the one it continues in its tree."""

    parent: int
    prefix: Prefix


class Options(NamedTuple):
    """The continuations of one row that come into question, best key first.

    Attributes:
        tokens: Their ids.
        keys: What they are ranked by within a request, once the row's own score is added.
        scores: What they add to the row's score.
        logprobs: The model's own log-probability of each.
    """

    tokens: list[int]
    keys: list[float]
    scores: list[float]
    logprobs: list[float]


class Tree(Protocol):
    """The sequences of one request."""

    def rows(self) -> Sequence[Prefix]:
        """Those that run, in the order of their rows."""


AnyTree = TypeVar("AnyTree", bound=Tree)
AnyOptions = TypeVar("AnyOptions")


class BranchSearch(Search, Generic[AnyTree, AnyOptions]):
    """All requests of a batch with these settings, a tree for each."""

    def __init__(self, settings: Decoding, vocabulary: Vocabulary) -> None:
        super().__init__(settings, vocabulary)
        self.running: dict[int, AnyTree] = {}
        self._seeds: dict[int, list[int]] = {}

    @abstractmethod
    def plant(self, request: Request) -> AnyTree:
        """The tree of a request that enters, with one row."""

    @abstractmethod
    def rank(self, logits: torch.Tensor, logprobs: torch.Tensor) -> Sequence[AnyOptions]:
        """What each row may continue with.

        Args:
            logits: Float32 [rows, vocabulary].
            logprobs: The model's own log-probabilities, float32 [rows, vocabulary]; may be changed.
        """

    @abstractmethod
    def step(self, request: int, tree: AnyTree, options: Sequence[AnyOptions]) -> list[Branch]:
        """Take one request a token further; what runs on, nothing when the request is finished."""

    def admit(self, requests: Sequence[Request]) -> None:
        """One row a request, which branches at the first step."""
        start = len(self.requests)
        super().admit(requests)
        for number, request in enumerate(requests, start):
            self.running[number] = self.plant(request)

    def advance(self, logits: torch.Tensor) -> Move:
        """Continue every request's sequences; requests that are done leave."""
        logprobs = logits.log_softmax(-1)
        # Whatever is no number in a row, or infinite, makes NaN of all its log-probabilities.
        unsound = logprobs[:, 0].isnan().tolist()
        if any(unsound):
            # These rows are computed with the others, and then left.
            logits = logits.nan_to_num(0.0, 0.0, -torch.inf)
            logprobs = logprobs.nan_to_num(0.0, neginf=-torch.inf)
        options = self.rank(logits, logprobs)
        move = Move([], [])
        start = 0
        for request, tree in list(self.running.items()):
            stop = start + len(tree.rows())
            branches = []
            if any(unsound[start:stop]):
                count = len(tree.rows()[0].tokens)
                self.fail(request, f"nan_logits: the model gave no numbers at token {count}")
            else:
                branches = self.step(request, tree, options[start:stop])
            if not branches:
                del self.running[request]
                self._seeds.pop(request, None)
            move.parents.extend(start + branch.parent for branch in branches)
            move.tokens.extend(branch.prefix.tokens[-1] for branch in branches)
            start = stop
        self.remember(move)
        return move

    def restricted(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores after penalties, bans and guides; `scores` may be changed in place."""
        scores = self.penalised(scores)
        rows = self._rows()
        guides = [row.guides for row in rows]
        lengths = [len(row.tokens) for row in rows]
        return self.restrict(scores, lengths, guides if any(guides) else [])

    def only_bans(self) -> bool:
        """Whether `restricted` leaves the scores of all tokens as they are that it does not ban."""
        guided = any(row.guides for row in self._rows())
        return not (self.settings.penalises() or guided or self.vocabulary.first is not None)

    def noise(self, device: torch.device) -> Noise:
        """Of this step's rows: a request's rows are told apart by their place in its tree."""
        seeds, steps = [], []
        for request, tree in self.running.items():
            rows = tree.rows()
            seeds += self._row_seeds(request)[: len(rows)]
            steps += [len(row.tokens) for row in rows]
        return Noise(torch.tensor(seeds, device=device), torch.tensor(steps, device=device))

    def none_left(self, request: int) -> None:
        """Record that a request's sequences cannot go on, and that none is finished."""
        self.fail(request, "no_token: every continuation is banned")

    def ended(self, request: int, prefix: Prefix) -> Generated | None:
        """The finished sequence, None where it runs on."""
        room = self.requests[request].room
        return self.finished(prefix.tokens, prefix.logprob, room, prefix.guides)

    def _rows(self) -> list[Prefix]:
        return [row for tree in self.running.values() for row in tree.rows()]

    def _row_seeds(self, request: int) -> list[int]:
        if request not in self._seeds:
            seed, rows = self.requests[request].seed, range(self.settings.slots())
            self._seeds[request] = [reply_seed(seed, row) for row in rows]
        return self._seeds[request]


def scored(sequence: Generated, score: float) -> Generated:
    """A finished sequence with what it was ranked by."""
    return replace(sequence, score=score)
