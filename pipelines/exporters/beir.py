"""BEIR: a corpus, queries and relevance judgements for testing retrieval.

    {kind: beir, query: question, passage: context, title: document}

    corpus.jsonl      {"_id": "9f2c...", "title": "leave.md", "text": "Twenty days a year."}
    queries.jsonl     {"_id": "41aa...", "text": "How many days?"}
    qrels/test.tsv    query-id  corpus-id  score
                      41aa...   9f2c...    1

Ids are hashes of the texts: a passage or query that several rows have stands there once. What is
held in memory is the ids and the judgements.
"""

from collections.abc import Iterable
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from pipelines.exporters.base import EXPORTERS, Exporter, Finished
from pipelines.exporters.jsonl import JsonlFile
from pipelines.exporters.parts import part_of, shown
from pipelines.rows import Row, digest
from prompts.errors import UsageError, unknown

_HEADER = "query-id\tcorpus-id\tscore\n"


@EXPORTERS.register
class Beir(Exporter):
    """A retrieval benchmark of the rows' questions and the passages they come from.

    Attributes:
        query: The column of queries.
        passage: The column of the passage that answers the query.
        title: The column of the passage's title; left out, titles are empty.
        score: A column of whole numbers, 0 or more, that say how relevant the passage is; left out,
            1 for all.
        distractors: A column of further passages for the corpus, such as the `passages` of the
            stage `retrieve`, that are not judged.
        split: Name of the file of judgements.
    """

    kind: Literal["beir"] = "beir"
    query: str = "question"
    passage: str = "context"
    title: str = ""
    score: str = ""
    distractors: str = ""
    split: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")] = "test"

    def check(self, columns: set[str]) -> None:
        """All columns will exist."""
        for key in ("query", "passage", "title", "score", "distractors"):
            column = getattr(self, key)
            if column and column not in columns:
                raise unknown("column", column, list(columns), key=key)

    def write(self, run: Finished, folder: Path) -> dict[str, Any]:
        """Write corpus, queries and judgements.

        Returns:
            `{"queries": 28, "passages": 12, "judgements": 30}`.

        Raises:
            UsageError: A query or passage is no text, or a score no number; names column and row.
        """
        judgements: dict[tuple[str, str], int] = {}
        with ExitStack() as stack:
            corpus = stack.enter_context(_Distinct(folder / "corpus.jsonl"))
            queries = stack.enter_context(_Distinct(folder / "queries.jsonl"))
            for row in run.rows():
                pair = self._query(row, queries), self._passage(row, corpus)
                judgements[pair] = max(self._score(row), judgements.get(pair, 0))
                for text in self._further(row):
                    corpus.add({"title": "", "text": text})
        lines = (f"{query}\t{passage}\t{score}\n" for (query, passage), score in judgements.items())
        _write_lines(folder / "qrels" / f"{self.split}.tsv", chain([_HEADER], lines))
        return {
            "queries": len(queries),
            "passages": len(corpus),
            "judgements": len(judgements),
        }

    def _query(self, row: Row, queries: "_Distinct") -> str:
        return queries.add({"text": part_of(row, self.query, "text", "a query", key="query")})

    def _passage(self, row: Row, corpus: "_Distinct") -> str:
        text = part_of(row, self.passage, "text", "a passage", key="passage")
        title = part_of(row, self.title, "text", "a title", key="title") if self.title else ""
        return corpus.add({"title": title, "text": text})

    def _score(self, row: Row) -> int:
        value = row.data.get(self.score) if self.score else 1
        if type(value) is not int or value < 0:
            found = f"column '{self.score}' holds {shown(value)} in row {row.id}"
            fix = "give whole numbers from 0"
            raise UsageError(f"{found}, which is no relevance", fix=fix, key="score")
        return value

    def _further(self, row: Row) -> list[str]:
        if not self.distractors or row.data.get(self.distractors) is None:
            return []
        use = "what stands beside a passage"
        texts: list[str] = part_of(row, self.distractors, "contexts", use, key="distractors")
        return texts


class _Distinct:
    """A file of texts under the hash of their content, each written once."""

    def __init__(self, path: Path) -> None:
        self._file = JsonlFile(path)
        self._known: set[str] = set()

    def add(self, record: dict[str, str]) -> str:
        """Write the record if its text is new; gives its id.

        A text keeps its first title, so that one passage is not judged as two.
        """
        identity = digest(record["text"])
        if identity not in self._known:
            self._known.add(identity)
            self._file.add({"_id": identity, **record})
        return identity

    def __len__(self) -> int:
        return len(self._known)

    def __enter__(self) -> "_Distinct":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir()
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(lines)
