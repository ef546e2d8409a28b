"""Where sentences end, by rules that need no model.

    sentences("Dr. Ruiz paid 3.50. He left.")  ->  ["Dr. Ruiz paid 3.50.", "He left."]
    finished("He left. Then the")              ->  False
    cut_to_finished("He left. Then the")       ->  "He left."
    ends_sentence("She met Dr.")               ->  False

A full stop ends a sentence where white space follows, unless it belongs to an abbreviation, an
initial or a list number; 。！？؟। and their like end one anywhere. A blank line or a new list item
ends one without any mark.
"""
# ruff: noqa: RUF001, RUF002 - marks of many scripts that look alike are what this module is about

import re
from collections.abc import Iterator
from itertools import pairwise

_SPACED = ".!?…‼⁇⁈⁉"  # marks that end a sentence only before white space
_ANYWHERE = "。！？｡؟۔।॥։።။"  # marks of scripts that may put no space behind them
_CLOSERS = "\"'”’»›)\\]}」』）】〉》*_`"
_OPENERS = "\"'“‘„«‹(\\[{「『（【〈《*_`¿¡"

_REACH = 300  # characters before a mark that may tell whether it ends a sentence

_CANDIDATE = re.compile(f"([{_SPACED}{_ANYWHERE}]+)([{_CLOSERS}]*)")
_NEXT_WORD = re.compile(rf"[\s{_OPENERS}\-–—]*(\w[\w'’]*)")
_LIST_MARK = r"(?:[-*•‣–]|\(?\d{1,3}[.)]|\(?[A-Za-z][.)])"
_LIST_NUMBER = re.compile(rf"(?:^|\n)[^\S\n]*{_LIST_MARK}\Z")
_LISTED = re.compile(rf"(?:^|\n)[^\S\n]*{_LIST_MARK}\s")
_BREAK = re.compile(rf"\n(?=[^\S\n]*(?:\n|{_LIST_MARK}\s))")
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
_ACRONYM = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEVER_FINAL = _words("""
    mr mrs ms mx dr prof rev hon st mt gen col maj capt cpt lt sgt cmdr gov pres sen rep messrs mme
    mlle sra vs viz cf approx ca e.g i.e eg ie resp incl esp z.b d.h u.a bzw p.ej
""")
_FINAL_BEFORE_CAPITAL = _words("""
    etc al inc ltd co corp llc jr sr a.m p.m est dept univ assn bros ph.d m.d b.a m.a usw ff
    ave blvd rd sq ft lb lbs oz min hr hrs sec temp
""")
_BEFORE_NUMBER = _words("""
    no nos nr vol vols fig figs eq eqs p pp ch art par pt ver
    jan feb mar apr jun jul aug sep sept oct nov dec
""")
_STARTERS = _words("""
    the a an this that these those there here he she it they we you i his her its their our my your
    in on at by for from with to as after before when while if since although though because but and
    or so yet however moreover then thus therefore what who where why how which some many most all
    no not one another each every both
""")


def sentences(text: str) -> list[str]:
    """The sentences of `text`, stripped; pieces without a letter or a digit are left out."""
    return [text[start:end] for start, end in sentence_spans(text)]


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Where the sentences of `text` stand: text[start:end] is what `sentences` gives."""
    borders = sorted({0, len(text), *_ends(text), *(m.end() for m in _BREAK.finditer(text))})
    spans = []
    for a, b in pairwise(borders):
        piece = text[a:b].strip()
        if _LETTER_OR_DIGIT.search(piece):
            start = b - len(text[a:b].lstrip())
            spans.append((start, start + len(piece)))
    return spans


def finished(text: str) -> bool:
    """Whether nothing but marks (an emoji, a bracket) follows the last sentence end."""
    last = _last_end(text, balanced=False)
    return last > 0 and not _LETTER_OR_DIGIT.search(text, last)


def cut_to_finished(text: str) -> str:
    """`text` up to its last finished sentence; empty where no sentence is finished.

    Of the sentence ends, the last one that leaves no quotation mark open is taken, if any does.
    """
    if finished(text):
        return text
    return text[: _last_end(text, balanced=True) or _last_end(text, balanced=False)].rstrip()


def ends_sentence(text: str) -> bool:
    """Whether a sentence ends where `text` does, even if a text should follow."""
    tail = text.rstrip()[-_REACH:]
    # Not "Dr." nor "1.": what follows them is looked at, and a capital article follows anything.
    return max(_ends(f"{tail} The"), default=0) == len(tail) > 0


def sentence_ends(text: str) -> list[int]:
    """The positions behind the sentence ends of `text`, closing quotation marks included."""
    return [*_ends(text)]


def open_quote(text: str) -> str:
    """The mark that closes the quotation which `text` leaves open; empty where none is open."""
    if text.count("“") > text.count("”"):
        return "”"
    return '"' if text.count('"') % 2 else ""


def _last_end(text: str, *, balanced: bool) -> int:
    last = 0
    straight = opened = seen = 0
    for end in _ends(text):
        if balanced:
            straight += text.count('"', seen, end)
            opened += text.count("“", seen, end) - text.count("”", seen, end)
            seen = end
            if straight % 2 or opened > 0:
                continue
        last = end
    return last


def _ends(text: str) -> Iterator[int]:
    """The position behind each mark, closing quotes and brackets included, that ends a sentence."""
    for found in _CANDIDATE.finditer(text):
        if _ends_sentence(text, found):
            yield found.end()


def _ends_sentence(text: str, found: re.Match[str]) -> bool:
    marks, closers = found.groups()
    if any(mark in _ANYWHERE for mark in marks):
        return True
    end = found.end()
    if end < len(text) and not text[end].isspace():
        return False  # 3.14, example.org, "wait...what"
    following = _NEXT_WORD.match(text, end)
    if _LIST_NUMBER.search(text, max(0, found.start() - 12), found.start() + 1):
        # "1. Apples"; a lone number at the end is one as well if the text is a list
        return following is None and not _LISTED.search(text, 0, found.start())
    if following is None:
        return True
    word = following[1]
    if (closers or "…" in marks or len(marks) > 1) and word[0].islower():
        return False  # "Really?" he asked; well... perhaps
    return marks != "." or not _abbreviates(text, found.start(), word)


def _abbreviates(text: str, stop: int, next_word: str) -> bool:
    """Whether the full stop at `stop` belongs to the word before it and not to the sentence."""
    before = text[max(0, stop - 24) : stop]
    pieces = before.split()
    if not pieces or before[-1].isspace():
        return False
    token = pieces[-1].lstrip("\"'“‘„«‹([{*_`")
    word = token.casefold()
    if word in _NEVER_FINAL:
        return True
    if word in _BEFORE_NUMBER and next_word[0].isdigit():
        return True
    if word in _FINAL_BEFORE_CAPITAL:
        return not next_word[0].isupper()
    if _ACRONYM.fullmatch(token) and (token[0].isupper() or "." in token):
        # J. Smith, the U.S. Army, the U.S. and Canada; but: the U.S. They
        return next_word[0].islower() or next_word.casefold() not in _STARTERS
    return False
