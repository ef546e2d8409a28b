"""`batch`: the answers of a batch API, each joined to the row that it was asked for.

    - {kind: batch, path: answers.jsonl, adds: answer, rows: outputs/questions/rows.jsonl}

    {"custom_id": "9f2c...", "response": {"status_code": 200, "body": {"choices": [...]}}}
    ->  Seed(data={"question": "When?", ..., "answer": "At noon.", "finish": "stop"}, key="9f2c...")

The exporter `batch` wrote the requests, with the rows' ids as `custom_id`. Servers answer in any
order: answers are read in the order of the file, or of `rows` where it is given, whose ids and data
are then held in memory together with the answers' texts.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from chains.loading.base import Unreadable
from pipelines.rows import JSON, digest
from pipelines.sources.base import SOURCES, BadSeed, Seed, Source, SourceView
from pipelines.sources.files import AnyPaths, File, find_files, hash_files, open_file
from pipelines.sources.stream import require_some
from pipelines.sources.tables import read_jsonl
from prompts.errors import SourceError

_SUFFIXES = (".jsonl", ".ndjson")

Answer = tuple[str, dict[str, JSON]]


@SOURCES.register
class Batch(Source):
    """Answers of a batch API.

    Attributes:
        path: The files of answers: a file, a folder, a glob pattern, or a list of them.
        adds: The column of an answer's text. Beside it, `finish` says why the answer ended.
        rows: `rows.jsonl` of the run that was exported; left out, rows hold `custom_id` instead of
            its columns.
    """

    kind: Literal["batch"] = "batch"
    path: AnyPaths
    adds: Annotated[str, Field(min_length=1)] = "response"
    rows: str = ""

    def columns(self, view: SourceView) -> set[str]:
        """Those of the first row that was asked for, and the answer's."""
        asked = next(self._asked(view), None)
        known = {"custom_id"} if asked is None else set(asked[1])
        return {*known, self.adds, "finish"}

    def read(self, view: SourceView) -> Iterator[Seed | BadSeed]:
        """One seed an answer; failed requests and answers nobody asked for are rejected."""
        yield from require_some(self._read(view), self.path)

    def fingerprint(self, view: SourceView) -> str:
        """Changes with the bytes of answers and rows."""
        files = hash_files(find_files(self.path, view, _SUFFIXES))
        asked = hash_files(find_files([self.rows], view, _SUFFIXES)) if self.rows else ""
        return digest(self.model_dump(mode="json", exclude={"path", "rows"}), files, asked)

    def _read(self, view: SourceView) -> Iterator[Seed | BadSeed]:
        if not self.rows:
            for item in self._answers(view):
                if isinstance(item, BadSeed):
                    yield item
                else:
                    yield Seed({"custom_id": item[0], **item[1]}, item[0])
            return
        answers: dict[str, dict[str, JSON]] = {}
        for item in self._answers(view):
            if isinstance(item, BadSeed):
                yield item
            elif item[0] in answers:
                yield BadSeed(item[0], "answered_twice", "an earlier answer was taken")
            else:
                answers[item[0]] = item[1]
        for name, data in self._asked(view):
            if name in answers:
                yield Seed({**data, **answers.pop(name)}, name)
        for name in answers:
            yield BadSeed(name, "not_asked", "no row has this id")

    def _answers(self, view: SourceView) -> Iterator[Answer | BadSeed]:
        """`custom_id` and columns of each answer."""
        for file in find_files(self.path, view, _SUFFIXES):
            if isinstance(file, BadSeed):
                yield file
                continue
            for place, content in _lines(file):
                try:
                    yield self._answer(content)
                except Unreadable as bad:
                    name = content.get("custom_id") if isinstance(content, Mapping) else None
                    yield BadSeed.of(bad, str(name or f"{file.name}:{place}"))

    def _answer(self, content: dict[str, Any] | Unreadable) -> Answer:
        if isinstance(content, Unreadable):
            raise content
        name, response = content.get("custom_id"), content.get("response") or {}
        if not isinstance(name, str) or not isinstance(response, Mapping):
            raise Unreadable("failed_request", "no custom_id, or a response that is no object")
        status = response.get("status_code", 200)
        if content.get("error") or status != 200:
            raise Unreadable("failed_request", str(content.get("error") or f"status {status}"))
        try:
            choice = response["body"]["choices"][0]
            text = choice["message"]["content"]
        except (KeyError, IndexError, TypeError) as exc:
            raise Unreadable("no_answer", f"no choice with a message: {exc!r}") from exc
        if not isinstance(text, str):
            raise Unreadable("no_answer", "the message has no content")
        return name, {self.adds: text, "finish": choice.get("finish_reason")}

    def _asked(self, view: SourceView) -> Iterator[tuple[str, dict[str, JSON]]]:
        """Id and columns of each row that was asked for."""
        if not self.rows:
            return
        for _, row in _lines(File(view.path(self.rows), self.rows)):
            if isinstance(row, Unreadable) or not {"id", "data"} <= row.keys():
                fix = "give the rows.jsonl of the run that the requests are from"
                raise SourceError(f"'{self.rows}' holds no rows of a run", fix=fix, key="rows")
            yield row["id"], row["data"]


def _lines(file: File) -> Iterator[tuple[int, dict[str, Any] | Unreadable]]:
    try:
        with open_file(file.path) as stream:
            yield from read_jsonl(stream)
    except Unreadable as bad:
        yield 0, bad
