"""Bans that depend on the text so far: words that never come, token sequences that never repeat.

    decoding: {strategy: greedy, bad_words: ["as an AI", delve], no_repeat_ngram_size: 4}

"As an" + " A" + "I" is stopped at "I", "De" + "lve" at "lve", " DELVE" and " delve." at once;
" delved" may come as one token.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from chains.decoding.guide import Guide, GuideSettings
from chains.decoding.token_texts import TokenTexts, fold

if TYPE_CHECKING:
    import torch

    from chains.decoding.search import Generated, Vocabulary

Gram = tuple[int, ...]


class NoRepeatNgram(GuideSettings):
    """No sequence of `size` tokens comes twice (`no_repeat_ngram_size` of transformers).

    The prompt counts as well as the reply, but for an encoder-decoder model, whose reply does not
    continue its prompt. End tokens are never banned, or a chat's own turns would keep a reply from
    ending.

    Attributes:
        size: Tokens of a sequence; 1 lets every token come once.
    """

    kind: Literal["no_repeat_ngram"] = "no_repeat_ngram"
    size: int

    def open(self, vocabulary: "Vocabulary", prompt: Sequence[int]) -> "Unrepeated":
        """A guide that knows the prompt."""
        tokens = tuple(prompt) if vocabulary.continues else ()
        grams: dict[Gram, Gram] = {}
        for stop in range(self.size, len(tokens) + 1):
            _enter(grams, tokens[stop - self.size : stop])
        last = tokens[max(0, len(tokens) - self.size + 1) :]
        return Unrepeated(self.size, vocabulary.ends, grams, {}, last)


class Unrepeated(Guide):
    """What has been said.

    Args:
        size: Tokens of a sequence.
        ends: End tokens.
        read: The prompt's sequences: all tokens but the last -> the last ones that followed.
        said: The same of those that the reply completed.
        last: The last `size - 1` tokens, or as many as there are.
    """

    def __init__(
        self,
        size: int,
        ends: frozenset[int],
        read: dict[Gram, Gram],
        said: dict[Gram, Gram],
        last: Gram,
    ) -> None:
        self._size = size
        self._ends = ends
        self._read = read
        self._said = said
        self._last = last

    def banned(self) -> set[int]:
        """Tokens that would repeat a sequence."""
        return {*self._read.get(self._last, ()), *self._said.get(self._last, ())} - self._ends

    def steer(self, scores: "torch.Tensor") -> None:
        """Ban them."""
        if banned := self.banned():
            scores[sorted(banned)] = float("-inf")

    def follow(self, token: int) -> "Unrepeated":
        """One sequence more."""
        tokens = (*self._last, token)
        said = self._said
        if len(tokens) == self._size:
            said = dict(said)
            _enter(said, tokens)
            tokens = tokens[1:]
        return Unrepeated(self._size, self._ends, self._read, said, tokens)


def _enter(grams: dict[Gram, Gram], tokens: Gram) -> None:
    *before, last = tokens
    key = tuple(before)
    grams[key] = (*grams.get(key, ()), last)


class BadWords(GuideSettings):
    """Words and phrases that never stand in the text, in any casing and any tokenisation.

    A word is found where it stands by itself: "cat" not in "concatenate" (`contains_word` says
    where words end). A token is banned when the text would then end in the word or hold it, so that
    a longer word which begins with it can only come by a token that holds more than it: nothing
    ever has to be taken back.

    Attributes:
        words: None of them empty.
    """

    kind: Literal["bad_words"] = "bad_words"
    words: tuple[str, ...]

    def open(self, vocabulary: "Vocabulary", prompt: Sequence[int]) -> "Worded":
        """A guide at the beginning of a text, which the prompt's does not run into.

        Raises:
            ValueError: The model's tokens are not known.
        """
        return Worded(_index(self.words, vocabulary.texts), "", b"")


class Worded(Guide):
    """A text as far as words may still be unfinished in it.

    Args:
        index: The words.
        tail: The end of the text, its case folded.
        rest: Bytes of a character that is not complete.
    """

    def __init__(self, index: "WordIndex", tail: str, rest: bytes) -> None:
        self._index = index
        self._tail = tail
        self._rest = rest

    def steer(self, scores: "torch.Tensor") -> None:
        """Ban the tokens that would complete a word."""
        for banned in self._index.banned(self._tail, self._rest, scores):
            scores[banned] = float("-inf")

    def follow(self, token: int) -> "Worded":
        """The text with a token more."""
        if token >= len(self._index.texts.pieces):
            return self
        text, rest = fold(self._rest + self._index.texts.pieces[token])
        tail = (self._tail + text)[-self._index.longest :]
        return Worded(self._index, tail, rest)

    def finish(self, generated: "Generated") -> "Generated":
        """The reply; an error should a stop string have cut a longer word to a bad one."""
        from chains.decoding.search import Generated

        for word in self._index.words:
            if contains_word(generated.text, word):
                error = f"bad_word: the text was cut in a word, which left {word!r}"
                return Generated("", "error", generated.tokens, generated.logprob, error)
        return generated


@lru_cache(maxsize=8)
def _index(words: tuple[str, ...], texts: TokenTexts) -> "WordIndex":
    return WordIndex(words, texts)


class WordIndex:
    """Which tokens complete which words; computed once for some words and a vocabulary.

    Args:
        words: As they are written.
        texts: Of the vocabulary.
    """

    def __init__(self, words: tuple[str, ...], texts: TokenTexts) -> None:
        self.texts = texts
        self.words = sorted({word.casefold() for word in words})
        self.longest = max(map(len, self.words))
        self._within, self._at_start = self._holding()
        self._rests: dict[str, list[str]] = {}
        for word in self.words:
            for place in range(1, len(word)):
                self._rests.setdefault(word[:place], []).append(word[place:])
        self._tensors: dict[str, torch.Tensor] = {}

    def _holding(self) -> tuple[list[int], list[int]]:
        """Tokens that hold a whole word wherever they stand; and where no letter comes before."""
        within, at_start = [], []
        for token, (text, _) in enumerate(self.texts.folded):
            found = [word for word in self.words if word in text and contains_word(text, word)]
            if any(contains_word(text, word, before="x") for word in found):
                within.append(token)
            if found:
                at_start.append(token)
        return within, at_start

    def banned(self, tail: str, rest: bytes, scores: "torch.Tensor") -> "list[torch.Tensor]":
        """Tokens that may not come behind a text, int64 [any number] each.

        Args:
            tail: The end of the text, folded, at least `longest` characters if it has so many.
            rest: Bytes behind it that are no character yet.
            scores: Of the next token, [vocabulary].
        """
        before = tail + "\ufffd" if rest else tail  # what becomes of bytes that are not continued
        if _joins(before[-1:]):
            found = [self._tensor("within", self._within, scores)]
        else:
            found = [self._tensor("at start", self._at_start, scores)]
        for end in self._ends(before):
            found.append(self._tensor(f"rest {end}", self._completing(end), scores))
        if rest:
            found.append(self._tensor("", self._continuing(tail, rest), scores))
        return found

    def _ends(self, tail: str) -> list[str]:
        """What is left of the words that the text ends in the midst of."""
        found: list[str] = []
        for length in range(1, min(self.longest, len(tail) + 1)):
            start = tail[-length:]
            if start in self._rests and not _joined(tail[-length - 1 : -length], start[0]):
                found += self._rests[start]
        return found

    def _completing(self, end: str) -> list[int]:
        tokens = self.texts.beginning(end)
        size, folded = len(end), self.texts.folded
        return [t for t in tokens if not _joined(end[-1], folded[t].text[size : size + 1])]

    def _continuing(self, tail: str, rest: bytes) -> list[int]:
        """Of the tokens that go on with the bytes of a character, those that complete a word."""
        found = []
        for token in self.texts.inner:
            text = tail + fold(rest + self.texts.pieces[token]).text
            if any(contains_word(text, word) for word in self.words):
                found.append(token)
        return found

    def _tensor(self, name: str, tokens: list[int], scores: "torch.Tensor") -> "torch.Tensor":
        """As indices, kept under the name."""
        import torch

        if name in self._tensors:
            return self._tensors[name]
        known = [token for token in tokens if token < len(scores)]
        made = torch.tensor(known, dtype=torch.long, device=scores.device)
        if name:
            self._tensors[name] = made
        return made


def contains_word(text: str, word: str, before: str = "") -> bool:
    """Whether `word` stands in a text by itself, in any casing.

    It does where its first and last letter touch no further letter, digit or underscore. Letters of
    scripts without case (Chinese, Thai, Hebrew, ...) never join: there a word is found anywhere.

    Args:
        text: Any text.
        word: Not empty.
        before: What stands before the text.
    """
    text, word = text.casefold(), word.casefold()
    place = text.find(word)
    while place >= 0:
        left = text[place - 1] if place else before[-1:]
        stop = place + len(word)
        if not _joined(left, word[0]) and not _joined(word[-1], text[stop : stop + 1]):
            return True
        place = text.find(word, place + 1)
    return False


def _joined(left: str, right: str) -> bool:
    """Whether two neighbouring characters belong to one word; either may be missing."""
    return _joins(left) and _joins(right)


def _joins(character: str) -> bool:
    cased = character.lower() != character.upper()
    return cased or character == "_" or character.isdigit()
