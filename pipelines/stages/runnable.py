"""`runnable`: any LangChain Runnable of your own as a stage.

    - {kind: runnable, target: my_module:chain, fields: [topic], adds: question}

my_module.py:  chain = ChatPromptTemplate.from_template("Ask about {topic}.") | model | parser

The Runnable is given {"topic": ...} for every row and its output fills the column. The job knows
nothing of what happens inside it: its calls are not in the ledger, so they are paid again when an
interrupted run is resumed or repeated, and only what the Runnable itself makes reproducible is so.
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, field_validator

from pipelines.rows import JSON, Outcome, Rejection, Row
from pipelines.stages.base import STAGES, Context, JobView, Stage
from prompts.errors import UsageError

SHOWN = 2_000  # characters of an exception's message that are kept


@STAGES.register
class RunnableStage(Stage):
    """Call a Runnable with columns of each row, a block of rows as one batch.

    A row whose call raises, or gives what is no JSON, is rejected as `runnable_error`.

    Attributes:
        target: `module:name` of a Runnable, in a module that Python can import.
        fields: The columns that make up its input, a dict; or input key -> column.
        adds: The column for its output.
    """

    kind: Literal["runnable"] = "runnable"
    target: Annotated[str, Field(min_length=1)]
    fields: dict[str, str] | tuple[str, ...]
    adds: Annotated[str, Field(min_length=1)]

    @field_validator("fields", mode="before")
    @classmethod
    def _one_column_is_a_list_of_one(cls, value: JSON) -> JSON:
        return (value,) if isinstance(value, str) else value

    @property
    def inputs(self) -> dict[str, str]:
        """Input key -> column."""
        if isinstance(self.fields, dict):
            return self.fields
        return {column: column for column in self.fields}

    def columns_needed(self) -> set[str]:
        """The columns of the input."""
        return set(self.inputs.values())

    def columns_added(self) -> set[str]:
        """The column for the output."""
        return {self.adds}

    def check(self, job: JobView) -> None:
        """Python finds the target's module."""
        from chains.runnables import find_target

        try:
            find_target(self.target)
        except UsageError as exc:
            raise UsageError(exc.problem, fix=exc.fix, key="target") from exc

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Call the Runnable for all rows of the block."""
        from chains.runnables import Failure, open_runnable

        block = list(rows)
        runnable = context.shared("runnable", lambda: open_runnable(self.target))
        complete = [row for row in block if self.columns_needed() <= row.data.keys()]
        inputs = [{key: row.data[c] for key, c in self.inputs.items()} for row in complete]
        outputs = dict(zip((row.id for row in complete), runnable.batch(inputs), strict=True))
        for row in block:
            if row.id not in outputs:
                missing = sorted(self.columns_needed() - row.data.keys())
                yield Rejection(row, "missing_column", {"column": missing[0]})
                continue
            output = outputs[row.id]
            if isinstance(output, Failure):
                detail = {"error": output.kind, "message": output.message[:SHOWN]}
                yield Rejection(row, "runnable_error", detail)
            else:
                event: dict[str, JSON] = {"stage": self.name, "target": self.target}
                yield row.with_data({self.adds: output}, event)
