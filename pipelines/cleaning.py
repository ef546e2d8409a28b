r"""What chat models wrap around a text, taken off again.

    Cleaning().clean('Sure! Here is a question:\n\n**Question:** "When does it open?" I hope th')
    ->  Cleaned('When does it open?', changed=("boilerplate", "quotes", "ending"))

Five operations, each with a switch: whitespace, markup, boilerplate, quotes, ending. Only what
surrounds the text is touched; what stands inside it stays as it is.
"""
# ruff: noqa: RUF001 - quotation marks, dashes and spaces that look alike are all meant here

import re
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from chains.text.sentences import cut_to_finished, sentences

ROUNDS = 8  # "Sure! ...:" over "Answer:" over a list mark over quotes: far more than models stack
TAIL = 400  # characters at the end that are looked at for closing phrases

_ASSENT = r"(?:sure(?: thing)?|certainly|of course|absolutely|definitely|okay|ok|got it|no problem)"
_OFFER = (
    r"(?:here(?:['’]s| is| are| you go| it is)|below (?:is|are)|the following (?:is|are)|this is"
    r"|i can|let me|i['’](?:ve|ll)|i have|i will)"
)
_GLAD = r"i(?:['’]d| would) be (?:happy|glad) to (?:help|assist)\b[^\n:.!]{0,80}[.!:]\s*"
_NOUN = (
    r"(?:questions?|answers?|reply|response|paraphrases?|rewrite|rewording|rephrasing|version|text"
    r"|variants?|sentences?|translation|reviews?|instructions?|summary|statement|passage|paragraph"
    r"|examples?|output|result|description|title|sample|draft|suggestion|alternative|option|request"
    r"|task|query)"
)
_REWORKED = (
    r"(?:rewritten|rephrased|reworded|paraphrased|translated|revised|english|french|german|spanish"
    r"|italian|portuguese|dutch)"
)
_ROLE = r"(?:user|assistant|human|system|ai|bot|chatbot)"

_ANNOUNCED = re.compile(
    rf"{_ASSENT}[!.,]*\s*(?:{_OFFER}\b[^\n:.!?]{{0,160}}:\s*|{_GLAD}(?:{_OFFER}\b[^\n:.!?]{{0,160}}:\s*)?)",
    re.I,
)
_OFFERED = re.compile(
    r"(?:here(?:['’]s| is| are)|below (?:is|are)|the following (?:is|are))\b"
    rf"(?=[^\n:.!?]{{0,160}}\b{_NOUN}\b)[^\n:.!?]{{0,160}}:\s*",
    re.I,
)
_ASSENTED = re.compile(rf"(?:(?:sure|certainly)!\s+|{_ASSENT}[!.,]?[^\S\n]*\n\s*)(?=\S)", re.I)
_LABEL = re.compile(
    r"[*_#]{0,4}[^\S\n]?(?:the |your |my )?"
    rf"(?:{_ROLE}|q|a|(?:(?:new|final|possible|sample|original|improved|short)\s+)?"
    rf"(?!title|description){_NOUN}"
    rf"|{_REWORKED}(?:\s+{_NOUN})?)"
    r"(?:\s*#?\d{1,3})?[*_]{0,3}\s?:[*_]{0,3}\s*",
    re.I,
)
_NEXT_TURN = re.compile(rf"\n[^\S\n]*[*_#]{{0,4}}{_ROLE}[*_]{{0,2}}\s?:", re.I)
_NEXT_QUESTION = re.compile(r"\n[^\S\n]*[*_#]{0,4}(?:question|q)\s?\d{0,3}[*_]{0,2}\s?:", re.I)
_NEXT_ANSWER = re.compile(r"\n[^\S\n]*[*_#]{0,4}(?:answer|a)\s?\d{0,3}[*_]{0,2}\s?:", re.I)
_DIALOGUE = re.compile(
    r"[*_#]{0,4}(?:(?:user|human)[*_]{0,2}\s?:.*\n[*_#]{0,4}(?:assistant|ai|bot)[*_]{0,2}\s?:"
    r"|a[*_]{0,2}\s?:.*\n[*_#]{0,4}b[*_]{0,2}\s?:)",
    re.I,
)
_SPECIAL = re.compile(
    r"<\|[a-z_]{1,30}\|>(?:\s*(?:assistant|user|system)\b)?|\[/?INST\]|<</?SYS>>", re.I
)
_CLOSING = re.compile(
    r"\W*(?:(?:i )?hope (?:this|that|it|these) "
    r"(?:\w+ )?(?:helps?|is helpful|was helpful|answers?|clarif|meets|works|gives)\b.*"
    r"|(?:please )?let me know (?:if|what)\b.*\b(?:help|questions?|else|changes?|more|further"
    r"|assist\w*|adjust\w*|you(?:['’]d| would) like)\b.*"
    r"|(?:please )?(?:feel free|don['’]t hesitate) to (?:ask|reach out|contact me|let me know"
    r"|adjust|modify|customi[sz]e)\b.*"
    r"|if you (?:have|need|would)\b.{0,160}\b(?:hesitate|feel free|let me know)\b.*"
    r"|is there anything else\b.*)",
    re.I | re.S,
)
_FENCED = re.compile(r"(`{3,}|~{3,})[^\n`]{0,40}\n(.*?)(?:\n[ \t]*\1|\Z)", re.S)
_ITEM = re.compile(r"(?:[-*•‣–]|\(?\d{1,2}[.)]|#{1,6})[^\S\n]+(?=\S)")
_LATER_ITEM = re.compile(r"\n[^\S\n]*(?:[-*•‣–]|\(?\d{1,3}[.)])[^\S\n]+\S")
_EMPHASIS = re.compile(r"(\*{1,3})(?=[^\s*])([^*]*[^\s*])\1")
_QUOTES = tuple(map(tuple, ('""', "“”", "''", "‘’", "«»", "„“", "「」", "``")))
_APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")
_INVISIBLE = re.compile("[\u200b\u2060\ufeff\u00ad\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_LINE_BREAK = re.compile("\r\n?|[\u0085\u2028\u2029]")
_WIDE_SPACE = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_INNER_SPACE = re.compile(r"(?<=\S)[ \t]+(?=\S)")


class Cleaned(NamedTuple):
    """A cleaned text and the names of the operations that changed it, in their order."""

    text: str
    changed: tuple[str, ...]


class Cleaning(BaseModel):
    """Which operations are done: all, unless switched off.

    Attributes:
        whitespace: Line breaks become a newline, other white space one space, at most one blank
            line is left, and invisible characters go. The indentation of later lines stays.
        markup: A Markdown fence or emphasis around the whole; the mark of a heading or a list where
            it has one line or item only.
        boilerplate: "Sure, here is ...:", labels such as "Question:" or "Assistant:", special
            tokens, further turns of a dialogue, "I hope this helps!" and the like at the end.
        quotes: Quotation marks around the whole, or a double one at an end that has no partner.
        ending: What follows the last finished sentence; nothing is left where none is finished.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    whitespace: bool = True
    markup: bool = True
    boilerplate: bool = True
    quotes: bool = True
    ending: bool = True

    def clean(self, text: str) -> Cleaned:
        """`text` after all operations that are switched on."""
        changed: set[str] = set()
        text = self._apply(("whitespace",), text, changed)
        text = self._unwrap(text, changed)
        text = self._apply(("ending",), text, changed)
        if "ending" in changed:  # what followed a closing quotation mark is gone
            text = self._unwrap(text, changed)
        return Cleaned(text, tuple(name for name in _OPERATIONS if name in changed))

    def _unwrap(self, text: str, changed: set[str]) -> str:
        for _ in range(ROUNDS):
            before, text = text, self._apply(("markup", "boilerplate", "quotes"), text, changed)
            if text == before:
                break
        return text

    def _apply(self, names: tuple[str, ...], text: str, changed: set[str]) -> str:
        for name in names:
            if getattr(self, name):
                before, text = text, _OPERATIONS[name](text)
                if text != before:
                    changed.add(name)
        return text


def normalise_whitespace(text: str) -> str:
    """One space between words, at most one blank line, no invisible characters."""
    text = _WIDE_SPACE.sub(" ", _INVISIBLE.sub("", _LINE_BREAK.sub("\n", text)))
    lines = [_INNER_SPACE.sub(" ", line.rstrip()) for line in text.split("\n")]
    return "\n".join(line for i, line in enumerate(lines) if line or lines[i - 1]).strip()


def strip_markup(text: str) -> str:
    """Without a fence or emphasis around the whole, and without the mark of a list's only item."""
    text = text.strip()
    fenced = _FENCED.fullmatch(text)
    if fenced and f"\n{fenced[1]}" not in fenced[2]:
        text = fenced[2].strip()
    item = _ITEM.match(text)
    if item and not _LATER_ITEM.search(text) and not (text[0] == "#" and "\n" in text):
        text = text[item.end() :]
    emphasised = _EMPHASIS.fullmatch(text)
    return emphasised[2] if emphasised else text


def strip_boilerplate(text: str) -> str:
    """Without announcements, labels, special tokens, further turns and closing offers of help."""
    turns = [turn for turn in _SPECIAL.split(text) if turn.strip()]
    text = turns[0].strip() if turns else ""
    for opening in (_ANNOUNCED, _OFFERED, _ASSENTED):
        text = _behind(opening, text)
    if not _DIALOGUE.match(text):
        text = _first_turn(_behind(_LABEL, text))
    return _strip_closings(text.strip())


def strip_quotes(text: str) -> str:
    """Without quotation marks around the whole, or a double one at an end that has no partner."""
    text = text.strip()
    for opening, closing in _QUOTES:
        inner = _APOSTROPHE.sub("", text[1:-1])
        around = len(text) > 1 and text.startswith(opening) and text.endswith(closing)
        if around and opening not in inner and closing not in inner:
            return text[1:-1].strip()
    if sum(map(text.count, '"“”')) == 1:
        if text[0] in '"“':
            return text[1:].lstrip()
        if text[-1] in '"”' and not text[-2:-1].isdigit():  # 5" is five inches
            return text[:-1].rstrip()
    return text


def announcement(text: str) -> str:
    """The phrase at the beginning that announces the rest, such as "Sure, here is a question:"."""
    found = (opening.match(text) for opening in (_ANNOUNCED, _OFFERED, _ASSENTED))
    return next((match.group() for match in found if match), "")


def closing(text: str) -> str:
    """The offer of help at the end, such as "I hope this helps!"; empty if that is all there is."""
    rest = _strip_closings(text)
    return text[len(rest) :].strip()


def _behind(opening: re.Pattern[str], text: str) -> str:
    found = opening.match(text)
    return text[found.end() :] if found else text


def _first_turn(text: str) -> str:
    """`text` up to a next turn or a next question; a question also ends where its answer begins."""
    for further in (_NEXT_TURN, _NEXT_QUESTION, _NEXT_ANSWER):
        found = further.search(text)
        before = text[: found.start()].rstrip() if found else ""
        if before and (further is not _NEXT_ANSWER or before.endswith(("?", "？"))):
            text = before
    return text


def _strip_closings(text: str) -> str:
    """Without closing phrases at the end, unless the text is nothing else."""
    for _ in range(ROUNDS):
        tail = sentences(text[-TAIL:])
        if not tail or not _CLOSING.fullmatch(tail[-1]):
            return text
        rest = text[: text.rindex(tail[-1])].rstrip()
        if not rest:
            return text
        text = rest
    return text


_OPERATIONS = {
    "whitespace": normalise_whitespace,
    "markup": strip_markup,
    "boilerplate": strip_boilerplate,
    "quotes": strip_quotes,
    "ending": cut_to_finished,
}
