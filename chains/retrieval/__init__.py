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
)
from chains.retrieval.bm25 import Bm25, words
from chains.retrieval.splitting import Span, split_spans, whole

__all__ = [
    "RETRIEVERS",
    "AnyRetriever",
    "Bm25",
    "Hit",
    "Index",
    "Passage",
    "RetrieverSettings",
    "Span",
    "split_spans",
    "whole",
    "words",
]
