"""Texts as they are compared: what a reader would call the same reads the same.

normalised("“Don’t  STOP!”")  ->  "don't stop"
normalised("-3.5 in C++?")    ->  "-3.5 in c++"
"""
# ruff: noqa: RUF001, RUF002 - the marks that look alike are folded into one here

import re
import unicodedata

_FOLDED = str.maketrans("’‘“”«»–—", '\'\'""""--')
_CLOSING = re.compile(r"[\"',.;:!?…¿¡。、，！？；：؟،۔।]+(?!\w)")
_OPENING = re.compile(r"[\"'¿¡](?<!\w[\"'¿¡])[\"'¿¡]*")
# Each begins with a set of characters, which the engine skips ahead to: half the time of one
# expression with both.


def normalised(text: str) -> str:
    """NFKC, case folded, without quotation marks and closing punctuation, single spaces.

    Signs inside a word or before a number stay: 3.5, don't, C++, -4. A text of nothing but
    punctuation keeps it.
    """
    if text.isascii():
        folded = text.lower()
    else:
        folded = unicodedata.normalize("NFKC", text).casefold().translate(_FOLDED)
    bare = " ".join(_OPENING.sub(" ", _CLOSING.sub(" ", folded)).split())
    return bare or " ".join(folded.split())
