"""The three sorts of stage. A new stage is one file beside this one with one narrow method.

    class Shout(Map):                                   # one row in, one row out
        kind: Literal["shout"] = "shout"
        field: str

        def columns_needed(self) -> set[str]:
            return {self.field}

        def apply(self, row: Row) -> Outcome:
            return row.with_data({self.field: row.data[self.field].upper()})

`Map.apply(row)` gives a row or a rejection, `Filter.fault(row)` a reason to reject or None, and
`ModelStage.work(row)` is a generator that yields what it wants to know from a model (`Ask`) or an
embedder (`Embed`) and is sent the answers: a stage that retries or asks twice (there and back
again) reads from top to bottom. The generators of a whole block advance together, one batch a
round.
"""

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from chains.calls import Call, Message, Reply
from chains.decoding import Decoding
from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.soundness import as_outcome
from prompts.errors import TextmillError, UsageError
from prompts.registry import Registry

if TYPE_CHECKING:
    import numpy as np

    from chains.models.spec import ModelSpec
    from pipelines.sources.base import SourceView
    from prompts.prompt import Prompt


T = TypeVar("T")

_SHOWN = 500  # characters of an exception's message that are kept


class Ask(NamedTuple):
    """Calls to one of the job's models; answered by one list of replies for each call."""

    model: str
    calls: tuple[Call, ...]


class Embed(NamedTuple):
    """Texts for the job's embedder; answered by unit vectors, an array [len(texts), dimensions]."""

    texts: tuple[str, ...]


Request = Ask | Embed
Work = Generator[Request, Any, list[Outcome]]


class State(Protocol):
    """What a stage remembers from row to row, such as the texts that dedup has seen."""

    def additions(self) -> list[JSON]:
        """What came in since the last call; the runner commits it together with the block."""

    def restore(self, additions: Iterable[JSON]) -> None:
        """Take in what an interrupted run had committed, in order."""


class JobView(Protocol):
    """What a stage may look at while a job is validated, before any model is loaded."""

    def prompt(self, name: str, *, key: str = "") -> "Prompt":
        """The prompt of that name. Raises UsageError where there is none."""

    def model(self, name: str, *, key: str = "") -> "ModelSpec":
        """The spec of the job's model of that name. Raises UsageError where there is none."""

    def path(self, text: str) -> Path:
        """A path of the job as an existing path. Raises SourceError where there is none."""

    def need(self, columns: set[str], *, key: str = "") -> None:
        """Raises UsageError where the rows that reach the stage may lack one of `columns`."""

    @property
    def rows(self) -> int | None:
        """How many rows the job wants; None where it takes all."""


class Context(Protocol):
    """What a stage may use while it runs."""

    def seed(self, row: Row, attempt: int = 0, reply: int = 0) -> int:
        """The seed of one model call of this stage."""

    def prompt(self, name: str) -> "Prompt":
        """A prompt by name, as it stood when the run began."""

    def chat(self, prompt: "Prompt", values: dict[str, JSON]) -> tuple[Message, ...]:
        """`prompt` rendered with `values`, as LangChain's prompt template gives it."""

    def model_label(self, model: str) -> str:
        """For a row's history: the model's name in the job and its fingerprint, `writer@1f2e`."""

    def count_tokens(self, model: str, messages: Sequence[Message]) -> int:
        """Length of a rendered chat in the tokens of one of the job's models."""

    def window(self, model: str) -> int:
        """Context window of one of the job's models, in tokens."""

    @property
    def state(self) -> Any:
        """What `open_state` gave, once a run."""

    @property
    def rows(self) -> int | None:
        """How many rows the job wants; None where it takes all."""

    def shared(self, key: str, make: Callable[[], T]) -> T:
        """What `make` gave when this stage first asked for `key` in this run: an index, say."""

    def path(self, text: str) -> Path:
        """A path of the job as an existing path. Raises SourceError where there is none."""

    def spec(self, model: str) -> "ModelSpec":
        """The spec of one of the job's models; an empty name gives the first one."""

    def answer(self, ask: Ask) -> list[list[Reply]]:
        """Answer calls from the ledger or the model; a call whose key is known costs nothing."""

    def embed(self, texts: Sequence[str]) -> "np.ndarray[Any, np.dtype[np.float32]]":
        """Unit vectors of the job's embedder, float32 [len(texts), dimensions]."""

    def embedder(self) -> str:
        """Fingerprint of the job's embedder."""

    def indexes(self) -> Path | None:
        """The folder where indexes are kept from run to run; None where none are."""


class Stage(BaseModel):
    """One step of a job: pure data, and a method that takes rows to rows and rejections."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]*$")] = ""

    def default_name(self) -> str:
        """The name where the job gives none: the first column it adds, else its kind."""
        added = getattr(self, "adds", "")
        first = added if isinstance(added, str) else (added[0] if added else "")
        return first or self.kind

    def columns_needed(self) -> set[str]:
        """Columns a row must have before this stage, as far as the settings tell."""
        return set()

    def columns_added(self) -> set[str]:
        """Columns a row has after this stage and may not have had before."""
        return set()

    def uses_embedder(self) -> bool:
        """Whether the stage asks the job's embedder."""
        return False

    def check(self, job: JobView) -> None:
        """Check prompts and models before any is loaded.

        Raises:
            UsageError: With `key` relative to the stage, such as "prompt".
        """

    def fingerprint(self, view: "SourceView") -> str:
        """A hash of files the stage reads beside its settings; empty where it reads none."""
        found = (value.fingerprint() for _, value in self if isinstance(value, Decoding))
        return " ".join(filter(None, found))

    def open_state(self) -> State | None:
        """A new, empty memory for one run; None for a stage that has none."""
        return None

    def report(self, rows: Iterable[Row], wanted: int | None) -> dict[str, JSON]:
        """What the manifest and the card say of a run's accepted rows on behalf of this stage.

        Args:
            rows: The accepted rows, in order.
            wanted: How many rows the job wants; None where it takes all.
        """
        return {}

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Take the rows of one block to rows and rejections, in order.

        Every row that comes in leaves under its own id exactly once, as a row or a rejection; rows
        with other ids are created ones. The runner checks that.
        """
        raise NotImplementedError


class Map(Stage):
    """One row in, one row or rejection out."""

    def apply(self, row: Row) -> Outcome:
        """The row changed, or rejected."""
        raise NotImplementedError

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Apply to each row; one that makes the stage raise is rejected."""
        for row in rows:
            try:
                outcome = as_outcome(self.apply(row))
            except Exception as exc:
                outcome = rejected_by(exc, row)
            yield outcome


class Filter(Stage):
    """Keeps a row or rejects it."""

    def fault(self, row: Row) -> Fault | str | None:
        """Why the row is rejected; None keeps it."""
        raise NotImplementedError

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Keep the rows without a fault; one that makes the stage raise has one."""
        for row in rows:
            try:
                fault = self.fault(row)
            except Exception as exc:
                yield rejected_by(exc, row)
                continue
            if fault is None:
                yield row
            elif isinstance(fault, str):
                yield Rejection(row, fault)
            else:
                yield Rejection(row, fault.reason, fault.detail)


class ModelStage(Stage):
    """A stage that asks models; a block's rows are worked on together, so calls are batched."""

    def work(self, row: Row, context: Context) -> Work:
        """Yield requests, be sent their answers, return what became of the row."""
        raise NotImplementedError

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Advance the work on all rows together, one batch of requests a round."""
        works = [self.safe_work(row, context) for row in rows]
        for outcomes in drive(works, context):
            yield from outcomes

    def safe_work(self, row: Row, context: Context) -> Work:
        """`work`, but a row that makes the stage raise is rejected."""
        try:
            return [as_outcome(made) for made in (yield from self.work(row, context))]
        except Exception as exc:
            return [rejected_by(exc, row)]


def rejected_by(exc: Exception, row: Row) -> Rejection:
    """The rejection of a row that a stage could not work on: no single row may stop a run.

    The reason is `unusable` for what the project itself refuses, such as a null value in a prompt,
    and `failed` for any other exception.

    Raises:
        Exception: `exc` again where it is not about the row: a model, a file, the memory.
    """
    if isinstance(exc, UsageError):
        return Rejection(row, "unusable", {"found": exc.problem})
    if isinstance(exc, TextmillError | OSError | MemoryError):
        raise exc
    message = re.sub(r"\b0x[0-9a-fA-F]+", "0x...", str(exc))  # addresses differ from run to run
    return Rejection(row, "failed", {"error": type(exc).__name__, "message": message[:_SHOWN]})


def drive(works: Sequence[Work], context: Context) -> list[list[Outcome]]:
    """Advance all works together, one batch of requests a round; the outcomes of each."""
    results: list[list[Outcome]] = [[] for _ in works]
    waiting: dict[int, Request] = {}

    def advance(index: int, answer: Any) -> None:
        try:
            waiting[index] = works[index].send(answer)
        except StopIteration as stop:
            waiting.pop(index, None)
            results[index] = stop.value

    for index in range(len(works)):
        advance(index, None)
    while waiting:
        for index, answer in _answers(waiting, context):
            advance(index, answer)
    return results


def _answers(waiting: dict[int, Request], context: Context) -> list[tuple[int, Any]]:
    """Answer one round: one batch a model, one for the embedder."""
    asks: dict[str, list[int]] = {}
    embeds: list[int] = []
    for index, request in waiting.items():
        if isinstance(request, Ask):
            asks.setdefault(request.model, []).append(index)
        else:
            embeds.append(index)
    answers: list[tuple[int, Any]] = []
    for model, indices in asks.items():
        calls = tuple(call for i in indices for call in waiting[i].calls)  # type: ignore[union-attr]
        replies = iter(context.answer(Ask(model, calls)))
        for i in indices:
            request = waiting[i]
            assert isinstance(request, Ask)
            answers.append((i, [next(replies) for _ in request.calls]))
    if embeds:
        texts = [text for i in embeds for text in waiting[i].texts]  # type: ignore[union-attr]
        vectors = context.embed(texts)
        start = 0
        for i in embeds:
            request = waiting[i]
            assert isinstance(request, Embed)
            answers.append((i, vectors[start : start + len(request.texts)]))
            start += len(request.texts)
    return answers


STAGES: Registry[Stage] = Registry("stage")

__all__ = [
    "STAGES",
    "Ask",
    "Context",
    "Embed",
    "Fault",
    "Filter",
    "JobView",
    "Map",
    "ModelStage",
    "Stage",
    "State",
    "Work",
]
