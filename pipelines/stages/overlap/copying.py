"""`copying`: keeps texts that are not copied from the row's own sources or the prompt's examples.

- {kind: copying, field: answer, against: [context, passages], max_span: 12}
- {kind: copying, field: question, prompt: qa/question}

context "... the stove burns for seventy minutes if it was full and the air is open ..."
answer  "It burns for seventy minutes if it was full and the air is open."
rejected: {"reason": "copied_span", "detail": {"source": "context", "span": 13, "share": 0.9286,
           "text": "burns for seventy minutes if it was full and the air is open"}}
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.stages.base import STAGES, Context, JobView, Stage, rejected_by
from pipelines.stages.columns import read_text, strings
from pipelines.stages.overlap.words import Common, common, encoded, quoted, words
from prompts.errors import UsageError

if TYPE_CHECKING:
    from prompts.prompt import Prompt


class Origin(NamedTuple):
    """A text that may have been copied, and what a rejection calls it."""

    name: str
    words: list[str]


@STAGES.register
class Copying(Stage):
    """Reject a text that repeats too much of what its writer was shown.

    Attributes:
        field: The column to check.
        against: The columns with the sources, or one; of lists and objects all text is looked at,
            piece by piece.
        prompt: A prompt whose worked examples must not be repeated: their values and replies.
        max_span: The most words in a row that a source may have too; null for any number.
        max_share: The greatest share, 0 to 1, of the text's words that lie in common runs of `n`
            words; null for any. A text of fewer than `n` words counts where it is there as a whole.
        n: Words in such a run.
    """

    kind: Literal["copying"] = "copying"
    field: Annotated[str, Field(min_length=1)]
    against: str | tuple[str, ...] = ()
    prompt: str = ""
    max_span: Annotated[int, Field(ge=1)] | None = 25
    max_share: Annotated[float, Field(ge=0, lt=1)] | None = 0.8
    n: Annotated[int, Field(ge=2, le=50)] = 5

    @field_validator("against")
    @classmethod
    def _a_list(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if isinstance(value, tuple) and not all(value):
            raise ValueError("name the column that holds the source")
        return value

    @model_validator(mode="after")
    def _has_something_to_compare(self) -> "Copying":
        if not self.against and not self.prompt:
            fix = "name the columns, such as 'against: context', or a prompt with examples"
            raise UsageError("copying needs 'against' or 'prompt'", fix=fix)
        if self.max_span is None and self.max_share is None:
            fix = "give one of them a bound"
            raise UsageError("'max_span' and 'max_share' are both null", fix=fix, key="max_span")
        return self

    @property
    def sources(self) -> tuple[str, ...]:
        """The columns with the sources."""
        if isinstance(self.against, str):
            return (self.against,) if self.against else ()
        return self.against

    def columns_needed(self) -> set[str]:
        """The column to check and those with the sources."""
        return {self.field, *self.sources}

    def check(self, job: JobView) -> None:
        """The prompt is there and has examples."""
        if self.prompt and not job.prompt(self.prompt, key="prompt").examples:
            fix = "leave 'prompt' out, or name one with examples"
            raise UsageError(f"prompt '{self.prompt}' has no examples", fix=fix, key="prompt")

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Compare each row's text with its sources and with the examples."""
        shown = context.shared("examples", lambda: self._examples(context))
        for row in rows:
            try:
                fault = self.fault(row, shown)
            except Exception as exc:
                yield rejected_by(exc, row)
                continue
            yield row if fault is None else Rejection(row, fault.reason, fault.detail)

    def fault(self, row: Row, shown: list[Origin]) -> Fault | None:
        """`copied_span` or `copied_share`, with the source that most was taken from."""
        text = read_text(row, self.field)
        if isinstance(text, Fault):
            return text
        missing = [column for column in self.sources if column not in row.data]
        if missing:
            return Fault("missing_column", {"column": missing[0], "columns": sorted(row.data)})
        ours = words(text)
        origins = [each for column in self.sources for each in _origins(column, row.data[column])]
        found = [(each.name, self._common(ours, each)) for each in (*origins, *shown)]
        for measure, most, reason in (
            (1, self.max_span, "copied_span"),
            (0, self.max_share, "copied_share"),
        ):
            name, worst = max(found, key=lambda pair: pair[1][measure], default=("", None))
            if worst is not None and most is not None and worst[measure] > most:
                detail = {"source": name, "span": worst.longest, "share": worst.share}
                return Fault(reason, {**detail, "text": quoted(ours, worst)})
        return None

    def _common(self, text: list[str], origin: Origin) -> Common:
        return common(*encoded(text, origin.words), self.n)

    def _examples(self, context: Context) -> list[Origin]:
        prompt = context.prompt(self.prompt) if self.prompt else None
        return [] if prompt is None else list(_shown(prompt))


def _origins(name: str, value: JSON) -> Iterator[Origin]:
    """The texts of a source, named by their column and, in a list, their number from 1."""
    if isinstance(value, list | tuple):
        for number, item in enumerate(value, 1):
            yield from _origins(f"{name} {number}", item)
        return
    for text in strings(value):
        yield Origin(name, words(text))


def _shown(prompt: "Prompt") -> Iterator[Origin]:
    for number, example in enumerate(prompt.examples, 1):
        for text in (*strings(example.values), example.reply):
            yield Origin(f"example {number} of {prompt.name}", words(text))
