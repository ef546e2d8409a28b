"""Plain noise in a text: typos, misread letters, cases, and words that are lost or change places.

    Noising(rate=0.2).noised("The museum opens at nine.", draw)
    ->  ("The musuem opens at nine.", {"swap": 1})

Numbers, placeholders, markup and addresses are left alone: a variant of a text about nine people is
still about nine people.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from pipelines.numbers import numbers

Draw = Callable[[int], int]
"""Gives whole numbers below its argument."""

Operation = Literal[
    "key", "swap", "delete", "insert", "ocr", "case", "drop_word", "swap_words", "mask"
]
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
TYPOS: tuple[Operation, ...] = ("key", "swap", "delete", "insert")

Layout = Literal["qwerty", "qwertz", "azerty"]
_LAYOUTS: Mapping[Layout, tuple[str, str, str]] = {
    "qwerty": ("qwertyuiop", "asdfghjkl", "zxcvbnm"),
    "qwertz": ("qwertzuiop", "asdfghjkl", "yxcvbnm"),
    "azerty": ("azertyuiop", "qsdfghjklm", "wxcvbn"),
}
_MISREAD: tuple[tuple[str, str], ...] = (
    ("rn", "m"), ("m", "rn"), ("cl", "d"), ("d", "cl"), ("vv", "w"), ("w", "vv"), ("ri", "n"),
    ("li", "h"), ("h", "b"), ("e", "c"), ("c", "e"), ("i", "l"), ("l", "i"), ("u", "v"),
    ("v", "u"), ("n", "u"), ("f", "t"), ("a", "o"), ("I", "l"), ("O", "Q"), ("G", "C"),
)  # fmt: skip
_KEPT = re.compile(r"[\d@{}<>\[\]`/\\_=#$%|]|\bwww\.")
_LETTERS = re.compile(r"[^\W\d_]+")
_WINDOW = 3
_MARKS = ".,;:!?"
_EDGES = ".,;:!?\"'()“”‘’…-"  # noqa: RUF001
_FINE = 2**53


class Noising(BaseModel):
    """How much noise of which sorts.

    Attributes:
        rate: The share of words that are changed, each by one operation; one at least.
        operations: What may happen to a word: `key` (the key beside), `swap` (two letters),
            `delete` and `insert` (a letter), `ocr` (letters that look alike), `case`, `drop_word`,
            `swap_words` (with the next), `mask`.
        layout: The keyboard of `key`.
        mask_token: What `mask` puts in a word's place.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: Annotated[float, Field(gt=0, le=1)] = 0.1
    operations: Annotated[tuple[Operation, ...], Field(min_length=1)] = TYPOS
    layout: Layout = "qwerty"
    mask_token: Annotated[str, Field(min_length=1)] = "[MASK]"

    def noised(self, text: str, draw: Draw) -> tuple[str, dict[str, int]]:
        """The text with noise, and how often each operation was done.

        Args:
            text: The text; its white space stays.
            draw: The randomness.
        """
        pieces = re.split(r"(\s+)", text)
        places = [at for at in range(0, len(pieces), 2) if is_plain(pieces[at])]
        chosen = [at for at in places if chance(draw, self.rate)]
        if not chosen and places:
            chosen = [places[draw(len(places))]]
        done: Counter[str] = Counter()
        for at in chosen:
            done.update(self._change(pieces, at, draw))
        return re.sub(r"  +", " ", "".join(pieces)).strip(), dict(sorted(done.items()))

    def _change(self, pieces: list[str], at: int, draw: Draw) -> list[str]:
        """Change the word at a place by the first operation that can, in an order drawn."""
        left = list(self.operations)
        while left:
            operation = left.pop(draw(len(left)))
            if self._done(operation, pieces, at, draw):
                return [operation]
        return []

    def _done(self, operation: Operation, pieces: list[str], at: int, draw: Draw) -> bool:
        word = pieces[at]
        if operation == "drop_word":
            pieces[at] = ""
            if at and word[-1] in _MARKS and pieces[at - 2][-1:].isalnum():
                pieces[at - 2] += word[-1]  # the sentence still ends
        elif operation == "mask":
            pieces[at] = _LETTERS.sub(lambda _: self.mask_token, word, count=1)
        elif operation == "swap_words":
            if at + 2 >= len(pieces) or not is_plain(pieces[at + 2]):
                return False
            cores = [piece.strip(_EDGES) for piece in (word, pieces[at + 2])]
            if not all(cores):
                return False
            pieces[at] = word.replace(cores[0], cores[1], 1)
            pieces[at + 2] = pieces[at + 2].replace(cores[1], cores[0], 1)
        else:
            pieces[at] = self._misspelt(operation, word, draw)
        return pieces[at] != word

    def _misspelt(self, operation: Operation, word: str, draw: Draw) -> str:
        run = max(_LETTERS.finditer(word), key=lambda found: len(found[0]))
        letters = run[0]
        change = beside_key(self.layout) if operation == "key" else _CHANGES[operation]
        return word[: run.start()] + change(letters, draw) + word[run.end() :]


def chance(draw: Draw, rate: float) -> bool:
    """True with that probability."""
    return draw(_FINE) < rate * _FINE


def is_plain(word: str) -> bool:
    """Whether a word may be changed: letters, and neither a number nor markup."""
    return bool(_LETTERS.search(word)) and not _KEPT.search(word) and not numbers(word)


def jumbled(text: str, rate: float, draw: Draw) -> str:
    """Words lost and moved a little, as in noised beam search (Edunov et al. 2018).

    Args:
        text: A translation.
        rate: The probability that a word is lost; the others move by three places at most.
        draw: The randomness.
    """
    words = text.split()
    kept = [word for word in words if not (is_plain(word) and chance(draw, rate))] or words
    places = [at + draw(_FINE) / _FINE * (_WINDOW + 1) for at in range(len(kept))]
    return " ".join(kept[at] for at in sorted(range(len(kept)), key=places.__getitem__))


def misread(letters: str, draw: Draw) -> str:
    """One place read as something that looks like it; the same where nothing does."""
    found = [
        (at, before, after)
        for before, after in _MISREAD
        for at in range(len(letters))
        if letters.startswith(before, at)
    ]
    if not found:
        return letters
    at, before, after = found[draw(len(found))]
    return letters[:at] + after + letters[at + len(before) :]


def recased(letters: str, draw: Draw) -> str:
    """In another case: all capitals, none, or the first alone."""
    forms = dict.fromkeys([letters.upper(), letters.lower(), letters.capitalize()])
    others = [form for form in forms if form != letters]
    return others[draw(len(others))] if others else letters


def beside_key(layout: Layout) -> Callable[[str, Draw], str]:
    """Presses the key beside the right one, on that keyboard."""
    beside = _neighbours(layout)

    def press(letters: str, draw: Draw) -> str:
        places = [at for at, letter in enumerate(letters) if letter.lower() in beside]
        if not places:
            return letters
        at = places[draw(len(places))]
        keys = beside[letters[at].lower()]
        key = keys[draw(len(keys))]
        return letters[:at] + (key.upper() if letters[at].isupper() else key) + letters[at + 1 :]

    return press


def _swap(letters: str, draw: Draw) -> str:
    places = [at for at in range(len(letters) - 1) if letters[at] != letters[at + 1]]
    if not places:
        return letters
    at = places[draw(len(places))]
    return letters[:at] + letters[at + 1] + letters[at] + letters[at + 2 :]


def _delete(letters: str, draw: Draw) -> str:
    if len(letters) < 3:  # what is left would be another word, or nothing
        return letters
    at = draw(len(letters))
    return letters[:at] + letters[at + 1 :]


def _insert(letters: str, draw: Draw) -> str:
    at = draw(len(letters))
    return letters[:at] + letters[at] + letters[at:]


_CHANGES: Mapping[str, Callable[[str, Draw], str]] = {
    "ocr": misread,
    "case": recased,
    "swap": _swap,
    "delete": _delete,
    "insert": _insert,
}


@cache
def _neighbours(layout: Layout) -> Mapping[str, str]:
    rows = _LAYOUTS[layout]
    found: dict[str, str] = {}
    for line, row in enumerate(rows):
        for at, key in enumerate(row):
            above = rows[line - 1][at : at + 2] if line else ""
            below = rows[line + 1][max(0, at - 1) : at + 1] if line + 1 < len(rows) else ""
            found[key] = "".join([*row[max(0, at - 1) : at], *row[at + 1 : at + 2], above, below])
    return found
