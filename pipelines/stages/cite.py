"""`cite`: says for each sentence of a text which place of the source supports it.

    - {kind: cite, field: answer}
    - {kind: cite, field: answer, against: passages, query: question}

    context "The shop opens at nine. Dogs wait outside."     answer "It opens at nine."
    ->  citations: [{"sentence": "It opens at nine.", "document": "shop.md", "start": 812,
                     "end": 835, "quote": "The shop opens at nine.", "score": 0.93}]

A sentence that no place supports rejects the row. Words and numbers are counted and meanings
compared; a sentence that denies its source has nearly all of its words, so that where it matters an
NLI model should read both (`model`).
"""

import math
from collections.abc import Generator, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from chains.calls import Call, Message
from chains.decoding.score import Score
from chains.text.sentences import sentences
from pipelines.rows import JSON, Fault, Rejection, Row
from pipelines.stages.base import STAGES, Ask, Context, Embed, JobView, ModelStage, Work
from pipelines.stages.columns import SourceColumns, listed, read_text
from pipelines.stages.judging.answers import check_head, logprob_of, open_head
from pipelines.stages.judging.entailment import entailing
from pipelines.stages.supporting import Place, Said, places, sources
from prompts.errors import UsageError

_QUERY_WEIGHT = 0.25  # of the question's words, which only tell equally good places apart


class _Found(NamedTuple):
    place: Place
    share: float
    similarity: float | None
    score: float


@STAGES.register
class Cite(ModelStage):
    """Add citations, or reject a text with a sentence that nothing supports.

    A place is a sentence of the source or two in a row. It supports a sentence where it has all of
    its numbers, and `min_share` of its content words or a meaning as near as `min_similarity`; of
    several the one with the highest score is cited.

    Attributes:
        field: The column with the text.
        against: The column with the source, or several: texts, or lists of passages.
        query: A column, such as the question of a short answer, that helps to tell the place.
        min_share: The least share, 0 to 1, of a sentence's content words that its place has.
        min_similarity: The cosine, -1 to 1, from which on a place supports a sentence in other
            words; null asks no embedder.
        model: An NLI classifier among the job's models, which also has to find that the place
            entails the sentence; left out, none.
        label: The classifier's label for entailment; left out, the one that begins with "entail".
        min_entailment: The least probability of that.
        adds: The column for the citations.
    """

    kind: Literal["cite"] = "cite"
    field: Annotated[str, Field(min_length=1)]
    against: SourceColumns = "context"
    query: str = ""
    min_share: Annotated[float, Field(ge=0, le=1)] = 0.6
    min_similarity: Annotated[float, Field(ge=-1, le=1)] | None = 0.75
    model: str = ""
    label: str = ""
    min_entailment: Annotated[float, Field(ge=0, le=1)] = 0.5
    adds: Annotated[str, Field(min_length=1)] = "citations"

    @model_validator(mode="after")
    def _label_has_a_model(self) -> Self:
        if self.label and not self.model:
            fix = "name the NLI model, or leave label out"
            raise UsageError("a label is that of a model", fix=fix, key="label")
        return self

    def columns_needed(self) -> set[str]:
        """The text, the source and the query."""
        return {self.field, *listed(self.against), *filter(None, [self.query])}

    def columns_added(self) -> set[str]:
        """The citations."""
        return {self.adds}

    def uses_embedder(self) -> bool:
        """Whether meaning counts too."""
        return self.min_similarity is not None

    def check(self, job: JobView) -> None:
        """The model, where one is named, has a label for entailment."""
        if self.model:
            labels = check_head(job.model(self.model, key="model"))
            if labels is not None:
                entailing(labels, self.label)

    def work(self, row: Row, context: Context) -> Work:
        """The row with its citations, or its rejection with the first sentence without one."""
        text = read_text(row, self.field)
        query = read_text(row, self.query) if self.query else ""
        source = sources(row, listed(self.against))
        for fault in (text, query, source):
            if isinstance(fault, Fault):
                return [Rejection(row, fault.reason, fault.detail)]
        said = [Said.of(sentence) for sentence in sentences(str(text))]
        if not said:
            return [Rejection(row, "empty", {"column": self.field})]
        found = places(source if isinstance(source, list) else [])
        best = yield from self._best(said, found, str(query))
        refused = self._refused(said, best)
        if refused is None and self.model:
            refused = yield from self._not_entailed(said, best, context)
        if refused is not None:
            return [Rejection(row, refused.reason, refused.detail)]
        citations = [_citation(each, one) for each, one in zip(said, best, strict=True) if one]
        cited = {"stage": self.name, "citations": len(citations)}
        return [row.with_data({self.adds: citations}, cited)]

    def _best(
        self, said: Sequence[Said], found: Sequence[Place], query: str
    ) -> Generator[Embed, Any, list[_Found | None]]:
        """For each sentence the place with the highest score, the shorter one of equals."""
        if not found:
            return [None for _ in said]
        similarities: list[list[float | None]] = [[None] * len(found) for _ in said]
        if self.min_similarity is not None:
            asked = [f"{query} {each.text}".strip() for each in said]
            vectors = yield Embed((*asked, *(place.text for place in found)))
            similarities = (vectors[: len(said)] @ vectors[len(said) :].T).tolist()
        hint = Said.of(query)
        best: list[_Found | None] = []
        for number, each in enumerate(said):
            options = [
                self._weighed(each, hint, place, similarity)
                for place, similarity in zip(found, similarities[number], strict=True)
            ]
            best.append(min(options, key=lambda one: (-self._supports(each, one), *_rank(one))))
        return best

    def _weighed(self, said: Said, hint: Said, place: Place, similarity: float | None) -> _Found:
        share = said.share(place)
        near = None if similarity is None else round(similarity, 4)
        parts = [share, *([] if near is None else [near])]
        score = sum(parts) / len(parts) + _QUERY_WEIGHT * hint.share(place)
        return _Found(place, round(share, 4), near, score / (1 + _QUERY_WEIGHT * bool(hint.text)))

    def _supports(self, said: Said, one: _Found) -> bool:
        if said.numbers - one.place.numbers:
            return False
        worded = bool(said.stems or said.numbers) and one.share >= self.min_share
        return worded or (
            self.min_similarity is not None
            and one.similarity is not None
            and one.similarity >= self.min_similarity
        )

    def _refused(self, said: Sequence[Said], best: Sequence[_Found | None]) -> Fault | None:
        for each, one in zip(said, best, strict=True):
            if one is None:
                return Fault("not_supported", {"sentence": each.text})
            if not self._supports(each, one):
                detail: dict[str, JSON] = {"sentence": each.text, "share": one.share}
                if one.similarity is not None:
                    detail["similarity"] = one.similarity
                return Fault("not_supported", {**detail, "nearest": one.place.text})
        return None

    def _not_entailed(
        self, said: Sequence[Said], best: Sequence[_Found | None], context: Context
    ) -> Generator[Ask, Any, Fault | None]:
        """The first sentence that the model does not find in its place."""
        labels = context.shared("labels", lambda: open_head(self.model, context) or ())
        score = Score(target=entailing(labels, self.label), end=False)
        pairs = [
            (Message("user", one.place.text), Message("user", each.text))
            for each, one in zip(said, best, strict=True)
            if one
        ]
        answers = yield Ask(self.model, tuple(Call(pair, score) for pair in pairs))
        for (_, sentence), replies in zip(pairs, answers, strict=True):
            logprob = logprob_of(replies)
            if isinstance(logprob, Fault):
                return logprob
            chance = round(math.exp(logprob), 4)
            if chance < self.min_entailment:
                detail = {"sentence": sentence.content, "probability": chance}
                return Fault("not_entailed", detail)
        return None


def _rank(one: _Found) -> tuple[float, int, int]:
    """A pair of sentences has to earn its length: it comes behind one that scores as well."""
    return (-round(one.score, 2), len(one.place.text), one.place.start)


def _citation(said: Said, found: _Found) -> dict[str, JSON]:
    place = found.place
    return {
        "sentence": said.text,
        "document": place.document,
        "start": place.start,
        "end": place.end,
        "quote": place.text,
        "score": round(found.score, 4),
    }
