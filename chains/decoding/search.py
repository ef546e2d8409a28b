"""The search of a batch: what is generated from the logits that the model gives, step after step.

    search = RowSearch(Sample(max_tokens=8), [Request(prompt=(1, 520), seed=7, room=8)], vocabulary)
    move = search.advance(logits)     # Move(parents=[0], tokens=[415]): row 0 goes on with 415
    ...
    search.results()                        # {0: [Generated(text="Blue.", finish="stop", ...)]}

One search holds all requests of a batch whose settings are equal. Its rows are the sequences
still running; a move says which row each next row continues and with which token. A row that has
finished is in no move.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from chains.calls import Finish
from chains.decoding.base import Decoding
from chains.decoding.noise import Noise
from chains.decoding.stopping import StopStrings


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt to answer.

    Attributes:
        prompt: Token ids, at least one.
        seed: Of the noise, 0 to 2**53 - 1.
        room: Tokens that may be generated: max_tokens, or fewer where the window ends.
        shared: Tokens at the beginning of the prompt that other prompts have too, such as those of
            worked examples. Follows from the prompt alone, never from its neighbours.
    """

    prompt: tuple[int, ...]
    seed: int
    room: int
    shared: int = 0


@dataclass(frozen=True, slots=True)
class Generated:
    """One sequence that came out; the fields mean what they mean in `chains.calls.Reply`."""

    text: str
    finish: Finish
    tokens: tuple[int, ...] = ()
    logprob: float | None = None
    error: str = ""


@dataclass(frozen=True)
class Vocabulary:
    """What a search has to know about a model's tokens.

    Attributes:
        decode: Token ids to text, special tokens left out.
        ends: Tokens that end a reply.
        banned: Tokens that are never generated.
        first: The token that every reply has to begin with, where the model has one.
    """

    decode: Callable[[Sequence[int]], str]
    ends: frozenset[int]
    banned: tuple[int, ...] = ()
    first: int | None = None

    def text(self, tokens: Sequence[int]) -> str:
        """The text of a reply, its end token left out."""
        return self.decode([token for token in tokens if token not in self.ends])


class Move(NamedTuple):
    """The next rows: which row each one continues, and with which token."""

    parents: list[int]
    tokens: list[int]


class Search(ABC):
    """All requests of a batch that share their settings."""

    def __init__(
        self, settings: Decoding, requests: Sequence[Request], vocabulary: Vocabulary
    ) -> None:
        self.settings = settings
        self.requests = requests
        self.vocabulary = vocabulary
        self.stops = StopStrings(settings.stop, vocabulary.text)
        self._results: dict[int, list[Generated]] = {}

    @abstractmethod
    def advance(self, logits: torch.Tensor) -> Move:
        """Take the logits of the running rows, float32 [rows, vocabulary], to the next rows.

        At the first call there is one row a request.
        """

    def finish(self, request: int, sequences: list[Generated]) -> None:
        """Record what came out of a request."""
        self._results[request] = sequences

    def fail(self, request: int, error: str) -> None:
        """Record that a request failed."""
        self.finish(request, [Generated("", "error", error=error)])

    def finished(self, tokens: tuple[int, ...], logprob: float, room: int) -> Generated | None:
        """The sequence that these tokens are, None where it goes on."""
        if tokens[-1] in self.vocabulary.ends:
            return Generated(self.vocabulary.text(tokens), "stop", tokens, logprob)
        cut = self.stops.cut(tokens, self.settings.min_tokens)
        if cut is not None:
            return Generated(cut, "stop", tokens, logprob)
        if len(tokens) < room:
            return None
        text = self.stops.cut_off(self.vocabulary.text(tokens))
        return Generated(text, "length", tokens, logprob)

    def results(self) -> dict[int, list[Generated]]:
        """What came out so far, by the request's number."""
        return self._results

    def restrict(self, scores: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
        """Ban what no row may generate next; changes `scores` in place.

        Args:
            scores: Float32 [rows, vocabulary].
            lengths: Tokens that each row has generated.
        """
        for token in self.vocabulary.banned:
            scores[:, token] = -torch.inf
        early = [row for row, length in enumerate(lengths) if length < self.settings.min_tokens]
        for token in self.vocabulary.ends if early else ():
            scores[early, token] = -torch.inf
        forced = self.vocabulary.first
        new = [row for row, length in enumerate(lengths) if length == 0] if forced else []
        if new:
            scores[new] = -torch.inf
            scores[new, forced] = 0.0
        return scores


class History:
    """Which tokens the rows have read and drawn, for the settings that look at them.

    Args:
        prompts: Token ids of each row's prompt.
        like: Any tensor of the vocabulary's width on the right device.
    """

    def __init__(self, prompts: Sequence[Sequence[int]], like: torch.Tensor) -> None:
        self.drawn = torch.zeros(len(prompts), like.shape[-1], device=like.device)
        self.read = torch.zeros_like(self.drawn, dtype=torch.bool)
        for row, prompt in enumerate(prompts):
            self.read[row, torch.tensor(prompt, device=like.device)] = True

    def follow(self, move: Move) -> None:
        """Take over what a move says."""
        device = self.drawn.device
        parents = torch.tensor(move.parents, dtype=torch.long, device=device)
        self.drawn, self.read = self.drawn[parents], self.read[parents]
        rows = torch.arange(len(move.tokens), device=device)
        self.drawn[rows, torch.tensor(move.tokens, dtype=torch.long, device=device)] += 1


class RowSearch(Search):
    """A search whose rows know nothing of each other: one sequence a request, one token a step.

    Which token is the settings' own affair: `settings.choose(scores, noise)`.
    """

    def __init__(
        self, settings: Decoding, requests: Sequence[Request], vocabulary: Vocabulary
    ) -> None:
        super().__init__(settings, requests, vocabulary)
        self._running = list(range(len(requests)))
        self._tokens: list[list[int]] = [[] for _ in requests]
        self._logprobs = [0.0] * len(requests)
        self._history: History | None = None

    def advance(self, logits: torch.Tensor) -> Move:
        """Choose a token for each row; rows that finish, or whose logits are not numbers, leave."""
        sound = torch.isfinite(logits.amax(-1)).tolist()
        # Unsound rows are computed with the others, so that these keep their shapes, and then left.
        logits = torch.nan_to_num(logits, nan=0.0, posinf=0.0) if not all(sound) else logits
        tokens, logprobs = self._choose(logits)
        move = Move([], [])
        for row, request in enumerate(self._running):
            if not sound[row]:
                step = len(self._tokens[request])
                self.fail(request, f"nan_logits: the model gave no numbers at token {step}")
                continue
            self._tokens[request].append(tokens[row])
            self._logprobs[request] += logprobs[row]
            if not self._ended(request):
                move.parents.append(row)
                move.tokens.append(tokens[row])
        self._running = [self._running[row] for row in move.parents]
        if self._history is not None:
            self._history.follow(move)
        return move

    def _choose(self, logits: torch.Tensor) -> tuple[list[int], list[float]]:
        lengths = [len(self._tokens[request]) for request in self._running]
        scores = self.restrict(self._penalised(logits), lengths)
        seeds = [self.requests[request].seed for request in self._running]
        device = logits.device
        noise = Noise(torch.tensor(seeds, device=device), torch.tensor(lengths, device=device))
        tokens = self.settings.choose(scores, noise)
        chosen = logits.log_softmax(-1).gather(-1, tokens[:, None])[:, 0]
        return tokens.tolist(), chosen.tolist()

    def _penalised(self, logits: torch.Tensor) -> torch.Tensor:
        if not self.settings.penalises():
            return logits.clone()
        if self._history is None:
            prompts = [self.requests[request].prompt for request in self._running]
            self._history = History(prompts, logits)
        return self.settings.penalise(logits.clone(), self._history)

    def _ended(self, request: int) -> bool:
        tokens, logprob = tuple(self._tokens[request]), self._logprobs[request]
        finished = self.finished(tokens, logprob, self.requests[request].room)
        if finished is not None:
            self.finish(request, [finished])
        return finished is not None
