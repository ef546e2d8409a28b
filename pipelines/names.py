"""The proper names that a text names, as far as capital letters tell.

    names("In Oslo, Maria Weber of the UN met her.")  ->  {"oslo", "maria", "weber", "un"}
    kept("Maria flew to Oslo.", "To Oslo flew Maria.")  ->  (), ()
    kept("A Boston Terrier runs.", "A green dog runs.")  ->  ("boston", "terrier"), ()

A capital at the beginning of a sentence tells nothing; a word with a capital or a digit further
inside ("iPhone", "B52") is a name wherever it stands. English and languages that write like it.
"""

import re

from chains.text.sentences import sentences

_WORD = re.compile(r"[^\W\d_](?:[\w.&'’-]*\w)?")  # noqa: RUF001
_POSSESSIVE = re.compile(r"['’]s?\Z")  # noqa: RUF001
_OPENING = re.compile(r"\W*\w")
_QUOTED = '"“«:'
_NO_NAMES = frozenset({"i", "i'm", "i'll", "i've", "i'd", "mr", "mrs", "ms", "dr", "ok"})
_SHORTEST_STEM = 4
_TITLE_CASE = 0.6
"""From this share of capitalised words on, a text is a heading: its capitals tell nothing."""


def names(text: str) -> frozenset[str]:
    """All names in `text`, in lower case, without a possessive's ending; empty for a heading."""
    found: set[str] = set()
    if _is_heading(text):
        return frozenset()
    for sentence in sentences(text):
        for match in _WORD.finditer(sentence):
            word = match[0]
            begins = _begins(sentence, match.start())
            inner = any(c.isupper() for c in word[1:]) and not word.isupper()
            if inner or (word[0].isupper() and not begins) or (begins and _is_acronym(word)):
                found.add(_bare(word))
    return frozenset(found - _NO_NAMES)


def kept(original: str, variant: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the original that the variant lacks, and names that it adds, sorted.

    A name may change its ending: Germany and German are taken for the same.
    """
    before, after = _words(original), _words(variant)
    missing = tuple(sorted(name for name in names(original) if not _stands(name, after)))
    added = tuple(sorted(name for name in names(variant) if not _stands(name, before)))
    return missing, added


def _stands(name: str, words: frozenset[str]) -> bool:
    if name in words:
        return True
    return any(
        min(len(name), len(word)) >= _SHORTEST_STEM
        and (word.startswith(name[:-1]) or name.startswith(word[:-1]))
        for word in words
    )


def _words(text: str) -> frozenset[str]:
    whole = [_bare(word) for word in _WORD.findall(text)]
    return frozenset([*whole, *(part for word in whole for part in word.split("-"))])


def _bare(word: str) -> str:
    return _POSSESSIVE.sub("", word).replace(".", "").casefold()


def _is_acronym(word: str) -> bool:
    return len(word) > 1 and word.isupper() and len(word.replace(".", "")) > 1


def _begins(sentence: str, start: int) -> bool:
    """Whether a capital at `start` is that of a beginning: of the sentence, or of a quotation."""
    opening = _OPENING.match(sentence)
    if opening is None or start < opening.end():
        return True
    before = sentence[:start].rstrip()
    return not before or before[-1] in _QUOTED


def _is_heading(text: str) -> bool:
    words = [
        match[0]
        for sentence in sentences(text)
        for match in _WORD.finditer(sentence)
        if len(match[0]) > 3 and not _begins(sentence, match.start())
    ]
    capital = sum(word[0].isupper() for word in words)
    return len(words) > 3 and capital >= _TITLE_CASE * len(words)
