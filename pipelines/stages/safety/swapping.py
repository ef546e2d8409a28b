"""Putting another group in the place of the one that a text names.

swap_gender("He lost his keys, and I called him.")  ->  "She lost her keys, and I called her."
swap_gender("Her dog saw her.")                     ->  "His dog saw him."
swap_forms("An American met me.", "nationality", "american", "german")
->  "A German met me."
"""

import re
from collections.abc import Callable
from functools import cache

from pipelines.stages.safety.group_terms import PAIRS, forms

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_NO_NOUN_BEHIND = """
    a an the this that these those and or but nor so yet if when while as because since though
    although to of in on at by for from with without about into onto over under after before
    during through between among against toward towards until upon across along around near off
    out up down away back again too also either then now there here today tomorrow yesterday
    tonight later soon once is was are were be been has had have do does did will would can
    could should may might must not never always often what who whom which where why how whether
    than how i you he she it we they me us them him some any no every each all both really very
    just only even still already alone anyway instead everything something anything nothing
    everyone someone anyone
"""
"""Words that follow an object and no possessive pronoun: saw her and, told her that."""
_GAP = re.compile(r"[ \u00a0]+(?=[\"'“‘(]?[^\W_])[\"'“‘(]?")  # noqa: RUF001
_ARTICLE = re.compile(r"\b(an?)(\s+)$", re.I)
Chooser = Callable[[str, str], str]

_VOWEL = re.compile(r"[aeiou]", re.I)
_Y_SOUND = re.compile(r"eu|uk|uni|use", re.I)


def swap_gender(text: str) -> str:
    """`text` with words for women and men exchanged; names stay."""
    return _replaced(text, lambda word, rest: _other_gender(word, rest))


def swap_forms(text: str, category: str, group: str, other: str) -> str:
    """`text` with the words for one group of a category replaced by those for another."""
    table = dict(zip(forms(category)[group], forms(category)[other], strict=True))
    return _replaced(text, lambda word, rest: table.get(word, ""))


def _replaced(text: str, choose: Chooser) -> str:
    parts: list[str] = []
    at = 0
    for match in _WORD.finditer(text):
        word = match[0]
        new = choose(word.lower(), text[match.end() : match.end() + 40])
        if not new:
            continue
        before = text[at : match.start()]
        parts += [_with_article(before, new), _cased(new, word)]
        at = match.end()
    return "".join([*parts, text[at:]])


def _other_gender(word: str, rest: str) -> str:
    if word == "her":
        return "his" if _owns(rest) else "him"
    if word == "his":
        return "her" if _owns(rest) else "hers"
    return _gender_table().get(word, "")


def _owns(rest: str) -> bool:
    """Whether a noun follows, so that the pronoun before it is a possessive one."""
    gap = _GAP.match(rest)
    if gap is None:
        return False
    following = _WORD.match(rest, gap.end())
    return following is None or following[0].lower() not in _followers()


def _with_article(before: str, new: str) -> str:
    """`before` with the article at its end fitted to the word that comes now."""
    article = _ARTICLE.search(before)
    if article is None:
        return before
    vowel = _VOWEL.match(new) is not None and _Y_SOUND.match(new) is None
    fitting = "an" if vowel else "a"
    kept = fitting.capitalize() if article[1][0].isupper() else fitting
    return before[: article.start()] + kept + article[2]


def _cased(new: str, like: str) -> str:
    """`new` in the case of `like`."""
    if like.isupper() and len(like) > 1:
        return new.upper()
    return new.capitalize() if like[0].isupper() else new


@cache
def _followers() -> frozenset[str]:
    return frozenset(_NO_NOUN_BEHIND.split())


@cache
def _gender_table() -> dict[str, str]:
    table = {"him": "her", "hers": "his", "mrs": "mr", "miss": "mr", "mister": "miss"}
    for pair in PAIRS:
        male, female = pair.split()
        table.setdefault(male, female)
        table.setdefault(female, male)
    return table
