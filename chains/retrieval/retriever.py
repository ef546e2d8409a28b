"""Any index as a LangChain retriever.

    retriever = open_retriever(Bm25(), passages, k=3)
    retriever.invoke("Why do cats purr?")
    # [Document("Cats purr.", metadata={"document": "pets.md", "start": 0, "end": 10,
    #                                   "score": 0.3})]

It goes wherever LangChain takes a retriever: `{"context": retriever} | prompt | model`.
"""

from collections.abc import Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import get_config_list
from pydantic import ConfigDict, Field, SkipValidation

from chains.retrieval.base import Hit, Index, Passage, RetrieverSettings
from chains.retrieval.resources import NOTHING, Resources


def as_data(document: Document) -> dict[str, Any]:
    """A passage that was found, as rows hold it: `text`, `document`, `start`, `end`, `score`."""
    return {"text": document.page_content, **document.metadata}


class PassageRetriever(BaseRetriever):
    """Finds the passages that fit a query best.

    Attributes:
        passages: What `index` was made of, in its order.
        index: The index.
        k: The most passages that a query gets.
        min_score: Passages that do not score above it are left out.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    passages: tuple[Passage, ...] = Field(repr=False)
    index: SkipValidation[Index]
    k: int = 3
    min_score: float = 0.0

    def search(
        self, queries: Sequence[str], outside: Sequence[str] | None = None
    ) -> list[list[Document]]:
        """For each query its passages, best first, with `document`, `start`, `end` and `score`.

        Args:
            queries: What is searched for.
            outside: For each query a document whose passages it may not find; an empty name, or
                that of no document, leaves out nothing.
        """
        if outside is None:
            found = self.index.search(queries, self.k)
        else:
            places = self._places()
            found = self.index.search(queries, self.k, [places.get(name, ()) for name in outside])
        return [
            [self._document(hit) for hit in hits if hit.score > self.min_score] for hits in found
        ]

    def _places(self) -> dict[str, set[int]]:
        """The places of the passages of each document."""
        places: dict[str, set[int]] = {}
        for place, passage in enumerate(self.passages):
            places.setdefault(passage.document, set()).add(place)
        return places

    def batch(
        self,
        inputs: list[str],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[list[Document]]:
        """All queries in one search; callbacks hear of each as if it had been invoked.

        A search fails for all queries or for none, so that it raises whatever `return_exceptions`.
        """
        if not inputs:
            return []
        configs = get_config_list(config, len(inputs))
        found = zip(inputs, configs, self.search(inputs), strict=True)
        return [self.invoke(query, one, found=docs, **kwargs) for query, one, docs in found]

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        found: list[Document] | None = None,
    ) -> list[Document]:
        return self.search([query])[0] if found is None else found

    def _document(self, hit: Hit) -> Document:
        passage = self.passages[hit.place]
        place = {"document": passage.document, "start": passage.start, "end": passage.end}
        return Document(passage.text, metadata={**place, "score": hit.score})


def open_retriever(
    settings: RetrieverSettings,
    passages: Sequence[Passage],
    *,
    k: int = 3,
    min_score: float = 0.0,
    resources: Resources = NOTHING,
) -> PassageRetriever:
    """Index `passages` and make the index a LangChain retriever.

    Args:
        settings: Which retriever, and how.
        passages: What can be found; may be none.
        k: The most passages that a query gets.
        min_score: Passages that do not score above it are left out.
        resources: The embedder and the models that the retriever asks.

    Raises:
        UsageError: It asks an embedder or a model that is not among them.
    """
    index = settings.index(passages, resources)
    return PassageRetriever(passages=tuple(passages), index=index, k=k, min_score=min_score)
