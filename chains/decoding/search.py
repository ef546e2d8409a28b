"""The search of a batch: what is generated from the logits that the model gives, step after step.

    search = RowSearch(Sample(max_tokens=8), vocabulary)
    search.admit([Request(prompt=(1, 520), seed=7, room=8)])      # numbered from 0
    move = search.advance(logits)     # Move(parents=[0], tokens=[415]): row 0 goes on with 415
    ...
    search.take()                     # {0: [Generated(text="Blue.", finish="stop", ...)]}

One search holds all requests of a batch whose settings are equal; more may come in between two
steps. Its rows are the sequences still running; a move says which row each next row continues and
with which token. A row that has finished is in no move.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch

from chains.calls import Finish
from chains.decoding.base import Decoding
from chains.decoding.guide import Guide
from chains.decoding.stopping import StopStrings
from chains.decoding.token_texts import TokenTexts


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt to answer.

    Attributes:
        prompt: Token ids, at least one.
        seed: Of the noise, 0 to 2**53 - 1.
        room: Tokens that may be generated: max_tokens, or fewer where the window ends.
        cuts: Ends of beginnings of the prompt that other prompts may have too: that of the worked
            examples, then that of a document; at most two, in ascending order. They follow from the
            prompt and the settings alone, never from its neighbours.
        rows: Rows that its search may take.
        guides: Of every sequence that answers the prompt, at its beginning.
    """

    prompt: tuple[int, ...]
    seed: int
    room: int
    cuts: tuple[int, ...] = ()
    rows: int = 1
    guides: tuple[Guide, ...] = ()

    @property
    def most(self) -> int:
        """Tokens that prompt and reply have at most."""
        return len(self.prompt) + self.room


@dataclass(frozen=True, slots=True)
class Generated:
    """One sequence that came out; the fields mean what they mean in `chains.calls.Reply`."""

    text: str
    finish: Finish
    tokens: tuple[int, ...] = ()
    logprob: float | None = None
    error: str = ""
    score: float | None = None


@dataclass(frozen=True)
class Vocabulary:
    """What a search has to know about a model's tokens.

    Attributes:
        decode: Token ids to text, special tokens left out.
        ends: Tokens that end a reply.
        banned: Tokens that are never generated.
        first: The token that every reply has to begin with, where the model has one.
        tokenizer: Of transformers, for guides that look at single tokens; None in tests.
        continues: Whether a reply continues its prompt; not so in an encoder-decoder model.
    """

    decode: Callable[[Sequence[int]], str]
    ends: frozenset[int]
    banned: tuple[int, ...] = ()
    first: int | None = None
    tokenizer: Any = None
    continues: bool = True

    @cached_property
    def texts(self) -> TokenTexts:
        """The text of every token. Raises ValueError where there is no tokenizer."""
        if self.tokenizer is None:
            raise ValueError("the texts of the model's tokens are not known")
        return TokenTexts(self.tokenizer)

    def text(self, tokens: Sequence[int]) -> str:
        """The text of a reply, its end token left out."""
        return self.decode([token for token in tokens if token not in self.ends])


class Move(NamedTuple):
    """The next rows: which row each one continues, and with which token."""

    parents: list[int]
    tokens: list[int]


class Search(ABC):
    """All requests of a batch that share their settings."""

    def __init__(self, settings: Decoding, vocabulary: Vocabulary) -> None:
        self.settings = settings
        self.vocabulary = vocabulary
        self.requests: list[Request] = []
        self.stops = StopStrings(settings.stop, vocabulary.text)
        self._results: dict[int, list[Generated]] = {}
        self._history: History | None = None
        self._read: list[Sequence[int]] = []  # prompts that the history has yet to take in

    def admit(self, requests: Sequence[Request]) -> None:
        """Take in more requests; a subclass gives each one row, behind those that run."""
        self.requests.extend(requests)
        if self.settings.penalises():
            self._read.extend(request.prompt for request in requests)

    def see(self, states: torch.Tensor, prompts: Sequence[torch.Tensor]) -> None:
        """Look at hidden states, where the settings say that the search `needs_states`.

        Args:
            states: The last layer's state of each row's last token, float32 [rows, size]; rows
                in the order of the logits that `advance` is given next.
            prompts: For each request admitted since the last call the states of all its prompt's
                tokens, float32 [tokens, size].
        """
        raise NotImplementedError

    @abstractmethod
    def advance(self, logits: torch.Tensor) -> Move:
        """Take the logits of the running rows, float32 [rows, vocabulary], to the next rows.

        The rows are those of the last move, and behind them one for each request admitted since.
        """

    def finish(self, request: int, sequences: list[Generated]) -> None:
        """Record what came out of a request."""
        self._results[request] = sequences

    def fail(self, request: int, error: str) -> None:
        """Record that a request failed."""
        self.finish(request, [Generated("", "error", error=error)])

    def finished(
        self, tokens: tuple[int, ...], logprob: float, room: int, guides: Sequence[Guide] = ()
    ) -> Generated | None:
        """The sequence that these tokens are, None where it goes on.

        Args:
            tokens: Generated so far, at least one.
            logprob: Of them.
            room: Tokens that there may be.
            guides: Of the sequence, the last token followed.
        """
        found = self._ended(tokens, logprob, room, guides)
        if found is None:
            return None
        for guide in guides:
            found = guide.finish(found)
        return found

    def _ended(
        self, tokens: tuple[int, ...], logprob: float, room: int, guides: Sequence[Guide]
    ) -> Generated | None:
        if tokens[-1] in self.vocabulary.ends:
            return Generated(self.vocabulary.text(tokens), "stop", tokens, logprob)
        least = max([self.settings.min_tokens, *(guide.least() for guide in guides)])
        cut = self.stops.cut(tokens, least)
        if cut is not None:
            return Generated(cut, "stop", tokens, logprob)
        verdicts = [verdict for guide in guides if (verdict := guide.verdict()) is not None]
        if not verdicts and len(tokens) < room:
            return None
        text = self.stops.cut_off(self.vocabulary.text(tokens))
        finish = verdicts[0] if verdicts else "length"
        return Generated(text, finish, tokens, logprob)

    def take(self) -> dict[int, list[Generated]]:
        """What came out since the last call, by the request's number."""
        taken, self._results = self._results, {}
        return taken

    def penalised(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores after the penalties, float32 [rows, vocabulary]; changed in place."""
        if not self.settings.penalises():
            return scores
        if self._history is None:
            self._history = History()
        self._history.add(self._read)
        self._read = []
        return self.settings.penalise(scores, self._history)

    def remember(self, move: Move) -> None:
        """Tell the penalties how the rows go on."""
        if self._history is not None:
            self._history.follow(move)

    def restrict(
        self,
        scores: torch.Tensor,
        lengths: Sequence[int],
        guides: Sequence[Sequence[Guide]] = (),
    ) -> torch.Tensor:
        """Ban what no row may generate next, and let its guides steer; changes `scores` in place.

        Args:
            scores: Float32 [rows, vocabulary].
            lengths: Tokens that each row has generated.
            guides: Of each row; none at all if left out.
        """
        for token in self.vocabulary.banned:
            scores[:, token] = -torch.inf
        early = [row for row, length in enumerate(lengths) if length < self.settings.min_tokens]
        for token in self.vocabulary.ends if early else ():
            scores[early, token] = -torch.inf
        forced = self.vocabulary.first
        new = [] if forced is None else [row for row, length in enumerate(lengths) if length == 0]
        if new:
            scores[new] = -torch.inf
            scores[new, forced] = 0.0
        for row, own in enumerate(guides):
            for guide in own:
                guide.steer(scores[row])
        return scores


class History:
    """Which tokens the rows have read and drawn, for the settings that look at them.

    Attributes:
        seen: Of each row every token that its prompt or reply has -> how often the reply has it.
    """

    def __init__(self) -> None:
        self.seen: list[dict[int, int]] = []

    def add(self, prompts: Sequence[Sequence[int]]) -> None:
        """New rows behind the others, which have read these prompts (token ids)."""
        self.seen += [dict.fromkeys(prompt, 0) for prompt in prompts]

    def follow(self, move: Move) -> None:
        """Take over what a move says."""
        self.seen = [dict(self.seen[parent]) for parent in move.parents]
        for counts, token in zip(self.seen, move.tokens, strict=False):
            counts[token] = counts.get(token, 0) + 1
