"""Shares of what is no prose: symbols, digits, addresses.

"%%% @@ ## ~~~ ^^ |||| ####"       {"reason": "symbols", "score": 1.0, "bound": 0.2}
"0800 1234 5678 9911 2203 4410"    {"reason": "digits", "score": 1.0, "bound": 0.5}
"https://a.org https://b.org x"    {"reason": "urls", "score": 0.9667, "bound": 0.3}
"""
# ruff: noqa: RUF001 - quotation marks and dashes that look alike are all meant here

import re
from typing import Annotated

from pydantic import Field

from pipelines.rows import Fault
from pipelines.stages.heuristics.base import Check, Text, measured

Share = Annotated[float, Field(ge=0, le=1)]

_SYMBOLS = re.compile(r"(?:(?![.,;:!?'\"()\-–—…‘’“”«»„¿¡、。!?「」『』,])[^\w\s]|_)+")
_DIGITS = re.compile(r"\d+(?:[.,:]\d+)*")
_URL = re.compile(r"(?:https?://|www\.)[^\s)>\]]+")


class Symbols(Check):
    """Characters that are neither letters nor digits nor punctuation of prose.

    Attributes:
        max_share: The most of them among all characters but white space, 0 to 1; code left out.
        min_chars: Texts with fewer characters are not measured: "3 + 4 = 7" is fine.
    """

    max_share: Share = 0.2
    min_chars: Annotated[int, Field(ge=1)] = 20

    def find(self, text: Text) -> Fault | None:
        """`symbols`, with the longest run of them."""
        total = sum(map(len, text.prose.split()))
        runs = _SYMBOLS.findall(text.prose)
        share = sum(map(len, runs)) / max(1, total)
        if total < self.min_chars or share <= self.max_share:
            return None
        return Fault("symbols", measured("share", share, self.max_share, max(runs, key=len)))


class Digits(Check):
    """Digits.

    Attributes:
        max_share: The most of them among letters and digits, 0 to 1; code left out.
        min_chars: Texts with fewer letters and digits are not measured: an answer may be a year.
    """

    max_share: Share = 0.5
    min_chars: Annotated[int, Field(ge=1)] = 20

    def find(self, text: Text) -> Fault | None:
        """`digits`, with the longest number."""
        total = sum(map(str.isalnum, text.prose))
        share = sum(map(str.isdigit, text.prose)) / max(1, total)
        if total < self.min_chars or share <= self.max_share:
            return None
        longest = max(_DIGITS.findall(text.prose), key=len)
        return Fault("digits", measured("share", share, self.max_share, longest))


class Urls(Check):
    """Addresses of the web.

    Attributes:
        max_share: The most of their characters among all but white space, 0 to 1.
        max_count: The most addresses.
    """

    max_share: Share = 0.3
    max_count: Annotated[int, Field(ge=0)] | None = None

    def find(self, text: Text) -> Fault | None:
        """`urls`, with the longest address."""
        urls = _URL.findall(text.content)
        if not urls:
            return None
        longest = max(urls, key=len)
        share = sum(map(len, urls)) / sum(map(len, text.content.split()))
        if share > self.max_share:
            return Fault("urls", measured("share", share, self.max_share, longest))
        if self.max_count is not None and len(urls) > self.max_count:
            return Fault("urls", measured("count", len(urls), self.max_count, longest))
        return None
