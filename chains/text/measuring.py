"""How long a text is: in words, sentences, or the tokens of a tokenizer.

measure("It's a well-known cat.", "words")       # 4
measure("One. Two! Thr", "sentences")            # 3
"""

import re
from collections.abc import Callable
from typing import Literal

from chains.text.sentences import sentences

Unit = Literal["words", "tokens", "sentences"]
CountTokens = Callable[[str], int]

# Scripts without spaces between words: each character counts as a word, as in word processors.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_PIECE = re.compile(rf"[{_UNSPACED}]|[^\s—…{_UNSPACED}]+")
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")


def words(text: str) -> list[str]:
    """The words of `text` with the punctuation that touches them; what they are, `measure` says."""
    return [piece for piece in _PIECE.findall(text) if _LETTER_OR_DIGIT.search(piece)]


def measure(text: str, unit: Unit, count_tokens: CountTokens | None = None) -> int:
    """The length of `text` in `unit`.

    A word is a piece between white space (or dashes set as —) with a letter or a digit in it; a
    Chinese character or a Japanese kana is one word. Sentences are counted by
    `chains.text.sentences`; an unfinished one at the end counts.

    Raises:
        ValueError: The unit is tokens and there is no `count_tokens`.
    """
    if unit == "words":
        return len(words(text))
    if unit == "sentences":
        return len(sentences(text))
    if count_tokens is None:
        raise ValueError("to count tokens, give count_tokens")
    return count_tokens(text)
