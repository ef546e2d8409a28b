"""Splitting, retrieving and loading. Retrievers are one file each, listed here.

The LangChain faces are imported by their modules: `chains.retrieval.retriever.open_retriever`,
`chains.retrieval.text_splitter.SpanTextSplitter`, `chains.retrieval.community.load_documents`.
"""

from chains.retrieval.base import (
    RETRIEVERS,
    AnyRetriever,
    Hit,
    Index,
    Passage,
    RetrieverSettings,
    Without,
    leaving_out,
)
from chains.retrieval.bm25 import Bm25, words
from chains.retrieval.dense import Dense
from chains.retrieval.hybrid import Hybrid
from chains.retrieval.mmr import Mmr
from chains.retrieval.rerank import Rerank
from chains.retrieval.resources import NOTHING, OwnResources, Resources
from chains.retrieval.splitting import Span, split_spans, whole

__all__ = [
    "NOTHING",
    "RETRIEVERS",
    "AnyRetriever",
    "Bm25",
    "Dense",
    "Hit",
    "Hybrid",
    "Index",
    "Mmr",
    "OwnResources",
    "Passage",
    "Rerank",
    "Resources",
    "RetrieverSettings",
    "Span",
    "Without",
    "leaving_out",
    "split_spans",
    "whole",
    "words",
]
