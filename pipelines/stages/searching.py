"""Stages that look at all passages of a folder, or search among them.

- {kind: related, path: handbook, split: {tokens: 60, overlap: 0}, retriever: bm25}

The passages are those that the source `documents` would give with the same `path` and `split`.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from chains.loading import SUFFIXES
from chains.retrieval import AnyRetriever, Bm25, Hit, Index, Passage
from pipelines.sources.base import SourceView
from pipelines.sources.documents import Documents
from pipelines.sources.files import AnyPaths, find_files
from pipelines.sources.passages import AnySplit, Split
from pipelines.sources.stream import first_file
from pipelines.stages.base import Context, JobView, Stage
from pipelines.stages.corpus import JobResources, read_passages

if TYPE_CHECKING:
    import numpy as np

    Vector = np.ndarray[Any, np.dtype[np.float32]]


class CorpusStage(Stage):
    """A stage that looks at all passages of some documents.

    Attributes:
        path: The documents, as for the source `documents`.
        split: How they are cut into passages.
    """

    path: AnyPaths
    split: AnySplit = Split()

    def uses_embedder(self) -> bool:
        """It does."""
        return True

    def check(self, job: JobView) -> None:
        """There are documents, and the model whose tokens are counted is one of the job's."""
        first_file(find_files(self.path, job, SUFFIXES), self.path)
        if self.split is not None:
            job.model(self.split.model, key="split.model")

    def fingerprint(self, view: SourceView) -> str:
        """Changes with the documents."""
        return self._documents().fingerprint(view)

    def passages(self, context: Context) -> list[Passage]:
        """All passages, in the order of the documents."""
        documents = self._documents()
        return context.shared("passages", lambda: read_passages(documents, context, self.name))

    def _documents(self) -> Documents:
        return Documents(path=self.path, split=self.split)


class SearchStage(CorpusStage):
    """A stage that searches them.

    Attributes:
        retriever: How to search: a name, or a mapping with `kind` and settings.
        candidates: How many of the passages found are looked at, best first.
    """

    retriever: AnyRetriever = Bm25()
    candidates: Annotated[int, Field(ge=1)] = 50

    def search(self, queries: Sequence[str], context: Context) -> list[list[Hit]]:
        """For each query its candidates, as places among `passages`."""
        index: Index = context.shared("index", lambda: self._index(context))
        return index.search(queries, self.candidates)

    def _index(self, context: Context) -> Index:
        return self.retriever.index(self.passages(context), JobResources(context))


def cosine(one: "Vector", other: "Vector") -> float:
    """The cosine of two unit vectors, to four places: the same whatever else is compared.

    A vector of which half-precision numbers were kept is a little longer or shorter than one.
    """
    found = math.fsum((one.astype(float) * other.astype(float)).tolist())
    return round(min(1.0, max(-1.0, found)), 4)


def same_place(one: Passage, document: object, start: object, end: object) -> bool:
    """Whether a passage shares characters with `start` to `end` of `document`."""
    if one.document != document:
        return False
    if not isinstance(start, int) or not isinstance(end, int):
        return True
    return one.start < end and start < one.end
