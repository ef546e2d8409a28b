"""The algorithm behind `chains.decoding.contrastive`: candidates are read before one is taken.

The rows of a request are the candidates of a step, the first one the prompt alone. When their
states have come, the best candidate is taken, and its row's logits give the next candidates, which
all continue this row. States are compared by cosine, in float32, request by request.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from chains.decoding.best import best_tokens
from chains.decoding.contrastive import Contrastive
from chains.decoding.guide import Guide
from chains.decoding.search import Move, Search, Vocabulary


@dataclass
class Reading:
    """A request that runs.

    Attributes:
        number: Of the request.
        guides: What steers it.
        context: Normalised states of prompt and reply, float32 [most tokens, size].
        known: States that are filled in.
        tokens: Taken so far.
        logprob: Of these.
        candidates: Of the next token: id, probability, the model's own log-probability; none at
            first, where the only row is that of the prompt.
    """

    number: int
    guides: tuple[Guide, ...]
    context: torch.Tensor
    known: int
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    candidates: list[tuple[int, float, float]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows of the batch that belong to it."""
        return max(1, len(self.candidates))

    def learn(self, states: torch.Tensor) -> None:
        """Append normalised states, [tokens, size]."""
        self.context[self.known : self.known + len(states)] = states
        self.known += len(states)


class ContrastiveSearch(Search):
    """Contrastive search for all requests of a batch with these settings."""

    settings: Contrastive

    def __init__(self, settings: Contrastive, vocabulary: Vocabulary) -> None:
        super().__init__(settings, vocabulary)
        self._readings: list[Reading] = []
        self._states = torch.zeros(0, 0)

    def see(self, states: torch.Tensor, prompts: Sequence[torch.Tensor]) -> None:
        """Keep the states of this step's rows, and those of the prompts as contexts."""
        self._states = _normalised(states)
        start = len(self.requests) - len(prompts)
        for number, prompt in enumerate(prompts, start):
            request = self.requests[number]
            context = prompt.new_zeros(len(prompt) + request.room, prompt.shape[-1])
            reading = Reading(number, request.guides, context, 0)
            reading.learn(_normalised(prompt))
            self._readings.append(reading)

    def advance(self, logits: torch.Tensor) -> Move:
        """Take the best candidate of every request, then look up the next ones."""
        rows: list[int] = []
        kept: list[int] = []
        start = 0
        for place, reading in enumerate(self._readings):
            row = self._take(reading, start)
            start += reading.rows
            if row is not None:
                rows.append(row)
                kept.append(place)
        self._remember(kept)
        self._readings = [self._readings[place] for place in kept]
        return self._branch(logits, rows) if rows else Move([], [])

    def _take(self, reading: Reading, start: int) -> int | None:
        """The row that a request goes on from, None when it is finished."""
        if not reading.candidates:
            return start
        states = _normalised(self._states[start : start + reading.rows])
        likeness = (states @ reading.context[: reading.known].T).amax(-1).tolist()
        alpha = self.settings.penalty_alpha
        ranked = [
            ((alpha - 1) * probability + alpha * alike, token, place)
            for place, ((token, probability, _), alike) in enumerate(
                zip(reading.candidates, likeness, strict=True)
            )
        ]
        _, token, place = min(ranked)
        reading.learn(states[place : place + 1])
        reading.tokens.append(token)
        reading.logprob += reading.candidates[place][2]
        reading.guides = tuple(guide.follow(token) for guide in reading.guides)
        room = self.requests[reading.number].room
        finished = self.finished(tuple(reading.tokens), reading.logprob, room, reading.guides)
        if finished is not None:
            self.finish(reading.number, [finished])
            return None
        return start + place

    def _remember(self, kept: Sequence[int]) -> None:
        """Bring the history, which has a row a request, up to the tokens just taken."""
        old = [place for place in kept if self._readings[place].tokens]
        self.remember(Move(old, [self._readings[place].tokens[-1] for place in old]))

    def _branch(self, logits: torch.Tensor, rows: Sequence[int]) -> Move:
        """The next candidates of each request, which goes on from one of these rows."""
        logits = logits[torch.tensor(rows, device=logits.device)]
        logprobs = logits.log_softmax(-1)
        # Whatever is no number in a row, or infinite, makes NaN of all its log-probabilities.
        unsound = logprobs[:, 0].isnan().tolist()
        if any(unsound):
            logits = logits.nan_to_num(0.0, 0.0, -torch.inf)
        scores = self._restricted(logits)
        values, ids = best_tokens(scores, self.settings.top_k)
        chances = scores.softmax(-1).gather(-1, ids).masked_fill(values == -torch.inf, -1.0)
        own = logprobs.gather(-1, ids)
        move = Move([], [])
        kept = []
        for place, (reading, row) in enumerate(zip(self._readings, rows, strict=True)):
            parts = (ids[place].tolist(), chances[place].tolist(), own[place].tolist())
            reading.candidates = [each for each in zip(*parts, strict=True) if each[1] >= 0]
            if unsound[place]:
                count = len(reading.tokens)
                self.fail(reading.number, f"nan_logits: the model gave no numbers at token {count}")
            elif not reading.candidates:
                self.fail(reading.number, "no_token: every continuation is banned")
            else:
                kept.append(place)
                move.parents.extend([row] * len(reading.candidates))
                move.tokens.extend(token for token, _, _ in reading.candidates)
        if len(kept) < len(self._readings):
            self.remember(Move(kept, []))
        self._readings = [self._readings[place] for place in kept]
        return move

    def _restricted(self, scores: torch.Tensor) -> torch.Tensor:
        scores = self.penalised(scores)
        guides = [reading.guides for reading in self._readings]
        lengths = [len(reading.tokens) for reading in self._readings]
        return self.restrict(scores, lengths, guides if any(guides) else [])


def _normalised(states: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(states.float(), dim=-1)
