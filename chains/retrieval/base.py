"""What a retriever is: settings that a job writes down, and the index they make of passages.

    settings = Bm25(k1=1.2)                         # in a job: retriever: {kind: bm25, k1: 1.2}
    index = settings.index([Passage("Cats purr.", "pets.md", 0, 10)])
    index.search(["Why do cats purr?"], k=3)        # [[Hit(place=0, score=0.23)]]

A new retriever is one file beside this one: a `RetrieverSettings` class that makes an `Index`. The
LangChain face (`chains.retrieval.retriever`), batches and the stage `retrieve` come with it.
Nothing heavy is imported here.
"""

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, SerializeAsAny

from prompts.registry import Registry


class Passage(NamedTuple):
    """A stretch of a document: `text` is characters `start` to `end` of `document`."""

    text: str
    document: str
    start: int
    end: int


class Hit(NamedTuple):
    """A passage that was found.

    Attributes:
        place: Its place among those indexed, from 0.
        score: How well it fits; more is better. Comparable within one query only.
    """

    place: int
    score: float


class Index(Protocol):
    """Passages that can be searched."""

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """For each query at most `k` hits, best first, those of one score by rising place.

        A passage that has nothing to do with a query is no hit, so a query may have none.
        """


class RetrieverSettings(BaseModel):
    """Settings of one sort of retriever; a subclass adds its own and the tag `kind`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str

    def index(self, passages: Sequence[Passage]) -> Index:
        """An index of `passages`, which may be none."""
        raise NotImplementedError


RETRIEVERS: Registry[RetrieverSettings] = Registry("retriever")


def _build(value: Any) -> RetrieverSettings:
    if isinstance(value, RetrieverSettings):
        return value
    return RETRIEVERS.build({"kind": value} if isinstance(value, str) else value, key="retriever")


AnyRetriever = Annotated[SerializeAsAny[RetrieverSettings], BeforeValidator(_build)]
"""Annotation of a field that takes any retriever: `bm25`, or `{kind: bm25, k1: 1.2}`."""
