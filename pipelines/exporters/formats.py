"""What columns a dataset has: one row of a table for each format that trainers read.

    {format: prompt-completion, columns: {prompt: question, completion: answer}}
    {"question": "When?", "answer": "At noon.", "context": "Lunch ..."}
    ->  {"prompt": "When?", "completion": "At noon."}

A format is strict: its columns and no others, each with its declared type, none of them null.
Column names are those of TRL (text, prompt-completion, messages), Alpaca (instruction) and of text
classification.
"""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

from pipelines.exporters.columns import TEXT, Type
from pipelines.rows import JSON
from prompts.errors import UsageError, unknown

Record = dict[str, JSON]

MESSAGES = Type("list", item=Type("struct", fields=(("role", TEXT), ("content", TEXT))))


@dataclass(frozen=True, slots=True)
class Format:
    """A format of training data.

    Attributes:
        columns: Its columns with their types, in order. The column of kind label is an index.
        parts: What a row must give it: each a text, and for "label" also a whole number or a truth
            value.
        usual: Names the rows' columns often have, part -> column; the first whose columns all exist
            is taken where the job does not say.
        build: Parts -> record.
        tasks: `task_categories` of the dataset card.
        optional: Further parts, taken from the column of that name where the job names no other.
    """

    columns: Mapping[str, Type]
    parts: tuple[str, ...]
    usual: tuple[Mapping[str, str], ...]
    build: Callable[[Record], Record]
    tasks: tuple[str, ...]
    optional: tuple[str, ...] = ()


def _messages(parts: Record) -> Record:
    roles = {"system": "system", "prompt": "user", "completion": "assistant"}
    return {
        "messages": [
            {"role": role, "content": parts[part]} for part, role in roles.items() if part in parts
        ]
    }


def _instruction(parts: Record) -> Record:
    return {
        "instruction": parts["instruction"],
        "input": parts.get("input", ""),
        "output": parts["output"],
    }


_EXCHANGES = (
    {"prompt": "prompt", "completion": "completion"},
    {"prompt": "question", "completion": "answer"},
    {"prompt": "instruction", "completion": "response"},
    {"prompt": "instruction", "completion": "output"},
)

FORMATS: Mapping[str, Format] = {
    "text": Format(
        columns={"text": TEXT},
        parts=("text",),
        usual=({"text": "text"},),
        build=dict,
        tasks=("text-generation",),
    ),
    "prompt-completion": Format(
        columns={"prompt": TEXT, "completion": TEXT},
        parts=("prompt", "completion"),
        usual=_EXCHANGES,
        build=dict,
        tasks=("text-generation",),
    ),
    "messages": Format(
        columns={"messages": MESSAGES},
        parts=("prompt", "completion"),
        usual=_EXCHANGES,
        build=_messages,
        tasks=("text-generation",),
        optional=("system",),
    ),
    "instruction": Format(
        columns={"instruction": TEXT, "input": TEXT, "output": TEXT},
        parts=("instruction", "output"),
        usual=(
            {"instruction": "instruction", "output": "output"},
            {"instruction": "instruction", "output": "response"},
            {"instruction": "question", "output": "answer"},
        ),
        build=_instruction,
        tasks=("text-generation",),
        optional=("input",),
    ),
    "classification": Format(
        columns={"text": TEXT, "label": Type("label")},
        parts=("text", "label"),
        usual=({"text": "text", "label": "label"}, {"text": "review", "label": "label"}),
        build=dict,
        tasks=("text-classification",),
    ),
}

ROWS = "rows"
"""The format outside the table: the rows' own columns, with types inferred from their values."""


def format_names() -> list[str]:
    """All formats."""
    return [ROWS, *FORMATS]


def resolve(name: str, given: Mapping[str, str], available: Set[str]) -> dict[str, str]:
    """Where each part of a format comes from: part -> column of the rows.

    Args:
        name: A name of the table.
        given: What the job says; the usual names are tried for the rest.
        available: The columns that the rows have.

    Raises:
        UsageError: A part has no column; what there is is named.
    """
    form = FORMATS[name]
    for part in given:
        if part not in (*form.parts, *form.optional):
            raise unknown("part", part, [*form.parts, *form.optional], key=f"columns.{part}")
    listing = ", ".join(sorted(available)) or "none"
    for part, column in given.items():
        if column not in available:
            fix = f"columns of the rows: {listing}"
            raise UsageError(f"no column '{column}'", fix=fix, key=f"columns.{part}")
    extra = {part: part for part in form.optional}
    for usual in form.usual:
        mapping = {**usual, **given}
        if available >= set(mapping.values()):
            return {**extra, **mapping}
    missing = [part for part in form.parts if part not in given]
    wanted = ", ".join(f"{part}: COLUMN" for part in missing)
    problem = f"format '{name}' finds no column for {' and '.join(missing)}"
    fix = f"write 'columns: {{{wanted}}}' with columns of the rows: {listing}"
    raise UsageError(problem, fix=fix, key="columns")
