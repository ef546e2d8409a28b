"""`retrieve`: the passages of a folder of documents that fit a row best, put into the row.

    - {kind: retrieve, query: question, path: handbook, split: {tokens: 120, overlap: 20}, k: 2}

    {"question": "How many days off?"}
    -> {"question": ..., "passages": [{"text": "Twenty days a year ...", "document": "leave.md",
                                       "start": 19, "end": 412, "score": 3.1}]}

The index is built once a run, from the same documents and passages as the source `documents` would
give. A row for which nothing scores above `min_score` is rejected as `no_passage`.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from chains.loading import SUFFIXES
from chains.retrieval import AnyRetriever, Bm25
from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.sources.base import SourceView
from pipelines.sources.documents import Documents
from pipelines.sources.files import AnyPaths, find_files
from pipelines.sources.passages import AnySplit, Split, check_window
from pipelines.sources.stream import first_file
from pipelines.stages.base import STAGES, Context, JobView, Stage
from pipelines.stages.columns import read_text
from pipelines.stages.corpus import JobResources, read_passages
from pipelines.stages.judging.answers import check_head, open_head
from prompts.errors import UsageError
from prompts.registry import dotted

if TYPE_CHECKING:
    from chains.retrieval.retriever import PassageRetriever

Column = Annotated[str, Field(min_length=1)]


def _columns(value: Any) -> Any:
    names = value if isinstance(value, list | tuple) else [value]
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError("write the name of a column, or a list of names")
    return value


Columns = Annotated[str | tuple[str, ...], BeforeValidator(_columns)]
"""Annotation of a field that takes the name of a column, or several."""


@STAGES.register
class Retrieve(Stage):
    """Look up passages for each row.

    Attributes:
        query: The column to search with, or several, whose texts are searched for together.
        path: Documents to search, as for the source `documents`.
        split: How they are cut into passages.
        retriever: How to search: a name, or a mapping with `kind` and settings.
        k: The most passages that a row gets.
        min_score: Passages that do not score above it are left out.
        exclude_document: A column with the name of a document, whose passages the row may not get:
            `document` where rows are passages of the same folder.
        adds: The column for the list of passages.
    """

    kind: Literal["retrieve"] = "retrieve"
    query: Columns
    path: AnyPaths
    split: AnySplit = Split()
    retriever: AnyRetriever = Bm25()
    k: Annotated[int, Field(ge=1)] = 3
    min_score: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    exclude_document: str = ""
    adds: Column = "passages"

    def columns_needed(self) -> set[str]:
        """The query, and the row's own document where that is left out."""
        return {*self._query(), *filter(None, [self.exclude_document])}

    def columns_added(self) -> set[str]:
        """The passages."""
        return {self.adds}

    def uses_embedder(self) -> bool:
        """Whether the retriever does."""
        return self.retriever.uses_embedder()

    def check(self, job: JobView) -> None:
        """There are documents, and the models that are named are the job's."""
        first_file(find_files(self.path, job, SUFFIXES), self.path)
        if self.split is not None:
            check_window(self.split, job.model(self.split.model, key="split.model"))
        for key, judge in self.retriever.judges().items():
            key = dotted("retriever", key)
            labels = check_head(job.model(judge.model, key=key))
            if labels is not None:
                _check_label(judge.label, labels, key)

    def fingerprint(self, view: SourceView) -> str:
        """Changes with the documents."""
        return Documents(path=self.path, split=self.split).fingerprint(view)

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Search for all rows of the block together."""
        retriever = context.shared("retriever", lambda: self._open(context))
        block = [(row, self._read(row)) for row in rows]
        found = iter(
            self._search([read for _, read in block if isinstance(read, tuple)], retriever)
        )
        for row, read in block:
            if isinstance(read, Fault):
                yield Rejection(row, read.reason, read.detail)
            else:
                yield self._outcome(row, next(found))

    def _query(self) -> tuple[str, ...]:
        return (self.query,) if isinstance(self.query, str) else self.query

    def _read(self, row: Row) -> tuple[str, str] | Fault:
        """What the row is searched with, and the document that is left out."""
        texts: list[str] = []
        for column in (*self._query(), *filter(None, [self.exclude_document])):
            text = read_text(row, column)
            if isinstance(text, Fault):
                return text
            texts.append(text)
        outside = texts.pop() if self.exclude_document else ""
        return "\n".join(texts), outside

    def _search(
        self, asked: list[tuple[str, str]], retriever: "PassageRetriever"
    ) -> list[list[dict[str, JSON]]]:
        from chains.retrieval.retriever import as_data

        queries = [query for query, _ in asked]
        if self.exclude_document:
            found = retriever.search(queries, [outside for _, outside in asked])
        else:
            found = retriever.batch(queries)
        return [[as_data(document) for document in documents] for documents in found]

    def _outcome(self, row: Row, passages: list[dict[str, JSON]]) -> Outcome:
        if not passages:
            column = ", ".join(self._query())
            return Rejection(row, "no_passage", {"column": column, "min_score": self.min_score})
        event = {"stage": self.name, "retriever": self.retriever.kind, "passages": len(passages)}
        return row.with_data({self.adds: passages}, event)

    def _open(self, context: Context) -> "PassageRetriever":
        from chains.retrieval.retriever import open_retriever

        for key, judge in self.retriever.judges().items():
            labels = open_head(judge.model, context) or ()
            _check_label(judge.label, labels, dotted("retriever", key))
        documents = Documents(path=self.path, split=self.split)
        passages = read_passages(documents, context, self.name)
        resources = JobResources(context)
        return open_retriever(
            self.retriever, passages, k=self.k, min_score=self.min_score, resources=resources
        )


def _check_label(label: str, labels: tuple[str, ...], key: str) -> None:
    """Refuse a model that gives no value for a pair, and one whose label is not said or not there.

    Raises:
        UsageError: With the key of the model.
    """
    if not labels:
        fix = "name a model with a sequence-classification head"
        raise UsageError("the model is no classifier", fix=fix, key=key)
    if label not in labels and (label or len(labels) > 1):
        found = f"the classifier has no label '{label}'" if label else "it has several labels"
        raise UsageError(found, fix=f"write 'label: ...' with one of {', '.join(labels)}", key=key)
