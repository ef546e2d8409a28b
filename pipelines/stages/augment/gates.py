"""What a variant must pass: the meaning is kept, the wording is another, the numbers are the same.

gates = Gates()
gates.fault("It opens at nine.", "The museum opens at 9.", cosine=0.81)   # None: passes
gates.fault("It opens at nine.", "It opens at ten.", cosine=0.93)
# Fault("numbers_changed", {"missing": ["9"], "added": ["10"]})
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from rapidfuzz.distance import Levenshtein

from pipelines.length import measure
from pipelines.normalising import normalised
from pipelines.numbers import numbers
from pipelines.rows import JSON, Fault


class Gates(BaseModel):
    """The bounds between an original and a variant of it.

    The defaults were chosen on pairs that people had judged, with all-MiniLM-L6-v2. A cosine of 0.8
    keeps 80 % of STS-B's equivalent pairs (score 4 and more) and 8 and 2 % of those below 3 and 2,
    75 % of Quora's duplicate questions and 66 % of MRPC's paraphrases against 30 % of its others;
    a difference of 0.2 keeps 82 to 87 % of the paraphrases in each. Another embedder needs other
    bounds. What no bound sees: opposites (higher, lower) and roles exchanged.

    Attributes:
        similarity: The least cosine of their embeddings, -1 to 1; null leaves the meaning unchecked
            and asks no embedder.
        difference: The least edit distance between them (Levenshtein, in characters after
            normalisation, divided by the longer one's length), 0 to 1.
        length_ratio: The longer one has at most this many times the words of the shorter one.
        numbers: Both name the same numbers, in digits or in words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    similarity: Annotated[float, Field(ge=-1, le=1)] | None = 0.8
    difference: Annotated[float, Field(ge=0, le=1)] = 0.2
    length_ratio: Annotated[float, Field(ge=1)] = 2.0
    numbers: bool = True

    def fault(self, original: str, variant: str, cosine: float | None = None) -> Fault | None:
        """The first gate that the variant fails; without `cosine` its meaning is not looked at.

        Reasons, in this order: `identical`, `numbers_changed`, `length_changed`, `too_similar`,
        `meaning_changed`.
        """
        if normalised(original) == normalised(variant):
            return Fault("identical")
        if self.numbers and (fault := _numbers_fault(original, variant)):
            return fault
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
        scores: dict[str, JSON] = {"difference": difference(original, variant)}
        return scores if cosine is None else {"similarity": round(cosine, 4), **scores}


def difference(first: str, second: str) -> float:
    """The normalised edit distance, 0 (the same but for case and punctuation) to 1."""
    return round(Levenshtein.normalized_distance(normalised(first), normalised(second)), 4)


def _numbers_fault(original: str, variant: str) -> Fault | None:
    before, after = numbers(original), numbers(variant)
    if before == after:
        return None
    changed = {"missing": sorted(before - after), "added": sorted(after - before)}
    return Fault("numbers_changed", changed)
