"""What columns a dataset has: one row of a table for each format that trainers read.

    {format: prompt-completion, columns: {prompt: question, completion: answer}}
    {"question": "When?", "answer": "At noon.", "context": "Lunch ..."}
    ->  {"prompt": "When?", "completion": "At noon."}

A format is strict: its columns and no others, each with its declared type, none of them null but
those that are said to be. Column names are those of TRL (text to stepwise), Alpaca (instruction,
alpaca), ShareGPT, OpenAI's fine-tuning, sentence-transformers (pairs to scored-pairs), text
classification, SetFit and ragas.
"""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field, replace

from pipelines.exporters import shapes
from pipelines.exporters.columns import TEXT, Type
from pipelines.exporters.parts import PartKind
from pipelines.exporters.shapes import Record
from prompts.errors import UsageError, unknown

MESSAGES = Type("list", item=Type("struct", fields=(("role", TEXT), ("content", TEXT))))
SHAREGPT = Type("list", item=Type("struct", fields=(("from", TEXT), ("value", TEXT))))
TEXTS = Type("list", item=TEXT)
FLAG = Type("bool")
FLAGS = Type("list", item=FLAG)
SCORE = Type("float64")


@dataclass(frozen=True, slots=True)
class Format:
    """A format of training data.

    Attributes:
        columns: Its columns with their types, in order. The column of kind label is an index.
        usual: Names the rows' columns often have, part -> column; the first whose columns all exist
            is taken where the job does not say. Its parts are what a row must give.
        tasks: `task_categories` of the dataset card.
        build: Parts -> record.
        kinds: What the parts are that are not text.
        optional: Further parts, taken from the column of that name where the job names no other.
        fault: What is wrong with a row whose parts are right each by itself; empty for nothing.
        exporter: The exporter that writes it where only the format is named.
        lines_only: Whether only JSON Lines hold it: its records differ in their keys.
    """

    columns: Mapping[str, Type]
    usual: tuple[Mapping[str, str], ...]
    tasks: tuple[str, ...]
    build: Callable[[Record], Record] = dict
    kinds: Mapping[str, PartKind] = field(default_factory=dict)
    optional: tuple[str, ...] = ()
    fault: Callable[[Record], str] | None = None
    exporter: str = "hf_dataset"
    lines_only: bool = False

    def ways(self) -> list[tuple[str, ...]]:
        """The sets of parts that a row may give; one of them in full is needed."""
        return list(dict.fromkeys(tuple(usual) for usual in self.usual))

    def parts(self) -> list[str]:
        """All parts, those that may be left out at the end."""
        needed = dict.fromkeys(part for way in self.ways() for part in way)
        return [*needed, *self.optional]

    def kind(self, part: str) -> PartKind:
        """What a part is."""
        return self.kinds.get(part, "text")


_EXCHANGES = (
    {"prompt": "prompt", "completion": "completion"},
    {"prompt": "question", "completion": "answer"},
    {"prompt": "instruction", "completion": "response"},
    {"prompt": "instruction", "completion": "output"},
)
_CONVERSATIONS = ({"messages": "messages"}, *_EXCHANGES)
_PROMPTS = ({"prompt": "prompt"}, {"prompt": "question"}, {"prompt": "instruction"})
_INSTRUCTIONS = (
    {"instruction": "instruction", "output": "output"},
    {"instruction": "instruction", "output": "response"},
    {"instruction": "question", "output": "answer"},
)
_CHOICES = (
    {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"},
    {"prompt": "question", "chosen": "chosen", "rejected": "rejected"},
    {"prompt": "instruction", "chosen": "chosen", "rejected": "rejected"},
)
_JUDGED = (
    {"prompt": "prompt", "completion": "completion", "label": "label"},
    {"prompt": "question", "completion": "answer", "label": "label"},
)
_LABELLED = ({"text": "text", "label": "label"}, {"text": "review", "label": "label"})

_WRITING = ("text-generation",)
_LIKENESS = ("sentence-similarity",)
_CLASSES = ("text-classification",)
_TURNS: Mapping[str, PartKind] = {"messages": "turns"}
_ALPACA = Format(
    columns={"instruction": TEXT, "input": TEXT, "output": TEXT},
    usual=_INSTRUCTIONS,
    build=shapes.instruction,
    tasks=_WRITING,
    optional=("input",),
)

FORMATS: Mapping[str, Format] = {
    "text": Format(columns={"text": TEXT}, usual=({"text": "text"},), tasks=_WRITING),
    "prompt-only": Format(columns={"prompt": TEXT}, usual=_PROMPTS, tasks=_WRITING),
    "prompt-completion": Format(
        columns={"prompt": TEXT, "completion": TEXT}, usual=_EXCHANGES, tasks=_WRITING
    ),
    "messages": Format(
        columns={"messages": MESSAGES},
        usual=_CONVERSATIONS,
        build=shapes.messages,
        kinds=_TURNS,
        tasks=_WRITING,
        optional=("system",),
    ),
    "conversational-prompt-only": Format(
        columns={"prompt": MESSAGES},
        usual=_PROMPTS,
        build=shapes.conversational(),
        kinds={"prompt": "exchange"},
        tasks=_WRITING,
        optional=("system",),
    ),
    "conversational-prompt-completion": Format(
        columns={"prompt": MESSAGES, "completion": MESSAGES},
        usual=_EXCHANGES,
        build=shapes.conversational("completion"),
        kinds={"prompt": "exchange", "completion": "exchange"},
        tasks=_WRITING,
        optional=("system",),
    ),
    "preference": Format(
        columns={"prompt": TEXT, "chosen": TEXT, "rejected": TEXT}, usual=_CHOICES, tasks=_WRITING
    ),
    "implicit-preference": Format(
        columns={"chosen": TEXT, "rejected": TEXT},
        usual=({"chosen": "chosen", "rejected": "rejected"},),
        tasks=_WRITING,
    ),
    "conversational-preference": Format(
        columns={"prompt": MESSAGES, "chosen": MESSAGES, "rejected": MESSAGES},
        usual=_CHOICES,
        build=shapes.conversational("chosen", "rejected"),
        kinds={"prompt": "exchange", "chosen": "exchange", "rejected": "exchange"},
        tasks=_WRITING,
        optional=("system",),
    ),
    "unpaired-preference": Format(
        columns={"prompt": TEXT, "completion": TEXT, "label": FLAG},
        usual=_JUDGED,
        kinds={"label": "flag"},
        tasks=_WRITING,
    ),
    "stepwise": Format(
        columns={"prompt": TEXT, "completions": TEXTS, "labels": FLAGS},
        usual=(
            {"prompt": "prompt", "completions": "completions", "labels": "labels"},
            {"prompt": "question", "completions": "steps", "labels": "labels"},
        ),
        kinds={"completions": "texts", "labels": "flags"},
        tasks=_WRITING,
        fault=shapes.steps_fault,
    ),
    "instruction": _ALPACA,
    "alpaca": replace(_ALPACA, exporter="jsonl"),
    "sharegpt": Format(
        columns={"conversations": SHAREGPT},
        usual=_CONVERSATIONS,
        build=shapes.sharegpt,
        kinds=_TURNS,
        tasks=_WRITING,
        optional=("system",),
        exporter="jsonl",
    ),
    "openai": Format(
        columns={"messages": MESSAGES},
        usual=_CONVERSATIONS,
        build=shapes.openai,
        kinds={"messages": "chat", "tools": "tools"},
        tasks=_WRITING,
        optional=("system", "tools"),
        exporter="jsonl",
        lines_only=True,
    ),
    "pairs": Format(
        columns={"anchor": TEXT, "positive": TEXT},
        usual=(
            {"anchor": "anchor", "positive": "positive"},
            {"anchor": "question", "positive": "context"},
            {"anchor": "question", "positive": "answer"},
        ),
        tasks=_LIKENESS,
    ),
    "triplets": Format(
        columns={"anchor": TEXT, "positive": TEXT, "negative": TEXT},
        usual=(
            {"anchor": "anchor", "positive": "positive", "negative": "negative"},
            {"anchor": "question", "positive": "context", "negative": "negative"},
        ),
        tasks=_LIKENESS,
    ),
    "scored-pairs": Format(
        columns={"sentence1": TEXT, "sentence2": TEXT, "score": SCORE},
        usual=({"sentence1": "sentence1", "sentence2": "sentence2", "score": "score"},),
        kinds={"score": "score"},
        tasks=_LIKENESS,
    ),
    "classification": Format(
        columns={"text": TEXT, "label": Type("label")},
        usual=_LABELLED,
        kinds={"label": "label"},
        tasks=_CLASSES,
    ),
    "setfit": Format(
        columns={"text": TEXT, "label": Type("label"), "label_text": TEXT},
        usual=_LABELLED,
        build=shapes.setfit,
        kinds={"label": "label"},
        tasks=_CLASSES,
    ),
    "ragas": Format(
        columns={
            "user_input": TEXT,
            "retrieved_contexts": TEXTS,
            "reference_contexts": TEXTS,
            "response": TEXT,
            "reference": TEXT,
        },
        usual=(
            {"user_input": "user_input", "reference": "reference"},
            {"user_input": "question", "reference": "answer"},
        ),
        build=shapes.ragas,
        kinds={"retrieved_contexts": "contexts", "reference_contexts": "contexts"},
        tasks=("question-answering",),
        optional=("retrieved_contexts", "reference_contexts", "response"),
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
    listing = ", ".join(sorted(available)) or "none"
    for part, column in given.items():
        if part not in form.parts():
            raise unknown("part", part, form.parts(), key=f"columns.{part}")
        if column not in available:
            fix = f"columns of the rows: {listing}"
            raise UsageError(f"no column '{column}'", fix=fix, key=f"columns.{part}")
    needed = [part for part in given if part not in form.optional]
    ways = [way for way in form.ways() if set(needed) <= set(way)]
    for usual in form.usual:
        mapping = {**usual, **given}
        if tuple(usual) in ways and available >= set(mapping.values()):
            return {**{part: part for part in form.optional}, **mapping}
    if not ways:
        either = " or ".join(f"{{{', '.join(way)}}}" for way in form.ways())
        problem = f"format '{name}' takes either {either}, not both"
        raise UsageError(problem, fix="name the columns of one of them", key="columns")
    missing = [part for part in ways[-1] if part not in given]
    wanted = ", ".join(f"{part}: COLUMN" for part in missing)
    problem = f"format '{name}' finds no column for {' and '.join(missing)}"
    fix = f"write 'columns: {{{wanted}}}' with columns of the rows: {listing}"
    raise UsageError(problem, fix=fix, key="columns")
