"""`eda`: easy data augmentation, four edits of words without any model (Wei and Zou 2019).

    - {kind: eda, field: text, variants: 4}

    "A quick dog runs along the street."
    ->  itself, "A swift dog runs along the street." (synonym), "A quick dog fast runs along the
        street." (insert), "A street dog runs along the quick." (swap), "A quick runs along the
        street." (delete)

Synonyms are those of a small English list of the project's own, or of a file. Swapped and deleted
words change what a sentence says: such rows train classifiers, and nobody should read them.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator

from pipelines.rows import Fault, Row
from pipelines.stages.augment.base import Augment, Proposal, Proposing
from pipelines.stages.augment.gates import PlainGates
from pipelines.stages.augment.noising import Draw, chance, is_plain
from pipelines.stages.augment.synonyms import Synonyms, read_synonyms, synonyms
from pipelines.stages.base import STAGES, Context, JobView
from pipelines.stages.safety.stand_ins import drawing

Edit = Literal["synonym", "insert", "swap", "delete"]
EDITS: tuple[Edit, ...] = get_args(Edit)
_MARKS = ".,;:!?"


@STAGES.register
class Eda(Augment):
    """Variants by one edit each; the variants of a row take the edits in turn.

    Attributes:
        alpha: The share of words that an edit is about: n = alpha times the words, one at least; of
            `delete` the probability of each.
        operations: The edits: `synonym` replaces n words, `insert` puts a synonym of n words
            somewhere, `swap` exchanges n times two words, `delete` leaves words out. Where one can
            do nothing, such as find no synonym, the next does it.
        synonyms: A text file with a group of words a line; left out, the project's own.
    """

    kind: Literal["eda"] = "eda"
    alpha: Annotated[float, Field(gt=0, le=1)] = 0.1
    operations: Annotated[tuple[Edit, ...], Field(min_length=1)] = EDITS
    synonyms: str = ""
    gates: PlainGates = PlainGates()

    @field_validator("operations")
    @classmethod
    def _each_once(cls, value: tuple[Edit, ...]) -> tuple[Edit, ...]:
        if len(set(value)) < len(value):
            raise ValueError("an operation stands there twice")
        return value

    def check(self, job: JobView) -> None:
        """The file of synonyms is there."""
        super().check(job)
        if self.synonyms:
            job.path(self.synonyms)

    def tidied(self, variant: str, original: str) -> tuple[str, Fault | None]:
        """The text as it is: cleaning would mend what was done to it."""
        return variant, None if variant.strip() else Fault("empty")

    def propose(self, row: Row, text: str, slot: int, attempt: int, context: Context) -> Proposing:
        """The text after one edit; this asks nobody."""
        yield from ()
        words = context.shared("synonyms", lambda: self._words(context))
        seed = context.seed(row, attempt, slot)
        first = (context.seed(row) + slot) % len(self.operations)
        for edit in (*self.operations[first:], *self.operations[:first]):
            variant = _EDITS[edit](text, self.alpha, words, drawing(str(seed)))
            if variant != text:
                break
        return [Proposal(variant, {"seed": seed, "edit": edit})]

    def _words(self, context: Context) -> Synonyms:
        if not self.synonyms:
            return synonyms()
        return read_synonyms(context.path(self.synonyms).read_text(encoding="utf-8"))


def replace_words(text: str, alpha: float, words: Synonyms, draw: Draw) -> str:
    """Replace some words by synonyms."""
    pieces = text.split()
    places = [at for at, piece in enumerate(pieces) if _core(piece).casefold() in words]
    for _ in range(min(_count(pieces, alpha), len(places))):
        at = places.pop(draw(len(places)))
        pieces[at] = pieces[at].replace(_core(pieces[at]), _synonym(pieces[at], words, draw), 1)
    return " ".join(pieces)


def insert_words(text: str, alpha: float, words: Synonyms, draw: Draw) -> str:
    """Put synonyms of some words anywhere before the last."""
    pieces = text.split()
    known = [piece for piece in pieces if _core(piece).casefold() in words]
    for _ in range(_count(pieces, alpha) if known else 0):
        word = _synonym(known[draw(len(known))], words, draw).lower()
        pieces.insert(draw(len(pieces)), word)
    return " ".join(pieces)


def swap_words(text: str, alpha: float, words: Synonyms, draw: Draw) -> str:
    """Exchange two words, some times; punctuation stays in its place."""
    pieces = text.split()
    places = [at for at, piece in enumerate(pieces) if is_plain(piece)]
    for _ in range(_count(pieces, alpha) if len(places) > 1 else 0):
        first = places[draw(len(places))]
        second = [at for at in places if at != first][draw(len(places) - 1)]
        cores = _core(pieces[first]), _core(pieces[second])
        pieces[first] = pieces[first].replace(cores[0], cores[1], 1)
        pieces[second] = pieces[second].replace(cores[1], cores[0], 1)
    return " ".join(pieces)


def delete_words(text: str, alpha: float, words: Synonyms, draw: Draw) -> str:
    """Leave each word out with the probability `alpha`, one at least, and never all of them."""
    pieces = text.split()
    places = [at for at, piece in enumerate(pieces) if is_plain(piece)]
    lost = {at for at in places if chance(draw, alpha)}
    if not lost and places:
        lost = {places[draw(len(places))]}
    kept: list[str] = []
    for at, piece in enumerate(pieces):
        if at not in lost:
            kept.append(piece)
        elif kept and piece[-1] in _MARKS and kept[-1][-1] not in _MARKS:
            kept[-1] += piece[-1]  # the sentence still ends
    return " ".join(kept) or text


_EDITS: Mapping[Edit, Callable[[str, float, Synonyms, Draw], str]] = {
    "synonym": replace_words,
    "insert": insert_words,
    "swap": swap_words,
    "delete": delete_words,
}


def _count(pieces: list[str], alpha: float) -> int:
    return max(1, int(alpha * len(pieces)))


def _core(piece: str) -> str:
    """A word without the punctuation around it."""
    return piece.strip(".,;:!?\"'()“”‘’…-")  # noqa: RUF001


def _synonym(piece: str, words: Synonyms, draw: Draw) -> str:
    """One of a word's synonyms, with a capital where the word has one."""
    core = _core(piece)
    others = words[core.casefold()]
    other = others[draw(len(others))]
    return other.capitalize() if core[0].isupper() else other
