"""The algorithm behind `chains.decoding.beam`.

At every step each request's running beams are continued by every token; of the best candidates
(twice as many as beams, or more where several tokens end a reply) those that end and rank among
the first `num_beams` become hypotheses, and the best that do not end run on. Candidates with
equal scores rank by beam, then by token id. The rules, the stopping rule included, are those of
`generate(num_beams=...)` in transformers 5, so that both find the same sequences.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from chains.decoding.beam import Beam
from chains.decoding.guide import Guide
from chains.decoding.search import Generated, History, Move, Request, Search, Vocabulary


@dataclass
class Prefix:
    """A running beam.

    Attributes:
        guides: What steers it.
        tokens: Generated so far.
        score: Sum of the log-probabilities after penalties and bans, which the beam ranks by.
        logprob: Sum of the model's own log-probabilities.
    """

    guides: tuple[Guide, ...] = ()
    tokens: tuple[int, ...] = ()
    score: float = 0.0
    logprob: float = 0.0


@dataclass
class Lattice:
    """One request: its running beams and its hypotheses (final score, sequence), best first."""

    beams: list[Prefix]
    hypotheses: list[tuple[float, Generated]] = field(default_factory=list)


@dataclass
class Candidate:
    """One beam continued by one token; `parent` counts within the request."""

    parent: int
    prefix: Prefix
    finished: Generated | None


class BeamSearch(Search):
    """Beam search of all requests of a batch with these settings."""

    settings: Beam

    def __init__(self, settings: Beam, vocabulary: Vocabulary) -> None:
        super().__init__(settings, vocabulary)
        self._running: dict[int, Lattice] = {}
        self._keep = max(2, 1 + len(vocabulary.ends)) * settings.num_beams
        self._history: History | None = None
        self._read: list[Sequence[int]] = []  # prompts that the history has yet to take in

    def admit(self, requests: Sequence[Request]) -> None:
        """One row a request, which branches at the first step."""
        start = len(self.requests)
        super().admit(requests)
        for number, request in enumerate(requests, start):
            self._running[number] = Lattice([Prefix(request.guides)])
        if self.settings.penalises():
            self._read.extend(request.prompt for request in requests)

    def advance(self, logits: torch.Tensor) -> Move:
        """Continue every request's beams; requests that are done leave."""
        sound = torch.isfinite(logits.amax(-1)).tolist()
        logprobs = logits.log_softmax(-1)
        scores = self._restricted(logprobs.clone())
        move = Move([], [])
        start = 0
        for request, lattice in list(self._running.items()):
            stop = start + len(lattice.beams)
            if all(sound[start:stop]):
                rows = slice(start, stop)
                kept = self._step(request, lattice, scores[rows], logprobs[rows])
                move.parents.extend(start + candidate.parent for candidate in kept)
                move.tokens.extend(candidate.prefix.tokens[-1] for candidate in kept)
            else:
                step = len(lattice.beams[0].tokens)
                self.fail(request, f"nan_logits: the model gave no numbers at token {step}")
                del self._running[request]
            start = stop
        if self._history is not None:
            self._history.follow(move)
        return move

    def _restricted(self, scores: torch.Tensor) -> torch.Tensor:
        if self.settings.penalises():
            if self._history is None:
                self._history = History(scores)
            self._history.add(self._read)
            self._read = []
            scores = self.settings.penalise(scores, self._history)
        beams = [beam for lattice in self._running.values() for beam in lattice.beams]
        guides = [beam.guides for beam in beams]
        lengths = [len(beam.tokens) for beam in beams]
        return self.restrict(scores, lengths, guides if any(guides) else [])

    def _step(
        self, request: int, lattice: Lattice, scores: torch.Tensor, logprobs: torch.Tensor
    ) -> list[Candidate]:
        """Take one request a token further; the candidates that run on, none when it is done."""
        candidates = self._candidates(request, lattice, scores, logprobs)
        running = [candidate for candidate in candidates if candidate.finished is None]
        running = running[: self.settings.num_beams]
        for candidate in candidates[: self.settings.num_beams]:
            if candidate.finished is not None:
                final = self._final(candidate.prefix.score, len(candidate.prefix.tokens))
                lattice.hypotheses.append((final, candidate.finished))
        lattice.hypotheses.sort(key=lambda hypothesis: -hypothesis[0])
        del lattice.hypotheses[self.settings.num_beams :]
        lattice.beams = [candidate.prefix for candidate in running]
        if running and not self._done(lattice):
            return running
        self._conclude(request, lattice)
        return []

    def _candidates(
        self, request: int, lattice: Lattice, scores: torch.Tensor, logprobs: torch.Tensor
    ) -> list[Candidate]:
        before = torch.tensor([beam.score for beam in lattice.beams], device=scores.device)
        totals = (scores + before[:, None]).flatten()
        vocabulary, room = scores.shape[-1], self.requests[request].room
        found = []
        for place in best_places(totals, self._keep).tolist():
            parent, token = divmod(place, vocabulary)
            beam = lattice.beams[parent]
            prefix = Prefix(
                tuple(guide.follow(token) for guide in beam.guides),
                (*beam.tokens, token),
                float(totals[place]),
                beam.logprob + float(logprobs[parent, token]),
            )
            finished = self.finished(prefix.tokens, prefix.logprob, room, prefix.guides)
            found.append(Candidate(parent, prefix, finished))
        return found

    def _final(self, score: float, length: int) -> float:
        return score / float(length**self.settings.length_penalty)

    def _done(self, lattice: Lattice) -> bool:
        """Whether nothing that still runs can get among the hypotheses."""
        if len(lattice.hypotheses) < self.settings.num_beams:
            return False
        if self.settings.early_stopping:
            return True
        best = lattice.beams[0]
        return self._final(best.score, len(best.tokens)) <= lattice.hypotheses[-1][0]

    def _conclude(self, request: int, lattice: Lattice) -> None:
        del self._running[request]
        best = [sequence for _, sequence in lattice.hypotheses[: self.settings.n]]
        if best:
            self.finish(request, best)
        else:
            self.fail(request, "failed: every continuation is banned")


def best_places(scores: torch.Tensor, count: int) -> torch.Tensor:
    """Places of the `count` highest finite scores, best first, equal ones by place; of a vector."""
    count = min(count, scores.numel())
    border = scores.topk(count).values[-1]
    places = (scores >= border).logical_and(scores > -torch.inf).nonzero().squeeze(-1)
    order = scores[places].sort(descending=True, stable=True).indices
    return places[order[:count]]
