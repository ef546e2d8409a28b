"""What a retriever is: settings that a job writes down, and the index they make of passages.

    settings = Bm25(k1=1.2)                         # in a job: retriever: {kind: bm25, k1: 1.2}
    index = settings.index([Passage("Cats purr.", "pets.md", 0, 10)])
    index.search(["Why do cats purr?"], k=3)        # [[Hit(place=0, score=0.26)]]

A new retriever is one file beside this one: a `RetrieverSettings` class that makes an `Index`. The
LangChain face (`chains.retrieval.retriever`), batches and the stage `retrieve` come with it.
Nothing heavy is imported here.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, SerializeAsAny, ValidationInfo

from chains.retrieval.resources import NOTHING, Resources
from prompts.registry import Registry, dotted


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


class Judge(NamedTuple):
    """A classifier that a retriever asks.

    Attributes:
        model: Its name.
        label: The label whose probability is wanted; empty for a model of one output.
    """

    model: str
    label: str


Without = Sequence[Collection[int]]
"""For each query the places that it may not find; empty where there are none for any."""


class Index(Protocol):
    """Passages that can be searched."""

    def search(self, queries: Sequence[str], k: int, without: Without = ()) -> list[list[Hit]]:
        """For each query at most `k` hits, best first, those of one score by rising place.

        A passage that has nothing to do with a query is no hit, so a query may have none.
        """


def leaving_out(
    search: Callable[[Sequence[str], int], list[list[Hit]]],
    queries: Sequence[str],
    k: int,
    without: Without,
) -> list[list[Hit]]:
    """What `search(queries, k)` finds where some places are left out.

    For searches whose hits for a smaller `k` are the first of those for a larger one.
    """
    if not without:
        return search(queries, k)
    more = max(map(len, without))
    found = search(queries, k + more)
    return [
        [hit for hit in hits if hit.place not in out][:k]
        for hits, out in zip(found, without, strict=True)
    ]


def by_rank(hit: Hit) -> tuple[float, int]:
    """The order of hits: the best first, those of one score by rising place."""
    return -hit.score, hit.place


class RetrieverSettings(BaseModel):
    """Settings of one sort of retriever; a subclass adds its own and the tag `kind`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str

    def index(self, passages: Sequence[Passage], resources: Resources = NOTHING) -> Index:
        """An index of `passages`, which may be none.

        Args:
            passages: What can be found.
            resources: The embedder, the models and the folder that it may use, now and whenever it
                is searched.
        """
        raise NotImplementedError

    def parts(self) -> "Mapping[str, RetrieverSettings]":
        """The retrievers inside this one, by their keys: `of`, `of.0`."""
        return {}

    def uses_embedder(self) -> bool:
        """Whether it, or one inside it, asks the embedder."""
        return any(part.uses_embedder() for part in self.parts().values())

    def judges(self) -> "dict[str, Judge]":
        """The classifiers that it and those inside it ask, by the keys that name them: `model`."""
        return {
            dotted(key, inner): judge
            for key, part in self.parts().items()
            for inner, judge in part.judges().items()
        }


Reorder = Callable[[Sequence[str], list[list[Hit]], int], list[list[Hit]]]
"""Takes queries and the hits of each, and gives at most so many of each in a new order."""


class SecondLook:
    """An index that orders anew what another one finds.

    Args:
        inner: The other one.
        depth: How many of its hits are looked at, or as many as are wanted if more.
        reorder: Orders them.
    """

    def __init__(self, inner: Index, depth: int, reorder: Reorder) -> None:
        self._inner = inner
        self._depth = depth
        self._reorder = reorder

    def search(self, queries: Sequence[str], k: int, without: Without = ()) -> list[list[Hit]]:
        """For each query some of what the other index found, in the new order."""
        if k < 1:
            return [[] for _ in queries]
        found = self._inner.search(queries, max(k, self._depth), without)
        return self._reorder(queries, found, k)


RETRIEVERS: Registry[RetrieverSettings] = Registry("retriever")


def _build(value: Any, info: ValidationInfo) -> RetrieverSettings:
    if isinstance(value, RetrieverSettings):
        return value
    key = info.field_name or "retriever"
    return RETRIEVERS.build({"kind": value} if isinstance(value, str) else value, key=key)


AnyRetriever = Annotated[SerializeAsAny[RetrieverSettings], BeforeValidator(_build)]
"""Annotation of a field that takes any retriever: `bm25`, or `{kind: bm25, k1: 1.2}`."""
