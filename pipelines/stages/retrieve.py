"""`retrieve`: the passages of a folder of documents that fit a row best, put into the row.

    - {kind: retrieve, query: question, path: handbook, split: {tokens: 120, overlap: 20}, k: 2}

    {"question": "How many days off?"}
    -> {"question": ..., "passages": [{"text": "Twenty days a year ...", "document": "leave.md",
                                       "start": 19, "end": 412, "score": 3.1}]}

The index is built once a run, from the same documents and passages as the source `documents` would
give. A row for which nothing scores above `min_score` is rejected as `no_passage`.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from chains.loading import SUFFIXES
from chains.models.spec import ModelSpec
from chains.retrieval import AnyRetriever, Bm25, Passage
from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.sources.base import BadSeed, SourceView
from pipelines.sources.documents import Documents
from pipelines.sources.files import AnyPaths, find_files
from pipelines.sources.passages import AnySplit, Split
from pipelines.sources.stream import first_file
from pipelines.stages.base import STAGES, Context, JobView, Stage
from pipelines.stages.columns import read_text

if TYPE_CHECKING:
    from chains.retrieval.retriever import PassageRetriever

_log = logging.getLogger(__name__)


@STAGES.register
class Retrieve(Stage):
    """Look up passages for each row.

    Attributes:
        query: The column to search with.
        path: Documents to search, as for the source `documents`.
        split: How they are cut into passages.
        retriever: How to search: a name, or a mapping with `kind` and settings.
        k: The most passages that a row gets.
        min_score: Passages that do not score above it are left out.
        adds: The column for the list of passages.
    """

    kind: Literal["retrieve"] = "retrieve"
    query: Annotated[str, Field(min_length=1)]
    path: AnyPaths
    split: AnySplit = Split()
    retriever: AnyRetriever = Bm25()
    k: Annotated[int, Field(ge=1)] = 3
    min_score: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    adds: Annotated[str, Field(min_length=1)] = "passages"

    def columns_needed(self) -> set[str]:
        """The query."""
        return {self.query}

    def columns_added(self) -> set[str]:
        """The passages."""
        return {self.adds}

    def check(self, job: JobView) -> None:
        """There are documents, and the model whose tokens are counted is one of the job's."""
        first_file(find_files(self.path, job, SUFFIXES), self.path)
        if self.split is not None:
            job.model(self.split.model, key="split.model")

    def fingerprint(self, view: SourceView) -> str:
        """Changes with the documents."""
        return Documents(path=self.path, split=self.split).fingerprint(view)

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Search for all rows of the block together."""
        from chains.retrieval.retriever import as_data

        retriever = context.shared("retriever", lambda: self._open(context))
        block = [(row, read_text(row, self.query)) for row in rows]
        found = iter(retriever.batch([text for _, text in block if isinstance(text, str)]))
        for row, text in block:
            if isinstance(text, Fault):
                yield Rejection(row, text.reason, text.detail)
            else:
                yield self._outcome(row, [as_data(document) for document in next(found)])

    def _outcome(self, row: Row, passages: list[dict[str, JSON]]) -> Outcome:
        if not passages:
            return Rejection(row, "no_passage", {"column": self.query, "min_score": self.min_score})
        event = {"stage": self.name, "retriever": self.retriever.kind, "passages": len(passages)}
        return row.with_data({self.adds: passages}, event)

    def _open(self, context: Context) -> "PassageRetriever":
        from chains.retrieval.retriever import open_retriever

        documents = Documents(path=self.path, split=self.split)
        passages: list[Passage] = []
        bad: list[BadSeed] = []
        for seed in documents.read(_ContextView(context)):
            if isinstance(seed, BadSeed):
                bad.append(seed)
            else:
                columns = (seed.data[name] for name in ("context", "document", "start", "end"))
                passages.append(Passage(*columns))
        if bad:
            found = f"{len(bad)} files cannot be searched; first '{bad[0].key}': {bad[0].detail}"
            _log.warning("%s: %s", self.name, found)
        return open_retriever(self.retriever, passages, k=self.k, min_score=self.min_score)


@dataclass(frozen=True)
class _ContextView:
    """What a source may look up, from what a stage may."""

    context: Context
    seed: int = 0  # `documents` draws nothing

    def path(self, text: str) -> Path:
        return self.context.path(text)

    def model(self, name: str) -> ModelSpec:
        return self.context.spec(name)
