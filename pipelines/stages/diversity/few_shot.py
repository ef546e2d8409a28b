"""Worked examples drawn anew for each row, so that not all replies follow the same few.

    - {kind: generate, model: writer, prompt: qa/question, adds: question,
       examples: {from: examples.jsonl, n: 3, choose: mmr, columns: {reply: question}}}

    {"context": "Tea is hot.", "question": "What is hot?"}     a record; `context` is the prompt's
    ->  user: Ask about this passage: Tea is hot.  assistant: What is hot?      before the question

Drawn examples stand where the prompt's own do. Where fewer can be had than are wanted, as of a pool
at the beginning of a run, the prompt's own fill up.
"""

import json
import random
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.normalising import normalised
from pipelines.rows import JSON, Row, canonical
from pipelines.sources import Records
from pipelines.sources.files import PathView
from pipelines.stages.base import Context, Embed, JobView, Request
from pipelines.stages.columns import strings
from pipelines.stages.dedup.against import check_sets, fingerprint_sets, read_sets
from pipelines.stages.diversity.shots import Shot, Shots, most_relevant
from prompts.errors import SourceError, TextmillError, UsageError
from prompts.file_format import Example
from prompts.prompt import Prompt

if TYPE_CHECKING:
    from pipelines.stages.base import State
    from pipelines.stages.generate import Generate

POOL, OWN, REPLY = "pool", "prompt", "reply"


class FewShot(BaseModel):
    """Which examples a row's prompt shows.

    Attributes:
        origin: `prompt` for those of the prompt itself, `pool` for what the stage has let through
            in earlier blocks, or a path of records or of a run; `from` in a job.
        n: How many.
        choose: By chance; those nearest to the row by embedding; or by maximal marginal relevance.
        columns: Prompt variable, or `reply`, -> column of the records, where the names differ.
        relevance: For `mmr`: the weight, 0 to 1, of being near to the row; the rest is that of
            being far from the examples chosen already (Carbonell and Goldstein 1998).
        adds: A column for the list of the replies shown, which `copying` can compare with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    origin: Annotated[str, Field(min_length=1, alias="from")]
    n: Annotated[int, Field(ge=1, le=32)] = 3
    choose: Literal["random", "nearest", "mmr"] = "random"
    columns: dict[str, str] = {}
    relevance: Annotated[float, Field(ge=0, le=1)] = 0.7
    adds: str = ""

    @model_validator(mode="after")
    def _columns_are_of_records(self) -> "FewShot":
        if self.columns and self.origin in (POOL, OWN):
            raise ValueError(
                f"examples from the {self.origin} have no columns: leave 'columns' out"
            )
        return self

    def check(self, prompt: Prompt, adds: str | tuple[str, ...], job: JobView) -> None:
        """There are examples, and they fit the prompt.

        Raises:
            UsageError: They do not, or cannot be compared with a row.
            SourceError: The records cannot be read.
        """
        if self.choose != "random" and not prompt.variables_asked():
            problem = f"the last message of prompt '{prompt.name}' has no variable to compare"
            raise UsageError(problem, fix="write 'choose: random'", key="examples.choose")
        if self.origin == OWN and not prompt.examples:
            problem = f"prompt '{prompt.name}' has no examples"
            raise UsageError(problem, fix="give a file of examples", key="examples.from")
        if self.origin == POOL and not isinstance(adds, str):
            fix = "give adds one column, or take examples from a file"
            raise UsageError("a pool holds the replies of one column", fix=fix, key="examples.from")
        if self.origin not in (POOL, OWN):
            self._check_records(prompt, job)

    def fingerprint(self, view: PathView) -> str:
        """Changes with the file of examples; empty where there is none."""
        if self.origin in (POOL, OWN):
            return ""
        return fingerprint_sets({self.origin: Records(path=self.origin)}, view)

    def open_state(self) -> "State | None":
        """The memory of a pool."""
        return Shots() if self.origin == POOL else None

    def show(
        self, row: Row, stage: "Generate", prompt: Prompt, context: Context
    ) -> Generator[Request, Any, tuple[Row, Prompt]]:
        """The row with the names of its examples in its history, and the prompt with the examples.

        Args:
            row: The row.
            stage: The stage that asks about it.
            prompt: The stage's prompt.
            context: The stage's context.
        """
        shots = self._shots(prompt, context)
        asked = asked_text(prompt, stage.values(prompt, row))
        near = None
        if self.choose != "random":
            [near] = yield Embed((asked,))
        held = _Held(row, asked)
        usable = [at for at, shot in enumerate(shots.known) if not held.leaks(shot)]
        if near is None:
            order = random.Random(context.seed(row)).sample(usable, min(self.n, len(usable)))
        else:
            relevance = 1.0 if self.choose == "nearest" else self.relevance
            order = most_relevant(near, shots.vectors(context), usable, self.n, relevance)
            order.reverse()  # the best one stands next to the question
        chosen = [shots.known[at] for at in order]
        if self.origin != OWN and len(chosen) < self.n:
            own = (shot for shot in own_shots(prompt) if not held.leaks(shot))
            chosen += [*own][: self.n - len(chosen)]
        event: dict[str, JSON] = {"stage": stage.name, "examples": [shot.id for shot in chosen]}
        columns = {self.adds: [shot.example.reply for shot in chosen]} if self.adds else {}
        examples = [shot.example for shot in chosen]
        return row.with_data(columns, event), prompt.with_examples(examples)

    def _shots(self, prompt: Prompt, context: Context) -> Shots:
        if self.origin == POOL:
            pool: Shots = context.state
            return pool
        if self.origin == OWN:
            return context.shared("examples", lambda: Shots(own_shots(prompt)))
        return context.shared("examples", lambda: Shots(self._read(prompt, context)))

    def _records(self, prompt: Prompt) -> dict[str, Records]:
        names = [*sorted(prompt.variables_asked()), REPLY]
        columns = {name: self.columns.get(name, name) for name in names}
        return {self.origin: Records.model_validate({"path": self.origin, "columns": columns})}

    def _check_records(self, prompt: Prompt, job: JobView) -> None:
        known = {*prompt.variables_asked(), REPLY}
        stray = sorted(set(self.columns) - known)
        if stray:
            fix = f"name {', '.join(sorted(known))}"
            problem = f"prompt '{prompt.name}' has no variable '{stray[0]}' in its last message"
            raise UsageError(problem, fix=fix, key="examples.columns")
        try:
            check_sets(self._records(prompt), tuple(sorted(known)), job)
            found = sum(1 for _ in self._read(prompt, job))
        except TextmillError as exc:
            if exc.file is None:
                exc.key = "examples.from"
            raise
        if not found:
            fix = "give a file of records"
            raise SourceError(f"'{self.origin}' has no examples", fix=fix, key="examples.from")

    def _read(self, prompt: Prompt, view: PathView) -> Iterator[Shot]:
        """The records as examples.

        Raises:
            UsageError: One does not fit the prompt; it is named.
        """
        for _, record, seed in read_sets(self._records(prompt), view):
            values = {name: value for name, value in seed.data.items() if name != REPLY}
            example = Example(values=values, reply=reply_text(seed.data[REPLY]))
            try:
                prompt.with_examples((example,))
            except UsageError as exc:
                problem = f"example {record} of '{self.origin}': {exc.problem}"
                raise UsageError(problem, fix=exc.fix, key="examples.from") from exc
            yield Shot(record, "", example, asked_text(prompt, values))


def own_shots(prompt: Prompt) -> Iterator[Shot]:
    """The prompt's own examples, named by their number."""
    for number, example in enumerate(prompt.examples, 1):
        yield Shot(f"prompt {number}", "", example, asked_text(prompt, example.values))


def pooled(row: Row, stage: "Generate", prompt: Prompt) -> Shot:
    """A row that a stage let through, as an example for later blocks."""
    values, reply = stage.values(prompt, row), row.data[str(stage.adds)]
    asked = {name: values[name] for name in sorted(prompt.variables_asked())}
    example = Example(values=asked, reply=reply_text(reply))
    return Shot(row.id, row.family, example, asked_text(prompt, asked))


def asked_text(prompt: Prompt, values: dict[str, JSON]) -> str:
    """What examples and rows are compared by: the values that the last message shows."""
    return "\n".join(
        text for name in sorted(prompt.variables_asked()) for text in strings(values[name])
    )


def reply_text(value: JSON) -> str:
    """A column's value as a model would have written it."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n".join(value) if value else "[]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else canonical(value)


class _Held:
    """What a row says, normalised once: an example must not say it too."""

    def __init__(self, row: Row, asked: str) -> None:
        self._family = row.family
        self._asked = normalised(asked)
        self._texts = {normalised(value) for value in row.data.values() if isinstance(value, str)}

    def leaks(self, shot: Shot) -> bool:
        """Whether the example is the row itself, asks the same, or replies what the row holds."""
        asked, reply = shot.keys
        same = bool(self._asked) and asked == self._asked
        return same or reply in self._texts or (bool(shot.family) and shot.family == self._family)
