from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableLambda, RunnableParallel

from chains.retrieval import Bm25, Hit, Passage
from chains.retrieval.retriever import PassageRetriever, as_data, open_retriever

CATS = Passage("Cats purr.", "pets.md", 0, 10)
DOGS = Passage("Dogs bark at cats.", "pets.md", 11, 29)
FISH = Passage("Fish swim.", "sea/fish.md", 5, 15)


class CountingIndex:
    """Finds passage 0 for every query, and counts how often it is asked."""

    def __init__(self) -> None:
        self.searches: list[list[str]] = []

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        self.searches.append(list(queries))
        return [[Hit(0, float(len(query)))] for query in queries]


class Heard(BaseCallbackHandler):
    def __init__(self) -> None:
        self.queries: list[str] = []

    def on_retriever_start(self, serialized: Any, query: str, **kwargs: Any) -> None:
        self.queries.append(query)


def test_documents_say_where_they_stand() -> None:
    found = open_retriever(Bm25(), [CATS, DOGS, FISH]).invoke("Which fish?")
    assert [as_data(document) for document in found] == [
        {
            "text": "Fish swim.",
            "document": "sea/fish.md",
            "start": 5,
            "end": 15,
            "score": pytest.approx(0.54189, abs=1e-5),
        }
    ]


def test_k_and_min_score_bound_what_is_found() -> None:
    both = open_retriever(Bm25(), [CATS, DOGS, FISH]).invoke("cats")
    assert [document.page_content for document in both] == ["Cats purr.", "Dogs bark at cats."]
    best, second = (document.metadata["score"] for document in both)
    assert len(open_retriever(Bm25(), [CATS, DOGS, FISH], k=1).invoke("cats")) == 1
    assert len(open_retriever(Bm25(), [CATS, DOGS, FISH], min_score=second).invoke("cats")) == 1
    assert open_retriever(Bm25(), [CATS, DOGS, FISH], min_score=best).invoke("cats") == []


def test_a_batch_is_one_search_and_callbacks_hear_every_query() -> None:
    index, heard = CountingIndex(), Heard()
    retriever = PassageRetriever(passages=(CATS,), index=index)
    found = retriever.batch(["a", "bb"], {"callbacks": [heard]})
    assert index.searches == [["a", "bb"]]
    assert [documents[0].metadata["score"] for documents in found] == [1.0, 2.0]
    assert heard.queries == ["a", "bb"]
    assert retriever.batch([]) == []


def test_it_composes_with_other_runnables() -> None:
    retriever = open_retriever(Bm25(), [CATS, DOGS, FISH], k=1)
    chain = RunnableParallel(context=retriever, question=RunnableLambda(str.upper))
    assert [
        (r["context"][0].page_content, r["question"]) for r in chain.batch(["fish", "purr"])
    ] == [
        ("Fish swim.", "FISH"),
        ("Cats purr.", "PURR"),
    ]
