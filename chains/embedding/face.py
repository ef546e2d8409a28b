"""LangChain's view of an embedder, for vector stores and retrievers.

store = InMemoryVectorStore(EmbedderFace(open_embedder("embedded")))
"""

from langchain_core.embeddings import Embeddings

from chains.embedding.base import Embedder


class EmbedderFace(Embeddings):
    """An embedder as LangChain's `Embeddings`."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """One vector a text."""
        return [vector.tolist() for vector in self.embedder.encode(texts)]

    def embed_query(self, text: str) -> list[float]:
        """The vector of one text; queries and documents are encoded alike."""
        return self.embed_documents([text])[0]
