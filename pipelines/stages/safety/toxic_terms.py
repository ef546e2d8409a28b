"""Finding words that wound in a text, also where they are disguised.

    Lexicon().score("Have a nice day.")      ->  0.0
    Lexicon().score("You are such an 1d10t") ->  0.6

Case, accents, look-alike letters, digits and signs for letters (1d10t), stretched letters
(idiooot), letters with spaces or full stops between them (i d i o t) and stars for letters are
undone. Each different word counts once; the score is 1 - product of (1 - weight), 0 to 1.
"""
# ruff: noqa: RUF001 - an expression is read as one; apostrophes of both kinds are meant

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pipelines.stages.safety.toxic_words import (
    HATREDS,
    PERSON,
    THREATS,
    WEIGHTS,
    company,
    words,
)

_SIGNS = str.maketrans("013457@$!+|", "oieastasiti")
_LOOK_ALIKE = str.maketrans("авекмнорстухіѕԁɡ", "abekmhopctyxisdg")
_CHUNK = re.compile(r"[^\s,;:?\"“”()\[\]{}<>/…]+")
_SPACED = re.compile(r"(?<![^\W\d_])[^\W\d_](?:([ .\-_*])[^\W\d_])(?:\1[^\W\d_])+(?![^\W\d_])")
_INSIDE = re.compile(r"(?<=[^\W\d_])[013457@$!|](?=[^\W\d_])")
_STRETCHED = re.compile(r"(.)\1{2,}")
_UNSPACED = re.compile("[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")
_MENTIONED = re.compile(
    r"(?:\bword|\bterm|\bslur|\binsult|\bcalled (?:me|him|her|them|us)(?: an?)?) ?$"
)
_ENDINGS = ("", "s", "es", "z", "'s", "’s")
_LONGEST_PHRASE = 6


class Hit(NamedTuple):
    """A find: characters `start` to `end`, its category, and the word in its plain form."""

    start: int
    end: int
    category: str
    word: str


class Token(NamedTuple):
    """A word of the text with the readings that undoing its disguise gives."""

    start: int
    end: int
    readings: tuple[str, ...]


class Lexicon:
    """The shipped words and those of a job's own.

    Args:
        listed: Words or phrases more, as in a file of one a line.
        categories: Those that are looked for; left out, all.
    """

    def __init__(self, listed: Iterable[str] = (), categories: Iterable[str] = WEIGHTS) -> None:
        self._wanted = frozenset(categories)
        self._exact: dict[str, str] = {}
        self._stems: dict[str, str] = {}
        self._company = company()
        self._phrases: dict[tuple[str, ...], str] = {}
        self._pieces: list[str] = []
        for category, entries in words().items():
            name = "directed" if category == "mild" else category
            for entry in entries if name in self._wanted else ():
                self._add(entry, name)
        for entry in listed:
            self._add_listed(entry)

    def score(self, text: str) -> float:
        """How abusive a text is, 0 to 1."""
        return total(self.find(text))

    def find(self, text: str) -> list[Hit]:
        """The finds in a text, in order."""
        tokens = list(_tokens(text))
        hits = [hit for index in range(len(tokens)) for hit in self._at(text, tokens, index)]
        if self._pieces:
            folded = text.casefold()
            hits += [
                Hit(place.start(), place.end(), "listed", piece)
                for piece in self._pieces
                for place in re.finditer(re.escape(piece), folded)
                if len(folded) == len(text)
            ]
        undone = _INSIDE.sub(lambda found: found[0].translate(_SIGNS), text)  # of the same length
        for category, expressions in (("threat", THREATS), ("hatred", HATREDS)):
            for expression in expressions if category in self._wanted else ():
                for found in _compiled(expression).finditer(undone):
                    hits.append(Hit(found.start(), found.end(), category, found[0].casefold()))
        return sorted(set(hits))

    def _add(self, entry: str, category: str) -> None:
        if entry.endswith("*"):
            self._stems.setdefault(entry[:-1], category)
        else:
            for ending in _ENDINGS:
                self._exact.setdefault(entry + ending, category)

    def _add_listed(self, entry: str) -> None:
        plain = _folded(entry.strip())
        if not plain:
            return
        if _UNSPACED.search(plain):
            self._pieces.append(entry.strip().casefold())
        elif len(parts := tuple(re.findall(r"[^\W_]+", plain))) > 1:
            self._phrases.setdefault(parts[:_LONGEST_PHRASE], "listed")
        elif parts:
            self._add(parts[0], "listed")

    def _at(self, text: str, tokens: Sequence[Token], index: int) -> Iterator[Hit]:
        token = tokens[index]
        for reading in token.readings:
            category = self._category(reading)
            if category and not self._harmless(text, tokens, index, reading, category):
                yield Hit(token.start, token.end, category, reading)
                break
        for parts in self._phrases_from(token):
            behind = tokens[index : index + len(parts)]
            if len(behind) == len(parts) and all(
                part in other.readings for part, other in zip(parts, behind, strict=True)
            ):
                yield Hit(token.start, behind[-1].end, "listed", " ".join(parts))

    def _phrases_from(self, token: Token) -> list[tuple[str, ...]]:
        return [parts for parts in self._phrases if parts[0] in token.readings]

    def _category(self, reading: str) -> str:
        if "*" in reading:
            return self._starred(reading)
        if reading in self._exact:
            return self._exact[reading]
        lengths = range(len(reading), 2, -1)
        return next((self._stems[reading[:n]] for n in lengths if reading[:n] in self._stems), "")

    def _starred(self, reading: str) -> str:
        """The category of a word some letters of which are stars."""
        visible = len(reading) - reading.count("*")
        if visible < 2 or reading[0] == "*" or len(reading) < 4:
            return ""
        shape = re.compile(reading.replace("*", "[a-z]"))
        known = {**self._exact, **self._stems}
        return next((known[word] for word in known if shape.fullmatch(word)), "")

    def _harmless(
        self, text: str, tokens: Sequence[Token], index: int, reading: str, category: str
    ) -> bool:
        """Whether the words around it give the word another sense."""
        beside = {
            other
            for token in (*tokens[max(0, index - 2) : index], *tokens[index + 1 : index + 3])
            for other in token.readings
        }
        singular = reading.removesuffix("s")
        if beside & (self._company.get(reading) or self._company.get(singular, frozenset())):
            return True
        start, end = tokens[index].start, tokens[index].end
        if category == "directed":
            return not _of_a_person(text, start, end)
        return (
            _MENTIONED.search(text[max(0, start - 25) : start].lower().rstrip("\"'“‘ ")) is not None
        )


def total(hits: Iterable[Hit]) -> float:
    """The score of some finds; each different word counts once."""
    left = 1.0
    for _, category in {(hit.word, hit.category): hit.category for hit in hits}.items():
        left *= 1 - WEIGHTS[category]
    return round(1 - left, 4)


def read_words(path: Path) -> list[str]:
    """The words of a file, one a line; lines that begin with # are left out."""
    lines = path.read_text(encoding="utf-8-sig").split("\n")
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _of_a_person(text: str, start: int, end: int) -> bool:
    """Whether somebody is called so: "you are such a ...", "you ...", "... like you"."""
    before = text[max(0, start - 40) : start].lower()
    behind = text[end : end + 15].lower()
    called = _compiled(
        rf"\b{PERSON}(?: (?:are|is|r|was|were|look|looks|look like|act|acts))?"
        r"(?: (?:such|so|just|really|all|nothing but|a|an|the|absolute|complete|total|little|big|"
        r"fucking|old|pure|very|too|worthless|stupid|pathetic|dumb|ugly|fat|disgusting))* ?$"
    )
    return (
        called.search(before) is not None
        or re.match(r" like (?:you|him|her|them)\b", behind) is not None
    )


def _tokens(text: str) -> Iterator[Token]:
    spaced = list(_SPACED.finditer(text))
    for found in spaced:
        joined = _folded(re.sub(r"[ .\-_*]", "", found[0]))
        # A lone letter before it may be a word of its own: what a b i t.
        yield Token(found.start(), found.end(), (joined, joined[1:]))
    for chunk in _CHUNK.finditer(text):
        if any(s.start() <= chunk.start() and chunk.end() <= s.end() for s in spaced):
            continue
        yield Token(chunk.start(), chunk.end(), _readings(chunk[0]))


@cache
def _readings(chunk: str) -> tuple[str, ...]:
    """What a word may read as, its plain form first."""
    bare = _folded(chunk).strip("'’.!*~_-#@&=^`|“”‘")
    if not bare:
        return ()
    readings = [bare]
    if not bare.isalpha() and any(c.isalpha() for c in bare):
        undone = bare.translate(_SIGNS)
        readings += [undone, re.sub(r"[^a-z*]", "", undone)]
        readings += (
            re.findall(r"[^\W\d_]+", bare) if "-" in bare or "." in bare or "_" in bare else []
        )
    for reading in list(readings):
        if _STRETCHED.search(reading):
            readings += [_STRETCHED.sub(r"\1", reading), _STRETCHED.sub(r"\1\1", reading)]
    return tuple(dict.fromkeys(filter(None, readings)))


def _folded(text: str) -> str:
    """Lower case, without accents, look-alike letters as Latin ones."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in parts if not unicodedata.combining(c)).translate(_LOOK_ALIKE)


@cache
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.I)
