"""A stage's surroundings without a job, a ledger or a model: replies are scripted."""

import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chains.calls import Call, Message, Reply
from chains.models.spec import ModelSpec
from pipelines.rows import JSON, Outcome, Rejection, Row, seed_for
from pipelines.stages.base import Ask, Stage
from prompts.errors import UsageError
from prompts.prompt import Prompt

Script = Callable[[str, Call], str | Reply]


class FakeContext:
    """Implements `Context`: `script(model, call)` answers, `cosine` is that of any two texts."""

    def __init__(
        self,
        stage: Stage,
        script: Script = lambda model, call: call.messages[-1].content,
        *,
        prompts: Mapping[str, str] | None = None,
        cosine: float = 0.9,
        rows: int | None = None,
    ) -> None:
        self.stage = stage
        self.state = stage.open_state()
        self.rows = rows
        self.asked: list[Ask] = []
        self.embedded: list[str] = []
        self._script = script
        self._prompts = dict(prompts or {})
        self._cosine = cosine
        self._shared: dict[str, Any] = {}

    def seed(self, row: Row, attempt: int = 0, reply: int = 0) -> int:
        return seed_for(0, self.stage.name, row.id, attempt, reply)

    def prompt(self, name: str) -> Prompt:
        return Prompt.parse(name, self._prompts[name])

    def chat(self, prompt: Prompt, values: dict[str, JSON]) -> tuple[Message, ...]:
        return tuple(Message(role, content) for role, content in prompt.render(values))

    def model_label(self, model: str) -> str:
        return f"{model}@fake"

    def count_tokens(self, model: str, messages: Sequence[Message]) -> int:
        return sum(len(message.content.split()) for message in messages)

    def window(self, model: str) -> int:
        return 2048

    def shared(self, key: str, make: Callable[[], Any]) -> Any:
        if key not in self._shared:
            self._shared[key] = make()
        return self._shared[key]

    def path(self, text: str) -> Path:
        return Path(text)

    def spec(self, model: str) -> ModelSpec:
        return ModelSpec(model="scripted")

    def answer(self, ask: Ask) -> list[list[Reply]]:
        self.asked.append(ask)
        replies = [self._script(ask.model, call) for call in ask.calls]
        return [[Reply(r, "stop") if isinstance(r, str) else r] for r in replies]

    def embedder(self) -> str:
        return "fake"

    def indexes(self) -> Path | None:
        return None

    def embed(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Unit vectors any two different ones of which have the cosine asked for, nearly."""
        self.embedded += texts
        vectors = np.zeros((len(texts), 4097), dtype=np.float32)
        vectors[:, 0] = np.sqrt(self._cosine)
        for vector, text in zip(vectors, texts, strict=True):
            vector[1 + zlib.crc32(text.encode()) % 4096] = np.sqrt(1 - self._cosine)
        return vectors


class FakeJob:
    """Implements `JobView` over some prompts, models and columns."""

    def __init__(
        self,
        *,
        prompts: Mapping[str, str] | None = None,
        models: Sequence[str] = (),
        columns: Sequence[str] = (),
        rows: int | None = None,
    ) -> None:
        self._prompts = dict(prompts or {})
        self._models = models
        self._columns = set(columns)
        self.rows = rows

    def prompt(self, name: str, *, key: str = "") -> Prompt:
        if name not in self._prompts:
            raise UsageError(f"unknown prompt '{name}'", key=key)
        return Prompt.parse(name, self._prompts[name])

    def model(self, name: str, *, key: str = "") -> ModelSpec:
        if name not in self._models:
            raise UsageError(f"unknown model '{name}'", key=key)
        return ModelSpec(model="scripted")

    def need(self, columns: set[str], *, key: str = "") -> None:
        if columns - self._columns:
            raise UsageError(f"missing column {min(columns - self._columns)}", key=key)


def row(
    data: dict[str, JSON] | None = None, *, id: str = "r0", family: str = "", **columns: JSON
) -> Row:
    """A row with these columns."""
    number = int("".join(filter(str.isdigit, id)) or 0)
    return Row(id, (number,), family or id, {**(data or {}), **columns})


def outcomes(
    stage: Stage, rows: Sequence[Row], context: FakeContext | None = None
) -> list[Outcome]:
    """What the stage makes of the rows; every row must leave exactly once."""
    results = list(stage.run(iter(rows), context or FakeContext(stage)))
    ids = [result.row.id if isinstance(result, Rejection) else result.id for result in results]
    assert len(ids) == len(set(ids)), "a row left twice"
    assert {row.id for row in rows} <= set(ids), "a row was lost"
    return results


def reasons(results: Sequence[Outcome]) -> list[str]:
    """For each outcome the reason of its rejection, empty for a row that was kept."""
    return [result.reason if isinstance(result, Rejection) else "" for result in results]
