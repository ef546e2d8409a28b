"""Calls that score a text: the target becomes tokens, and their log-probabilities a reply.

Score(target="Blue.")     ->  415 12, and 2 for the end
[-0.3, -1.9, -0.1]        ->  Reply("Blue.", "stop", 12, 3, logprob=-2.3)
"""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chains.calls import Reply
from chains.decoding.score import Score
from chains.decoding.search import Vocabulary
from chains.engine.base import Engine
from chains.engine.batches import reason_of
from chains.engine.scoring import Pair
from chains.models.template import PromptError

TOGETHER = 32
"""Targets that are scored between two looks at whether the user asked to stop."""

logger = logging.getLogger("textmill.models")


@dataclass(frozen=True, slots=True)
class Scoring:
    """A target to score.

    Attributes:
        index: Of its call.
        text: The target.
        prompt: Token ids.
        tokens: Of the target.
        head: How many tokens of the prompt other prompts are likely to begin with too.
    """

    index: int
    text: str
    prompt: tuple[int, ...]
    tokens: tuple[int, ...]
    head: int = 0

    def reply(self, logprobs: Sequence[float]) -> Reply:
        """The target as a reply, with the sum of its tokens' log-probabilities."""
        count, total = len(self.prompt), math.fsum(logprobs)
        if not math.isfinite(total):
            place = next(at for at, each in enumerate(logprobs) if not math.isfinite(each))
            return self.failed(f"nan_logits: the model gave no numbers at token {place}")
        return Reply(self.text, "stop", count, len(logprobs), total)

    def failed(self, error: str) -> Reply:
        """The reply where there is no score."""
        return Reply("", "error", len(self.prompt), error=error)


def target_tokens(settings: Score, vocabulary: Vocabulary) -> tuple[int, ...]:
    """The tokens to score: the one that every reply begins with, the text's own, an end token.

    What looks like a special token in the text is spelled out in ordinary ones.

    Raises:
        PromptError: It is not Unicode text.
    """
    tokenizer = vocabulary.tokenizer
    try:
        # Translation models have a tokenizer of their own for the target's language.
        found = tokenizer(
            text_target=settings.target, add_special_tokens=False, split_special_tokens=True
        )
    except (TypeError, ValueError) as exc:
        raise PromptError(f"bad_text: the target is not Unicode text ({exc})") from exc
    first = () if vocabulary.first is None else (vocabulary.first,)
    return (*first, *found["input_ids"], *(end_token(vocabulary) if settings.end else ()))


def end_token(vocabulary: Vocabulary) -> tuple[int, ...]:
    """The token that ends a text by itself: the tokenizer's, else the lowest; () without any."""
    own = vocabulary.tokenizer.eos_token_id
    return (own,) if own in vocabulary.ends else tuple(sorted(vocabulary.ends)[:1])


def score_all(engine: Engine, wanted: Sequence[Scoring]) -> Iterator[list[tuple[int, list[Reply]]]]:
    """Score all targets, yielding (index, replies) after every few; equal ones once."""
    targets: dict[Pair, list[Scoring]] = {}
    for scoring in wanted:
        pair = Pair(scoring.prompt, scoring.tokens, scoring.head)
        targets.setdefault(pair, []).append(scoring)
    # Targets of one prompt stand together, so that it is read once for them.
    pairs = sorted(targets)
    for start in range(0, len(pairs), TOGETHER):
        part = pairs[start : start + TOGETHER]
        found = zip(part, _scored(engine, part), strict=True)
        yield [
            (scoring.index, [_reply(scoring, result)])
            for pair, result in found
            for scoring in targets[pair]
        ]


def _scored(engine: Engine, pairs: Sequence[Pair]) -> list[list[float] | str]:
    """Log-probabilities of each target; what went wrong for one that fails by itself."""
    try:
        return [*engine.score(pairs)]
    except Exception as exc:
        if len(pairs) == 1:
            return [reason_of(exc)]
        logger.info("%d targets failed together and are scored one by one", len(pairs))
        return [result for pair in pairs for result in _scored(engine, [pair])]


def _reply(scoring: Scoring, result: list[float] | str) -> Reply:
    return scoring.failed(result) if isinstance(result, str) else scoring.reply(result)
