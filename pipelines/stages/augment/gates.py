"""What a variant must pass: the same meaning, numbers, names and form, in another wording.

gates = Gates()
gates.fault("It opens at nine.", "The museum opens at 9.", cosine=0.88)   # None: passes
gates.fault("It opens at nine.", "It opens at ten.", cosine=0.93)
# Fault("numbers_changed", {"missing": ["9"], "added": ["10"]})
"""

import re
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from rapidfuzz.distance import Levenshtein

from chains.text.measuring import measure
from pipelines.names import kept
from pipelines.normalising import normalised
from pipelines.numbers import numbers
from pipelines.rows import JSON, Fault
from pipelines.stages.augment.label_gate import LabelGate

_QUESTION = re.compile(r"[?？؟⁇⁈][^\w?？؟⁇⁈]{0,9}\Z")  # noqa: RUF001

_DOUBLED = re.compile(r"\b([^\W\d_]+(?:['’][^\W\d_]+)*)(?:\s+\1\b)+", re.I)  # noqa: RUF001
_OFTEN_DOUBLED = {"bye", "das", "der", "die", "ha", "had", "her", "is", "it", "many", "much", "no",
                  "nous", "sie", "so", "that", "very", "vous", "well", "yes"}  # fmt: skip
"""Words that English, French or German do put twice: that that, nous nous, die die."""

DIFFERENT_ENOUGH = 0.35
"""The difference beyond which ParaScore rewards no further one."""
DIVERSITY_WEIGHT = 0.05


class Gates(BaseModel):
    """The bounds between an original and a variant of it.

    The defaults were chosen on pairs that people had judged, with all-MiniLM-L6-v2. A cosine of
    0.85 keeps 63 % of STS-B's equivalent pairs (score 4 and more), 4 % of those from 2 to 3 and 1 %
    of those below, 62 % of Quora's duplicate questions, 53 % of MRPC's paraphrases and 20 % of its
    others; 0.8 would keep 80, 8, 2, 75, 66 and 30 %. A refused candidate costs one more call, a
    wrong one a wrong row. A difference of 0.2 keeps 82 to 87 % of the paraphrases in each set,
    `form` 99 %. Another embedder needs other bounds. What no bound sees: opposites (higher, lower)
    and exchanged roles.

    Attributes:
        similarity: The least cosine of their embeddings, -1 to 1; null leaves the meaning unchecked
            and asks no embedder.
        difference: The least edit distance between them (Levenshtein, in characters after
            normalisation, divided by the longer one's length), 0 to 1.
        length_ratio: The longer one has at most this many times the words of the shorter one.
        numbers: Both name the same numbers, in digits or in words.
        entities: Both name the same names, as far as capital letters tell.
        doubled: No word stands twice running that does not in the original, as where a translator
            stutters: 2 to 3 % of the back-translations that the other gates let through, and one of
            MRPC's 2,753 paraphrases, which has a typing error.
        form: Both end with a question, or neither; a small model likes to answer a question that it
            should put in other words, and the answer's embedding is close to the question's.
        label: A model finds that the variant has the label of the row.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    similarity: Annotated[float, Field(ge=-1, le=1)] | None = 0.85
    difference: Annotated[float, Field(ge=0, le=1)] = 0.2
    length_ratio: Annotated[float, Field(ge=1)] = 2.0
    numbers: bool = True
    entities: bool = False
    doubled: bool = True
    form: bool = True
    label: LabelGate | None = None

    def key(self, text: str) -> str:
        """What two texts have in common that count as the same."""
        return normalised(text)

    def fault(self, original: str, variant: str, cosine: float | None = None) -> Fault | None:
        """The first gate that the variant fails; without `cosine` its meaning is not looked at.

        Reasons, in this order: `identical`, `form_changed`, `numbers_changed`, `names_changed`,
        `word_doubled`, `length_changed`, `too_similar`, `meaning_changed`.
        """
        if self.key(original) == self.key(variant):
            return Fault("identical")
        if self.form and asks(original) != asks(variant):
            return Fault("form_changed", {"question": [asks(original), asks(variant)]})
        if self.numbers and (fault := _numbers_fault(original, variant)):
            return fault
        if self.entities and (fault := _names_fault(original, variant)):
            return fault
        if self.doubled and (stutters := sorted(doubled(variant) - doubled(original))):
            return Fault("word_doubled", {"words": [*stutters]})
        words = [max(1, measure(text, "words")) for text in (original, variant)]
        if max(words) > self.length_ratio * min(words):
            return Fault("length_changed", {"words": words, "length_ratio": self.length_ratio})
        if (found := difference(original, variant)) < self.difference:
            return Fault("too_similar", {"difference": found, "least": self.difference})
        if cosine is not None and self.similarity is not None and cosine < self.similarity:
            detail: dict[str, JSON] = {"similarity": round(cosine, 4), "least": self.similarity}
            return Fault("meaning_changed", detail)
        return None

    def scores(self, original: str, variant: str, cosine: float | None) -> dict[str, JSON]:
        """What the gates measured, for a row's history."""
        found = difference(original, variant)
        if cosine is None:
            return {"difference": found}
        whole = round(parascore(cosine, found), 4)
        return {"similarity": round(cosine, 4), "difference": found, "parascore": whole}


class PlainGates(Gates):
    """The gates of operations that asked no model: by default the numbers stay, and that is all.

    Two texts are the same only where every character is, for a typo or another case is a variant.
    """

    similarity: Annotated[float, Field(ge=-1, le=1)] | None = None
    difference: Annotated[float, Field(ge=0, le=1)] = 0.0
    form: bool = False
    doubled: bool = False

    def key(self, text: str) -> str:
        """The text itself."""
        return text


def asks(text: str) -> bool:
    """Whether the text ends with a question."""
    return _QUESTION.search(text) is not None


def doubled(text: str) -> set[str]:
    """The words that stand twice running, in lower case, but for those that often do."""
    return {found.casefold() for found in _DOUBLED.findall(text)} - _OFTEN_DOUBLED


def difference(first: str, second: str) -> float:
    """The normalised edit distance, 0 (the same but for case and punctuation) to 1."""
    return round(Levenshtein.normalized_distance(normalised(first), normalised(second)), 4)


def parascore(cosine: float, distance: float) -> float:
    """ParaScore without a reference (Shen et al. 2022): meaning, and other words up to a point.

    Args:
        cosine: Of the embeddings of original and variant, -1 to 1.
        distance: Their normalised edit distance, 0 to 1.
    """
    bound = DIFFERENT_ENOUGH
    diverse = bound if distance >= bound else -1 + distance * (bound + 1) / bound
    return cosine + DIVERSITY_WEIGHT * diverse


def _numbers_fault(original: str, variant: str) -> Fault | None:
    before, after = numbers(original), numbers(variant)
    if before == after:
        return None
    changed = {"missing": sorted(before - after), "added": sorted(after - before)}
    return Fault("numbers_changed", changed)


def _names_fault(original: str, variant: str) -> Fault | None:
    missing, added = kept(original, variant)
    if not missing and not added:
        return None
    return Fault("names_changed", {"missing": [*missing], "added": [*added]})
