"""Where the tokens of a text begin and end, in characters; loads a tokenizer and no model.

spans = open_tokenizer(ModelSpec(model="embedded"))
spans.spans("Hello there")      # [(0, 5), (5, 11)]
spans.count("Hello there")      # 2
"""

import re
from pathlib import Path
from typing import Any, Protocol

from prompts.errors import ModelError

WORD = re.compile(r"\w+|[^\w\s]")


class TokenSpans(Protocol):
    """Counts and locates the tokens of a text."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        """(first, last + 1) character of each token; special tokens are left out."""

    def count(self, text: str) -> int:
        """Number of tokens, special ones left out."""


class WordSpans:
    """Words and punctuation marks, for models whose tokenizer is not at hand."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        """(first, last + 1) character of each word or mark."""
        return [match.span() for match in WORD.finditer(text)]

    def count(self, text: str) -> int:
        """Number of words and marks."""
        return len(self.spans(text))


class FileSpans:
    """A tokenizer.json, read by the `tokenizers` library."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def spans(self, text: str) -> list[tuple[int, int]]:
        """(first, last + 1) character of each token."""
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        return [(int(start), int(stop)) for start, stop in encoded.offsets]

    def count(self, text: str) -> int:
        """Number of tokens."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


def load_spans(folder: Path) -> TokenSpans:
    """The tokenizer of a model folder.

    Raises:
        ModelError: There is none, or it tells no character offsets.
    """
    file = folder / "tokenizer.json"
    if not file.is_file():
        return _from_transformers(folder)
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as exc:
        fix = "copy or download the model again"
        raise ModelError(f"the tokenizer is damaged: {exc}", fix=fix, file=file) from exc
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return FileSpans(tokenizer)


def _from_transformers(folder: Path) -> TokenSpans:
    """Tokenizers in older formats, as transformers converts them."""
    from chains.models.hugging_face import load_tokenizer

    backend = getattr(load_tokenizer(folder), "backend_tokenizer", None)
    if backend is None:
        problem = "its tokenizer tells no character offsets"
        raise ModelError(problem, fix="count tokens with a causal model's tokenizer", file=folder)
    return FileSpans(backend)
