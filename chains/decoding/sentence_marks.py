r"""Which tokens of a vocabulary end a sentence, begin a word, or close a quotation.

marks = marks_of(vocabulary, 49152, torch.device("cpu"))
marks.ends                # ids of the end tokens
marks.closing             # ids of ".", "!", '."', ".\n", ...
marks.outside             # true for " the" and ",", false for "ing" and for those above
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import torch

from chains.decoding.search import Vocabulary

_CLOSING = r"(?:[.!?]|[。！？।۔])[\"”’)\]*_»」』]*\s*"  # noqa: RUF001
_INSIDE = re.compile(r"[^\W_][\w'’]*")  # noqa: RUF001
_QUOTES = ('"', "”")


@dataclass(frozen=True, slots=True)
class SentenceMarks:
    """Classes of tokens.

    Attributes:
        ends: Ids of the tokens that end a reply, int64 [k].
        closing: Ids of the tokens that end a sentence and are nothing else, int64 [k].
        outside: Whether a token neither ends a sentence nor goes on with the word before it, bool
            [vocabulary].
        quotes: By quotation mark the ids of the tokens that close with it, int64 [k] each.
    """

    ends: torch.Tensor
    closing: torch.Tensor
    outside: torch.Tensor
    quotes: dict[str, torch.Tensor]


@lru_cache(maxsize=4)
def marks_of(vocabulary: Vocabulary, size: int, device: torch.device) -> SentenceMarks:
    """The classes of a vocabulary's tokens.

    Args:
        vocabulary: The model's tokens.
        size: Width of the logits.
        device: Where the logits are.
    """
    texts = _texts(vocabulary, size)  # of special tokens empty

    def ids(found: Iterable[int]) -> torch.Tensor:
        return torch.tensor([*found], dtype=torch.long, device=device)

    def matching(pattern: str) -> torch.Tensor:
        return ids(i for i, text in enumerate(texts) if re.fullmatch(pattern, text))

    closing = matching(_CLOSING)
    outside = [not _INSIDE.fullmatch(text) for text in texts]
    quotes = {mark: matching(rf"{mark}\s*") for mark in _QUOTES}
    mask = torch.tensor(outside, device=device)
    mask[closing] = False
    return SentenceMarks(ids(sorted(vocabulary.ends)), closing, mask, quotes)


def _texts(vocabulary: Vocabulary, size: int) -> list[str]:
    """The text that every token adds to a reply."""
    if vocabulary.tokenizer is None:
        return [vocabulary.text([token]) for token in range(size)]
    texts = [piece.decode("utf-8", "replace") for piece in vocabulary.texts.pieces[:size]]
    return texts + [""] * (size - len(texts))
