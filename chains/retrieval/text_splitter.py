"""Splitting by token spans as a LangChain text splitter, for use outside of jobs.

splitter = SpanTextSplitter(open_tokenizer(spec).spans, tokens=200, overlap=20)
splitter.split_text(text)                      # ["...", "..."]
splitter.split_documents(loader.load())        # with `start` and `end` in the metadata
"""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from typing import Any

from langchain_core.documents import Document
from langchain_text_splitters import TextSplitter

from chains.retrieval.splitting import Span, split_spans


class SpanTextSplitter(TextSplitter):
    """Cuts as `split_spans` does.

    Args:
        spans: Gives the (start, end) of each token of a text.
        tokens: The most tokens that a chunk may hold.
        overlap: How many of them it may share with the chunk before it, at most half.
    """

    def __init__(
        self, spans: Callable[[str], Sequence[Span]], *, tokens: int = 200, overlap: int = 20
    ) -> None:
        super().__init__(
            chunk_size=tokens, chunk_overlap=overlap, length_function=lambda text: len(spans(text))
        )
        self._spans = spans

    def split_text(self, text: str) -> list[str]:
        """The chunks of `text`, each exactly as it stands there."""
        return [text[start:end] for start, end in self._cut(text)]

    def create_documents(
        self, texts: list[str], metadatas: list[dict[Any, Any]] | None = None
    ) -> list[Document]:
        """One document a chunk, with the metadata of its text and its own `start` and `end`."""
        return [
            Document(text[start:end], metadata={**deepcopy(known), "start": start, "end": end})
            for text, known in zip(texts, metadatas or [{}] * len(texts), strict=True)
            for start, end in self._cut(text)
        ]

    def _cut(self, text: str) -> Iterable[Span]:
        return split_spans(text, self._spans(text), self._chunk_size, self._chunk_overlap)
