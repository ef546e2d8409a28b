"""The text of a growing reply, a token at a time, at a cost that does not grow with it.

    text = GrowingText(vocabulary.decode)
    text.add(415).add(77).text          # "Blue sk"

Tokens cannot be decoded one by one: a character may be spread over several, and some tokenizers
drop the space in front of the first token they are given. So the last few are decoded together,
behind one that is known.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from chains.decoding.stopping import REPLACEMENT

_TAIL = 16
"""Tokens that are decoded together at most, unless a character is still incomplete."""


@dataclass(frozen=True, slots=True)
class GrowingText:
    """The text of some tokens.

    Attributes:
        decode: Token ids to text.
        text: Of all tokens; the torso of a character at its end shows as U+FFFD.
    """

    decode: Callable[[Sequence[int]], str]
    text: str = ""
    _settled: str = ""
    _tail: tuple[int, ...] = ()
    _known: int = 0

    def add(self, token: int) -> "GrowingText":
        """The text with one token more."""
        tail = (*self._tail, token)
        text = self._settled + self.decode(tail)[self._known :]
        longer = replace(self, text=text, _tail=tail)
        return longer if len(tail) < _TAIL else longer._anchored()

    def _anchored(self) -> "GrowingText":
        """The same text, its last token alone kept to decode the next ones behind."""
        last = self.decode(self._tail[-1:])
        if self.text.endswith(REPLACEMENT) or REPLACEMENT in last:
            return self
        return replace(self, _settled=self.text, _tail=self._tail[-1:], _known=len(last))
