"""Text that stops before its end: cut at max_tokens, or given up.

    "It opens at nine. The ticket off"      {"rule": "sentence", "found": "The ticket off"}
    "We need flour, eggs and"               {"rule": "last_word", "found": "and"}
    "It opens at nine (on Sundays at ten."  {"rule": "bracket", "found": "(on Sundays at ten."}
    "The museum"                            None: a title, a name, an answer of two words

A text that has no finished sentence at all may be a heading, a caption or a short answer: it is
rejected for its end only where `punctuation` is `always`, or it ends with a word or mark that
something has to follow. So is the last item of a list, a line of code, and an address.
"""
# ruff: noqa: RUF001 - quotation marks and dashes that look alike are all meant here

import re
from collections.abc import Sequence
from typing import Literal

from chains.text.sentences import cut_to_finished, finished, open_quote
from pipelines.rows import Fault
from pipelines.stages.heuristics.base import Check, Text, shown

_NEVER_LAST = re.compile(
    r"(?<![\w'’-])(?:the|an|and|or|nor|but|because|although|whereas|unless|whose|my|your|our|their"
    r"|its|e\.g\.|i\.e\.|und|oder|aber|weil|sondern|et|mais|parce que|porque|pero)\Z|[,:(\[{–—-]\Z",
    re.I,
)
_ITEM = re.compile(r"(?:[-*•‣–+]|\(?\d{1,3}[.):]|\(?[A-Za-z][.)])\s+\S|\|.*\||#{1,6} ")
_BARE_MARK = re.compile(r"\n[ \t]*(?:[-*•‣+]|\(?\d{1,3}[.)]|#{1,6})[ \t]*\Z")
_FENCE = re.compile(r"(?m)^[ \t]*(?:```|~~~)")
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+\Z|\S+@\S+\.\w+\Z")
_LETTERS = re.compile(r"[^\W\d_]")
_EMOTICON = re.compile(r"(?<!\w)[:;=]['-]?[()]")
# Behind the last sentence: a note in brackets, hashtags.
_AFTERTHOUGHT = re.compile(
    r"(?<!\s)\s*(?:\[[^\[\]\n]{1,60}\]|\([^()\n]{1,80}\)|(?<=[.!?]):\d[\d:,–-]*"
    r"|(?:[\s|]*[#@]\w+)+[\"”]?)\Z"
)
_QUOTED_BRACKET = re.compile(r"([\"'])[()\[\]{}]\1")
_OPEN, _CLOSED = "([{", ")]}"
_TAIL = 200  # characters at the end in which a last word, a note or an address is looked for
_OPENED_EARLY = 400  # characters before the end: a bracket left open before that is a slip
_LINE_WORDS = 12  # a last line of so few words may be a verse or an item, if the one before is too
_SIGNATURE = 3  # words


class Unfinished(Check):
    """Text without its end.

    Attributes:
        punctuation: When the last sentence must be finished: `auto`, where an earlier one is;
            `always`; or `never`.
        brackets: A bracket near the end must be closed, and a fence of code anywhere.
        quotes: So must a quotation mark in the last paragraph. Off, for sentences that were taken
            out of a longer speech often have one half of the pair.
    """

    punctuation: Literal["auto", "always", "never"] = "auto"
    brackets: bool = True
    quotes: bool = False

    def find(self, text: Text) -> Fault | None:
        """`unfinished`, with the rule and how the text ends."""
        for rule, found in (
            ("fence", self._open_fence(text)),
            ("list_mark", _found(_BARE_MARK, f"\n{text.content}")),
            ("last_word", self._last_word(text)),
            ("sentence", self._open_sentence(text)),
            ("bracket", self._open_bracket(text)),
            ("quote", self._open_quotation(text)),
        ):
            if found:
                return Fault("unfinished", {"rule": rule, "found": shown(found)})
        return None

    def _open_fence(self, text: Text) -> str:
        fences = _FENCE.findall(text.content)
        return fences[-1].strip() if self.brackets and len(fences) % 2 else ""

    def _last_word(self, text: Text) -> str:
        if self.punctuation == "never" or _ends_in_code(text):
            return ""
        return _found(_NEVER_LAST, text.content[-_TAIL:])

    def _open_sentence(self, text: Text) -> str:
        if self.punctuation == "never" or not text.content or finished(text.content):
            return ""
        if finished(text.content[:-_TAIL] + _AFTERTHOUGHT.sub("", text.content[-_TAIL:])):
            return ""
        rest = text.content[len(cut_to_finished(text.content)) :]
        if self.punctuation == "always":
            return rest
        whole = rest == text.content
        return "" if whole or _ends_in_code(text) or _needs_no_end(text.lines, rest) else rest

    def _open_bracket(self, text: Text) -> str:
        if not self.brackets:
            return ""
        prose = _QUOTED_BRACKET.sub("   ", _EMOTICON.sub("  ", text.prose.rstrip()))
        opened: list[int] = []
        for place, character in enumerate(prose):
            if character in _OPEN:
                opened.append(place)
            elif character in _CLOSED and opened:
                opened.pop()
        late = [place for place in opened if len(prose) - place <= _OPENED_EARLY]
        return prose[late[-1] :] if late else ""

    def _open_quotation(self, text: Text) -> str:
        last = text.prose.rstrip().rpartition("\n\n")[2]
        mark = open_quote(re.sub(r"(?<=\d)[\"”]", "", last)) if self.quotes else ""  # 5" is inches
        return last[max(last.rfind('"'), last.rfind("“")) :] if mark else ""


def _needs_no_end(lines: Sequence[str], rest: str) -> bool:
    """Whether the last line may stand without a full stop: an item, a verse, a signature."""
    line = lines[-1]
    if _ITEM.match(line) or _ADDRESS.search(line[-_TAIL:]) or not _LETTERS.search(rest):
        return True
    count = len(line.split())
    own = len(lines) > 1 and len(rest.strip()) >= len(line)
    like_others = own and not finished(lines[-2]) and count <= _LINE_WORDS
    return like_others or (own and count <= _SIGNATURE)


def _ends_in_code(text: Text) -> bool:
    return text.content[-1:] in "`" or not text.prose.rstrip().endswith(text.content[-8:])


def _found(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found.group().strip() if found else ""
