"""Stop strings, found in the text and not in the tokens: one may begin in the midst of a token.

stops = StopStrings(("###",), decode)
stops.cut([415, 77, 12], min_tokens=0)   # "Blue. " where the text is "Blue. ##" + "# next"
"""

from collections.abc import Callable, Sequence

REPLACEMENT = "\ufffd"


class StopStrings:
    """Looks for the stop strings of a call in the text of a growing reply.

    Args:
        stop: The strings; none of them empty.
        decode: Token ids to text.
    """

    def __init__(self, stop: tuple[str, ...], decode: Callable[[Sequence[int]], str]) -> None:
        self._stop = stop
        self._decode = decode
        # A character takes four tokens at most (its bytes), so that a stop string which the last
        # token completes lies within this many.
        self._tail = 4 * max((len(text) for text in stop), default=0) + 8

    def cut(self, tokens: Sequence[int], min_tokens: int) -> str | None:
        """The text before the first stop string; None while there is none.

        One that is complete within the first `min_tokens` tokens is part of the reply.
        """
        if not self._stop:
            return None
        tail = self._decode(tokens[-self._tail :])
        if not any(text in tail for text in self._stop):
            return None
        whole = self._decode(tokens)
        spared = len(self._decode(tokens[:min_tokens])) if min_tokens else 0
        places = [whole.find(text, max(0, spared - len(text) + 1)) for text in self._stop]
        found = [place for place in places if place >= 0]
        return whole[: min(found)] if found else None

    def cut_off(self, text: str) -> str:
        """`text` without the torso of a character that a reply cut by its length may end in."""
        return text.rstrip(REPLACEMENT)
