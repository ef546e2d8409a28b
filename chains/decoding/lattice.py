"""The rules of beam search for one request: candidates, hypotheses, and when it is over.

Of the best candidates (twice as many as beams, or more where several tokens end a reply) those that
end and rank among the first `num_beams` become hypotheses, and the best that do not end run on.
Candidates with equal keys rank by beam, then by token id. The rules, the stopping rule included,
are those of `generate(num_beams=...)` in transformers 5, so that both find the same sequences.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic, NamedTuple

from chains.decoding.beam import Beams
from chains.decoding.branch_search import (
    AnyTree,
    Branch,
    BranchSearch,
    Options,
    Prefix,
    scored,
)
from chains.decoding.search import Generated, Vocabulary


@dataclass
class Lattice:
    """The beams of one search.

    Attributes:
        beams: Those that run, best first.
        hypotheses: Final score and sequence of the finished ones, best first.
        chosen: Tokens that the last step went on with or finished with.
    """

    beams: list[Prefix]
    hypotheses: list[tuple[float, Generated]] = field(default_factory=list)
    chosen: list[int] = field(default_factory=list)

    def rows(self) -> Sequence[Prefix]:
        """The beams."""
        return self.beams


class Candidate(NamedTuple):
    """One beam continued by one token, which may finish it."""

    branch: Branch
    finished: Generated | None


class LatticeSearch(BranchSearch[AnyTree, Options], Generic[AnyTree]):
    """Searches that keep one lattice a request, or several.

    Args:
        settings: Of the search.
        vocabulary: The model's tokens.
        width: Beams of a lattice.
    """

    settings: Beams
    by_score: ClassVar[bool] = True
    """Whether candidates rank by their scores; else they are drawn, and their keys are noisy."""

    def __init__(self, settings: Beams, vocabulary: Vocabulary, width: int) -> None:
        super().__init__(settings, vocabulary)
        self.width = width
        self.keep = max(2, 1 + len(vocabulary.ends)) * width

    def grow(self, request: int, lattice: Lattice, options: Sequence[Options]) -> list[Branch]:
        """Take a lattice a token further; the branches that run on, none when it is done."""
        running: list[Branch] = []
        lattice.chosen = []
        for rank, (branch, finished) in enumerate(self._candidates(request, lattice, options)):
            if finished is None:
                running.append(branch)
            elif rank < self.width:
                final = self._final(branch.prefix)
                lattice.hypotheses.append((final, scored(finished, final)))
                lattice.chosen.append(finished.tokens[-1])
            if self.by_score and rank + 1 >= self.width and len(running) == self.width:
                break
        running.sort(key=lambda branch: -branch.prefix.score)
        del running[self.width :]
        lattice.hypotheses.sort(key=lambda hypothesis: -hypothesis[0])
        del lattice.hypotheses[self.width :]
        lattice.beams = [branch.prefix for branch in running]
        lattice.chosen += [beam.tokens[-1] for beam in lattice.beams]
        if self._done(lattice):
            lattice.beams, running = [], []
        return running

    def conclude(self, request: int, hypotheses: Sequence[tuple[float, Generated]]) -> None:
        """Finish a request with the n best of its hypotheses, which come best first."""
        if hypotheses:
            self.finish(request, [sequence for _, sequence in hypotheses[: self.settings.n]])
        else:
            self.none_left(request)

    def _candidates(
        self, request: int, lattice: Lattice, options: Sequence[Options]
    ) -> Iterator[Candidate]:
        ranked = sorted(
            (-(beam.score + key), parent, token, place)
            for parent, (beam, row) in enumerate(zip(lattice.beams, options, strict=True))
            for place, (key, token) in enumerate(zip(row.keys, row.tokens, strict=True))
            if key > -float("inf")
        )
        for _, parent, token, place in ranked[: self.keep]:
            row = options[parent]
            prefix = lattice.beams[parent].follow(token, row.scores[place], row.logprobs[place])
            yield Candidate(Branch(parent, prefix), self.ended(request, prefix))

    def _final(self, prefix: Prefix) -> float:
        return prefix.score / float(len(prefix.tokens) ** self.settings.length_penalty)

    def _done(self, lattice: Lattice) -> bool:
        """Whether nothing that still runs can get among the hypotheses."""
        if not lattice.beams:
            return True
        if len(lattice.hypotheses) < self.width:
            return False
        if self.settings.early_stopping:
            return True
        return self._final(lattice.beams[0]) <= lattice.hypotheses[-1][0]
