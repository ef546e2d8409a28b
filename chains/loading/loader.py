"""The LangChain face of the formats: a document loader for any file that textmill reads.

FileLoader("report.pdf").load()
# [Document("...", metadata={"source": "report.pdf", "page": "1", "title": "..."}), ...]
"""

from collections.abc import Iterator
from pathlib import Path

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document

from chains.loading.base import Limits
from chains.loading.sandbox import Reader


class FileLoader(BaseLoader):
    """A file as one document, or as one a page, slide, sheet, chapter or message.

    Args:
        path: The file; its ending says how it is read.
        by_part: One document a part, where the format has parts.
        limits: What reading it may take.
    """

    def __init__(
        self, path: str | Path, *, by_part: bool = True, limits: Limits | None = None
    ) -> None:
        self._path = Path(path)
        self._by_part = by_part
        self._limits = limits or Limits()

    def lazy_load(self) -> Iterator[Document]:
        """The documents in order; `source`, the part's kind and label, and the file's metadata.

        Raises:
            OSError: There is no such file.
            Unreadable: It cannot become text.
        """
        with Reader(self._limits) as reader:
            reading = reader.read(self._path.read_bytes(), self._path.name)
        about = {"source": str(self._path), **reading.metadata}
        if not (self._by_part and reading.parts):
            yield Document(reading.text, metadata=about)
            return
        for part in reading.parts:
            text = reading.text[part.start : part.end]
            yield Document(text, metadata={**about, part.kind: part.label})
