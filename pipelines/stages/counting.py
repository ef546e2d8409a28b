"""Tokens of a text, by the tokenizer of one of the job's models; the model itself is not loaded.

count_tokens(context, "writer", "Hello there")     # 2
"""

from functools import partial
from typing import TYPE_CHECKING

from pipelines.stages.base import Context

if TYPE_CHECKING:
    from chains.models import TokenSpans


def count_tokens(context: Context, model: str, text: str) -> int:
    """How many tokens the text has; the tokenizer is opened once a stage and run."""
    tokenizer = context.shared(f"tokenizer {model}", partial(_open_tokenizer, context, model))
    return tokenizer.count(text)


def _open_tokenizer(context: Context, model: str) -> "TokenSpans":
    from chains.models import open_tokenizer

    return open_tokenizer(context.spec(model))
