"""`related`: finds a second passage that has something to do with a row's own.

    - {kind: related, path: handbook, split: {tokens: 60, overlap: 0}}

    {"context": "Priya Nandakumar stops the line ...", "document": "testing.md", ...}
    ->  {"context": ..., "related": "The test room is led by Priya Nandakumar.",
         "related_document": "welcome.md", "related_start": 802, "related_end": 846,
         "bridge": ["Priya Nandakumar"]}

A question that takes both passages goes by way of what they share: the bridge, names and words
that few passages of the folder have. Passages that say the same are no two steps, and ones that
have hardly anything in common no way: a similarity between two bounds leaves both out.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from chains.retrieval import Hit, Passage
from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.stages.base import STAGES, Context
from pipelines.stages.columns import read_text
from pipelines.stages.grounded import content_words, stem
from pipelines.stages.searching import SearchStage, cosine, same_place
from prompts.errors import UsageError

_WORD = re.compile(r"[^\W\d_]+")


class _Pick(NamedTuple):
    passage: Passage
    bridge: tuple[str, ...]
    weight: float
    similarity: float


@STAGES.register
class Related(SearchStage):
    """Add a related passage, or reject a row that has none.

    Of the candidates that fit, those are taken whose shared rare words weigh most: the sum of
    their inverse document frequencies, ln(passages / passages with the word).

    Attributes:
        field: The column with the row's passage.
        k: How many related passages are taken at most, each into a row of its own.
        other_document: Take passages of other documents only; else any that do not overlap with the
            row's own.
        min_similarity: The least cosine, -1 to 1, of the embeddings of both passages.
        max_similarity: The largest.
        rare: A word is rare where at most this share of the passages has it, 0 to 1; two passages
            that have it are always few enough.
        min_bridge: How many different rare words both passages have to share.
        adds: The column for the passage; `_document`, `_start` and `_end` are put behind its name.
        bridge: The column for the names and words that are shared.
    """

    kind: Literal["related"] = "related"
    field: Annotated[str, Field(min_length=1)] = "context"
    k: Annotated[int, Field(ge=1)] = 1
    other_document: bool = False
    min_similarity: Annotated[float, Field(ge=-1, le=1)] = 0.2
    max_similarity: Annotated[float, Field(ge=-1, le=1)] = 0.9
    rare: Annotated[float, Field(ge=0, le=1)] = 0.05
    min_bridge: Annotated[int, Field(ge=0)] = 1
    adds: Annotated[str, Field(min_length=1)] = "related"
    bridge: Annotated[str, Field(min_length=1)] = "bridge"

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> Self:
        if self.min_similarity > self.max_similarity:
            found = f"{self.min_similarity} is above max_similarity {self.max_similarity}"
            raise UsageError(found, fix="swap them", key="min_similarity")
        return self

    def columns_needed(self) -> set[str]:
        """The passage."""
        return {self.field}

    def columns_added(self) -> set[str]:
        """The other passage, where it stands, and the bridge."""
        return {self.adds, self.bridge, *(f"{self.adds}_{name}" for name in Passage._fields[1:])}

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Look for each row of the block."""
        block = [(row, read_text(row, self.field)) for row in rows]
        found = iter(self.search([text for _, text in block if isinstance(text, str)], context))
        for row, text in block:
            if isinstance(text, Fault):
                yield Rejection(row, text.reason, text.detail)
            else:
                yield from self._outcomes(row, text, next(found), context)

    def _outcomes(
        self, row: Row, text: str, hits: list[Hit], context: Context
    ) -> Iterator[Outcome]:
        fits = self._fitting(row, text, hits, context)
        if not fits:
            yield Rejection(row, "no_related", {"candidates": len(hits)})
        best = sorted(fits, key=lambda one: (-one.weight, -one.similarity))[: self.k]
        for place, pick in enumerate(best):
            target = row.child(self.name, place) if self.k > 1 else row
            yield self._beside(target, pick)

    def _beside(self, row: Row, pick: _Pick) -> Row:
        where = dict(zip(Passage._fields[1:], pick.passage[1:], strict=True))
        columns: dict[str, JSON] = {self.adds: pick.passage.text, self.bridge: list(pick.bridge)}
        columns |= {f"{self.adds}_{name}": value for name, value in where.items()}
        event = {"stage": self.name, **where, "similarity": pick.similarity}
        return row.with_data(columns, event)

    def _fitting(self, row: Row, text: str, hits: list[Hit], context: Context) -> list[_Pick]:
        passages = self.passages(context)
        counts = context.shared("counts", lambda: _counts(passages))
        own = stems(text)
        others = [passages[hit.place] for hit in hits]
        others = [other for other in others if self._elsewhere(row, text, other)]
        shared = [self._rare(own & stems(other.text), counts, len(passages)) for other in others]
        kept = [(o, s) for o, s in zip(others, shared, strict=True) if len(s) >= self.min_bridge]
        if not kept:
            return []
        vector, *vectors = context.embed([text, *(other.text for other, _ in kept)])
        picks = []
        for (other, words), their in zip(kept, vectors, strict=True):
            similarity = cosine(vector, their)
            if self.min_similarity <= similarity <= self.max_similarity:
                weight = math.fsum(math.log(len(passages) / counts[word]) for word in words)
                picks.append(_Pick(other, spelled(text, words), round(weight, 6), similarity))
        return picks

    def _elsewhere(self, row: Row, text: str, other: Passage) -> bool:
        if other.text == text:
            return False
        document = row.data.get("document")
        if self.other_document:
            return other.document != document
        return not same_place(other, document, row.data.get("start"), row.data.get("end"))

    def _rare(self, shared: frozenset[str], counts: Counter[str], passages: int) -> frozenset[str]:
        most = max(2, int(self.rare * passages))
        return frozenset(word for word in shared if 0 < counts[word] <= most)


def stems(text: str) -> frozenset[str]:
    """The stems of the content words of a text."""
    return frozenset(stem(word) for word in content_words(text))


def spelled(text: str, wanted: frozenset[str]) -> tuple[str, ...]:
    """The words of `text` whose stems are wanted, as it writes them; neighbours stay together.

    spelled("Ask Priya Nandakumar. Priya knows.", {"priya", "nandakumar"})
    ->  ("Priya Nandakumar",)
    """
    runs: list[tuple[int, int]] = []
    for word in _WORD.finditer(text):
        if not stems(word[0]) & wanted:
            continue
        if runs and text[runs[-1][1] : word.start()] in {" ", "-"}:
            runs[-1] = (runs[-1][0], word.end())
        else:
            runs.append((word.start(), word.end()))
    found = dict.fromkeys(text[start:end] for start, end in runs)
    longest = [one for one in found if not any(one in other and one != other for other in found)]
    return tuple(longest)


def _counts(passages: list[Passage]) -> Counter[str]:
    """How many passages have each stem."""
    return Counter(word for passage in passages for word in stems(passage.text))
