"""`claims`: finds sentences that state what their source does not support.

    - {kind: claims, field: answer, against: context}
    - {kind: claims, field: summary, against: [passages], action: flag, adds: unsupported}

    context "The stove burns for 70 minutes."
    answer  "The stove burns for 70 minutes. It was built by Carl Orff in 1931."
    rejected: {"reason": "unsupported_claim", "detail": {"claims": [{"sentence": "It was built ...",
               "missing": ["1931", "Carl", "Orff"], "share": 0.0, "similarity": 0.21}]}}

It compares with the source and knows nothing of the world: a false source supports a false claim,
and a negated sentence has nearly all the words of the one it denies.
"""

import re
from collections.abc import Generator, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field

from chains.text.sentences import sentences
from pipelines.numbers import numbers
from pipelines.rows import JSON, Fault, Rejection, Row
from pipelines.stages.base import STAGES, Context, Embed, ModelStage, Work
from pipelines.stages.columns import SourceColumns, listed, read_text, strings
from pipelines.stages.grounded import content_words, stem

_NAME = re.compile(r"(?<![.!?:\"“(\n] )(?<!^)(?<=\s)[A-ZÀ-ÖØ-Þ][\w’'\-]*[\w]")  # noqa: RUF001
_CAUSE = re.compile(
    r"\b(?:because|due to|caus(?:e|es|ed|ing)|led to|leads? to|result(?:s|ed)? in|thanks to|"
    r"therefore|consequently|as a result|so that|owing to)\b",
    re.I,
)
_NO_NAMES = frozenset(
    ("I", "I'm", "I've", "I'll", "I'd", "Mr", "Mrs", "Ms", "Dr", "AM", "PM", "OK")
)


@STAGES.register
class Claims(ModelStage):
    """Reject or flag texts with claims that no sentence of the source supports.

    A sentence is a claim where it has a number, a name (a capital inside the sentence), a word of
    cause, or a content word that the source lacks. Its numbers and names have to be in the source.
    Beyond that one sentence of the source, or two in a row, have to share `min_share` of its
    content words, or be as near as `similarity` in meaning.

    Attributes:
        field: The column to check.
        against: The column with the source, or several; lists and objects are searched for text.
        min_share: The least share, 0 to 1, of a claim's content words in one place of the source.
        similarity: The cosine, -1 to 1, from which on a sentence of the source supports a claim in
            other words; null asks no embedder.
        max_unsupported: How many unsupported claims are let through.
        action: `reject`, or `flag`: every row passes and gets the list of such claims.
        adds: With `flag`, the column for the list; left out, `claims`.
    """

    kind: Literal["claims"] = "claims"
    field: Annotated[str, Field(min_length=1)]
    against: SourceColumns = "context"
    min_share: Annotated[float, Field(ge=0, le=1)] = 0.6
    similarity: Annotated[float, Field(ge=-1, le=1)] | None = 0.7
    max_unsupported: Annotated[int, Field(ge=0)] = 0
    action: Literal["reject", "flag"] = "reject"
    adds: str = ""

    def columns_needed(self) -> set[str]:
        """The column to check and those with the source."""
        return {self.field, *listed(self.against)}

    def columns_added(self) -> set[str]:
        """The column of claims, where the stage flags."""
        return {self.adds or self.kind} if self.action == "flag" else set()

    def uses_embedder(self) -> bool:
        """Whether meaning counts too."""
        return self.similarity is not None

    def work(self, row: Row, context: Context) -> Work:
        """The row, or its rejection with the claims that nothing supports."""
        text = read_text(row, self.field)
        if isinstance(text, Fault):
            return [Rejection(row, text.reason, text.detail)]
        missing = [column for column in listed(self.against) if column not in row.data]
        if missing:
            return [Rejection(row, "missing_column", {"column": missing[0]})]
        source = "\n\n".join(
            s for column in listed(self.against) for s in strings(row.data[column])
        )
        places = sentences(source)
        found = [claim for s in sentences(text) if (claim := self._doubt(s, source, places))]
        if self.similarity is not None and places:
            found = yield from self._without_near(found, places)
        if self.action == "flag":
            return [row.with_data({self.adds or self.kind: found}, self._event(found))]
        if len(found) <= self.max_unsupported:
            return [row]
        return [Rejection(row, "unsupported_claim", {"claims": found})]

    def _doubt(self, sentence: str, source: str, places: Sequence[str]) -> dict[str, JSON] | None:
        """What a sentence claims beyond the words of the source; None where it is supported."""
        known = {stem(word) for word in content_words(source)}
        words = {stem(word) for word in content_words(sentence)}
        named = [n for n in _NAME.findall(sentence) if n not in _NO_NAMES]
        strange = sorted(numbers(sentence) - numbers(source))
        strange += [n for n in named if any(stem(w) not in known for w in content_words(n))]
        claims = bool(strange or named or numbers(sentence) or _CAUSE.search(sentence))
        share = _best_share(words, places)
        if not (claims or words - known) or not (strange or share < self.min_share):
            return None
        return {"sentence": sentence, "missing": strange, "share": round(share, 4)}

    def _without_near(
        self, found: list[dict[str, JSON]], places: Sequence[str]
    ) -> Generator[Embed, Any, list[dict[str, JSON]]]:
        """The doubtful claims without those that a sentence of the source says in other words."""
        if not found:
            return found
        asked = [*(claim["sentence"] for claim in found), *places]
        vectors = yield Embed(tuple(asked))
        nearest = (vectors[: len(found)] @ vectors[len(found) :].T).max(axis=1)
        kept = []
        for claim, cosine in zip(found, nearest, strict=True):
            if claim["missing"] or cosine < self.similarity:
                kept.append({**claim, "similarity": round(float(cosine), 4)})
        return kept

    def _event(self, found: Sequence[JSON]) -> dict[str, JSON] | None:
        return {"stage": self.name, "unsupported": len(found)} if found else None


def _best_share(words: set[str], places: Sequence[str]) -> float:
    """The largest share of `words` in one sentence of the source, or two in a row."""
    if not words:
        return 1.0
    stems = [{stem(word) for word in content_words(place)} for place in places] or [set()]
    pairs = [one | two for one, two in pairwise(stems)] or stems
    return max(len(words & pair) for pair in pairs) / len(words)
