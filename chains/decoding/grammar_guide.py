"""The state of one sequence under a grammar; llguidance computes which tokens may follow.

    guide = open_guide(GrammarSettings(form="regex", source="[0-9]{2}"), vocabulary)
    guide.steer(scores)                   # all but the tokens "0" to "9" and "00" to "99": -inf
    guide = guide.follow(token_of("42"))
    guide.verdict()                       # "stop"

A matcher is compiled once for a grammar and a vocabulary and copied for every token, which takes a
microsecond: what it has compiled is shared between the copies.
"""

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer

from chains.decoding.grammar import GrammarSettings
from chains.decoding.guide import Guide
from chains.decoding.search import Vocabulary
from prompts.grammars import grammar_of

if TYPE_CHECKING:
    from chains.calls import Finish

MATCHERS = 64
VOCABULARIES = 4


@dataclass(frozen=True, slots=True)
class GrammarGuide(Guide):
    """The state of one sequence.

    Attributes:
        vocabulary: The model's tokens.
        matcher: Has read the sequence; never changed.
        forced: Whether the next token is the one that the model has to begin with, which is none
            of the grammar's.
    """

    vocabulary: Vocabulary
    matcher: LLMatcher
    forced: bool = False

    def steer(self, scores: torch.Tensor) -> None:
        """Ban every token with which the reply could not be completed."""
        if self.forced:
            return
        allowed = torch.from_numpy(self._allowed(len(scores))).to(scores.device)
        scores.masked_fill_(~allowed, -torch.inf)

    def _allowed(self, width: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which of the first `width` tokens may follow, bool [width]."""
        bits = np.frombuffer(self.matcher.compute_bitmask(), dtype=np.uint8)
        allowed = np.zeros(width, dtype=np.bool_)
        if self.matcher.is_error():  # a limit of the engine; without tokens the request fails alone
            return allowed
        known = np.unpackbits(bits, bitorder="little")[:width]
        allowed[: len(known)] = known
        complete = self.matcher.is_accepting()
        for token in self.vocabulary.ends:
            allowed[token] = complete
        return allowed

    def follow(self, token: int) -> "GrammarGuide":
        """The guide behind one more token; an end token changes nothing."""
        if self.forced:
            return replace(self, forced=False)
        if token in self.vocabulary.ends:
            return self
        matcher = self.matcher.deep_copy()
        matcher.consume_token(token)
        return replace(self, matcher=matcher)

    def verdict(self) -> "Finish | None":
        """The end where the reply is complete and nothing could follow."""
        complete = self.matcher.is_stopped() and self.matcher.is_accepting()
        return "stop" if complete and not self.matcher.is_error() else None


def open_guide(settings: GrammarSettings, vocabulary: Vocabulary) -> GrammarGuide:
    """A guide at the beginning of a reply.

    Raises:
        ValueError: As `GrammarSettings.open`.
    """
    matcher = _matcher(settings, vocabulary)
    return GrammarGuide(vocabulary, matcher, forced=vocabulary.first is not None)


@lru_cache(maxsize=MATCHERS)
def _matcher(settings: GrammarSettings, vocabulary: Vocabulary) -> LLMatcher:
    """A matcher that has read nothing."""
    grammar = grammar_of(settings.form, settings.source)
    matcher = LLMatcher(_tokens(vocabulary), grammar, log_level=0)
    if not any(matcher.compute_bitmask()) or matcher.is_error():
        problem = matcher.get_error().partition("\n")[0] or "no token can begin such a reply"
        raise ValueError(f"the output form cannot be held to: {problem}")
    return matcher


@lru_cache(maxsize=VOCABULARIES)
def _tokens(vocabulary: Vocabulary) -> LLTokenizer:
    """The bytes of every token, as the engine wants them; takes a fifth of a second."""
    backend = getattr(vocabulary.tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ValueError("the model has no tokenizer of the package tokenizers")
    definition = {**json.loads(backend.to_str()), "padding": None, "truncation": None}
    try:
        # The end is allowed by `GrammarGuide`, for all tokens that a model may end with.
        return LLTokenizer(json.dumps(definition), eos_token=sorted(vocabulary.ends)[:1] or None)
    except ValueError as exc:
        raise ValueError(f"the model's tokenizer cannot be guided: {exc}") from exc
