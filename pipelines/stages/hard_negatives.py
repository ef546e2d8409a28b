"""`hard_negatives`: passages that look like the answer to a query and are not.

    - {kind: hard_negatives, query: question, path: handbook, split: {tokens: 60, overlap: 0}}

    {"question": "When does the shop open?", "context": "The shop opens at nine.", ...}
    ->  {..., "negative": "The canteen opens at noon.", "negatives": [{"text": ..., "score": 4.2}]}

Training a retriever takes passages that are wrong and hard to tell from the right one. A passage
that answers the query after all teaches it the opposite, so that candidates are left out that hold
the answer, are nearly the positive passage, or fit the query as well as that (Moreira et al. 2024,
arXiv:2407.15831).
"""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from chains.retrieval import Hit, Passage, words
from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.stages.base import STAGES, Context
from pipelines.stages.columns import read_text
from pipelines.stages.searching import SearchStage, cosine, same_place

Found = list[dict[str, JSON]]


@STAGES.register
class HardNegatives(SearchStage):
    """Add passages that score high for the query and do not answer it, or reject the row.

    Attributes:
        query: The column to search with.
        positive: The column with the passage that answers it. Where it stands is told by the
            columns `document`, `start` and `end`, if there are.
        answer: A column with the answer; passages that hold its words in a row are left out.
        k: How many negatives a row needs.
        other_document: Take passages of other documents only.
        max_similarity: The largest cosine, -1 to 1, of a negative's embedding and the positive's.
        margin: A negative's cosine with the query lies at least so much below the positive's, 0 to
            2; null does not compare them.
        adds: The column for the text of the hardest one.
        adds_all: The column for the list of all: `text`, `document`, `start`, `end`, `score` of the
            retriever and `similarity` to the query.
    """

    kind: Literal["hard_negatives"] = "hard_negatives"
    query: Annotated[str, Field(min_length=1)]
    positive: Annotated[str, Field(min_length=1)] = "context"
    answer: str = ""
    k: Annotated[int, Field(ge=1)] = 1
    other_document: bool = False
    max_similarity: Annotated[float, Field(ge=-1, le=1)] = 0.9
    margin: Annotated[float, Field(ge=0, le=2)] | None = 0.05
    adds: Annotated[str, Field(min_length=1)] = "negative"
    adds_all: Annotated[str, Field(min_length=1)] = "negatives"

    def columns_needed(self) -> set[str]:
        """The query, the positive passage and the answer."""
        return {self.query, self.positive, *filter(None, [self.answer])}

    def columns_added(self) -> set[str]:
        """The hardest one, and all."""
        return {self.adds, self.adds_all}

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Look for each row of the block."""
        block = [(row, self._texts(row)) for row in rows]
        queries = [texts[0] for _, texts in block if not isinstance(texts, Fault)]
        found = iter(self.search(queries, context))
        for row, texts in block:
            if isinstance(texts, Fault):
                yield Rejection(row, texts.reason, texts.detail)
            else:
                yield self._outcome(row, texts, next(found), context)

    def _texts(self, row: Row) -> tuple[str, str, str] | Fault:
        """Query, positive and answer."""
        found: list[str] = []
        for column in (self.query, self.positive, self.answer):
            text = read_text(row, column) if column else ""
            if isinstance(text, Fault):
                return text
            found.append(text)
        return found[0], found[1], found[2]

    def _outcome(
        self, row: Row, texts: tuple[str, str, str], hits: list[Hit], context: Context
    ) -> Outcome:
        negatives, left_out = self._negatives(row, texts, hits, context)
        if len(negatives) < self.k:
            detail = {"found": len(negatives), "wanted": self.k, "left_out": left_out}
            return Rejection(row, "no_negative", detail)
        where = [{key: one[key] for key in ("document", "start", "end")} for one in negatives]
        event = {"stage": self.name, "retriever": self.retriever.kind, "negatives": where}
        return row.with_data({self.adds: negatives[0]["text"], self.adds_all: negatives}, event)

    def _negatives(
        self, row: Row, texts: tuple[str, str, str], hits: list[Hit], context: Context
    ) -> tuple[Found, dict[str, int]]:
        """The `k` best-scored passages that are no positives, and why others were left out."""
        passages = self.passages(context)
        query, positive, answer = texts
        vectors = context.embed([query, positive, *(passages[hit.place].text for hit in hits)])
        nearest = cosine(vectors[0], vectors[1])
        left_out: Counter[str] = Counter()
        found: Found = []
        for hit, vector in zip(hits, vectors[2:], strict=True):
            passage = passages[hit.place]
            similarity = cosine(vectors[0], vector)
            reason = self._own(row, positive, passage)
            if not reason and answer and holds(passage.text, answer):
                reason = "answer"
            if not reason and cosine(vectors[1], vector) > self.max_similarity:
                reason = "similar"
            if not reason and self.margin is not None and similarity > nearest - self.margin:
                reason = "margin"
            if reason:
                left_out[reason] += 1
                continue
            found.append(
                {**passage._asdict(), "score": round(hit.score, 4), "similarity": similarity}
            )
            if len(found) == self.k:
                break
        return found, dict(sorted(left_out.items()))

    def _own(self, row: Row, positive: str, passage: Passage) -> str:
        document, start, end = (row.data.get(name) for name in ("document", "start", "end"))
        if passage.text == positive or same_place(passage, document, start, end):
            return "positive"
        return "document" if self.other_document and passage.document == document else ""


def holds(text: str, answer: str) -> bool:
    """Whether the words of `answer` stand in `text` in a row, whatever their case and marks."""
    wanted = " ".join(words(answer))
    return bool(wanted) and f" {wanted} " in f" {' '.join(words(text))} "
