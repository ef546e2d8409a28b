"""The search of strategies whose rows know nothing of each other: one sequence a request.

    search = RowSearch(Sample(max_tokens=8), vocabulary)     # see `chains.decoding.search`

Which token a row goes on with is the settings' own affair: `settings.choose(scores, noise)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from chains.decoding.base import Decoding
from chains.decoding.guide import Guide
from chains.decoding.noise import Noise
from chains.decoding.search import Move, Request, Search, Vocabulary


@dataclass
class Running:
    """A sequence that goes on.

    Attributes:
        number: Of its request.
        guides: What steers it.
        tokens: Generated so far.
        logprob: Sum of their log-probabilities under the model itself.
    """

    number: int
    guides: tuple[Guide, ...]
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0


class RowSearch(Search):
    """One token a row and step."""

    def __init__(self, settings: Decoding, vocabulary: Vocabulary) -> None:
        super().__init__(settings, vocabulary)
        self._rows: list[Running] = []

    def admit(self, requests: Sequence[Request]) -> None:
        """One row a request."""
        start = len(self.requests)
        super().admit(requests)
        for number, request in enumerate(requests, start):
            self._rows.append(Running(number, request.guides))

    def advance(self, logits: torch.Tensor) -> Move:
        """Choose a token for each row; rows that finish, or whose logits are not numbers, leave."""
        sound = torch.isfinite(logits.amax(-1)).tolist()
        # Unsound rows are computed with the others, so that these keep their shapes, and then left.
        if not all(sound):
            logits = torch.nan_to_num(logits, nan=0.0, posinf=0.0, neginf=-torch.inf)
        tokens, logprobs, banned = self._choose(logits)
        move = Move([], [])
        for place, row in enumerate(self._rows):
            if not sound[place]:
                step = len(row.tokens)
                self.fail(row.number, f"nan_logits: the model gave no numbers at token {step}")
            elif banned[place]:
                self.fail(row.number, "no_token: every continuation is banned")
            elif self._goes_on(row, tokens[place], logprobs[place]):
                move.parents.append(place)
                move.tokens.append(tokens[place])
        self._rows = [self._rows[place] for place in move.parents]
        self.remember(move)
        return move

    def _choose(self, logits: torch.Tensor) -> tuple[list[int], list[float], list[bool]]:
        """Of each row the token, its log-probability, and whether it had to be a banned one."""
        lengths = [len(row.tokens) for row in self._rows]
        guides = [row.guides for row in self._rows]
        scores = self.penalised(logits.clone()) if self.settings.penalises() else logits
        if self._restricts(lengths, guides):
            scores = logits.clone() if scores is logits else scores
            scores = self.restrict(scores, lengths, guides if any(guides) else [])
        seeds = [self.requests[row.number].seed for row in self._rows]
        device = logits.device
        noise = Noise(torch.tensor(seeds, device=device), torch.tensor(lengths, device=device))
        tokens = self.settings.choose(scores, noise)
        chosen = logits.log_softmax(-1).gather(-1, tokens[:, None])[:, 0]
        banned = scores.gather(-1, tokens[:, None])[:, 0] == -torch.inf
        return tokens.tolist(), chosen.tolist(), banned.tolist()

    def _restricts(self, lengths: Sequence[int], guides: Sequence[tuple[Guide, ...]]) -> bool:
        """Whether `restrict` would change any score."""
        known = self.vocabulary
        early = min(lengths) < self.settings.min_tokens
        return bool(known.banned) or known.first is not None or early or any(guides)

    def _goes_on(self, row: Running, token: int, logprob: float) -> bool:
        row.tokens.append(token)
        row.logprob += logprob
        row.guides = tuple(guide.follow(token) for guide in row.guides)
        room = self.requests[row.number].room
        finished = self.finished(tuple(row.tokens), row.logprob, room, row.guides)
        if finished is not None:
            self.finish(row.number, [finished])
        return finished is None
