"""The rows that reach a stage, and what becomes of them under one variant.

    rows = rows_at(loaded, "question", 40, caller)      # the same for every variant
    traces = trial(varied_job, "question", rows, caller)
    traces[0].outcomes        # what came of the first row at the end of the job
    traces[0].replies         # every reply of the stage's model about it

All calls go through the ledger: a call that an earlier comparison or run has paid costs nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice

from chains.calls import Message, Reply
from pipelines.calling import Caller
from pipelines.job import LoadedJob
from pipelines.overhearing import Heard, through
from pipelines.rows import Outcome, Rejection, Row
from pipelines.runner import StageContext
from pipelines.soundness import sound
from pipelines.supply import supply
from prompts.errors import ModelError, UsageError, unknown


@dataclass(slots=True)
class Trace:
    """What became of one row.

    Attributes:
        row: As it reached the stage.
        made: What the stage made of it.
        outcomes: What came of that at the end of the job.
        messages: The first chat that the stage sent.
        replies: All replies that the stage got.
        tokens: That the stage and later ones had generated for it.
    """

    row: Row
    made: list[Outcome] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    messages: tuple[Message, ...] = ()
    replies: list[Reply] = field(default_factory=list)
    tokens: int = 0


@dataclass(slots=True)
class Gate:
    """How many rows came to a later stage, and how many it let through."""

    came: int = 0
    passed: int = 0


def stage_named(loaded: LoadedJob, name: str) -> int:
    """The stage's place.

    Raises:
        UsageError: There is none of that name.
    """
    names = [stage.name for stage in loaded.job.stages]
    if name not in names:
        raise unknown("stage", name, names, key="--stage")
    return names.index(name)


def rows_at(
    loaded: LoadedJob, stage: str, count: int, caller: Caller, tell: Callable[[str], None]
) -> list[Row]:
    """The first `count` rows that reach the stage, fewer where the sources end before.

    As many seed rows are taken as the job's budget has for so many rows.

    Raises:
        UsageError: No row reaches the stage.
    """
    before = loaded.job.stages[: stage_named(loaded, stage)]
    contexts = [StageContext(each, loaded, caller) for each in before]
    outcomes = (item.outcome for item in supply(loaded, passes=1))
    readable = (row for row in outcomes if isinstance(row, Row))
    seeds = islice(readable, max(1, int(count * loaded.job.budget.seeds_per_row)))
    rows: list[Row] = []
    while len(rows) < count and (block := list(islice(seeds, count))):
        for each, context in zip(before, contexts, strict=True):
            tell(each.name)
            with _located(loaded):
                block = _rows(sound(list(each.run(iter(block), context)), block))
        rows += block
    if not rows:
        fix = "look at what the stages before it reject: textmill preview JOB"
        raise UsageError(f"no row reaches the stage '{stage}'", fix=fix, key="--stage")
    return rows[:count]


def trial(
    loaded: LoadedJob, stage: str, rows: Sequence[Row], caller: Caller, gates: dict[str, Gate]
) -> list[Trace]:
    """Take the rows through the stage and those behind it, as one block.

    Args:
        loaded: The job of one variant and repeat.
        stage: Where the rows begin.
        rows: With ids and orders of their own.
        caller: Answers the calls.
        gates: Of the later stages by name; counted on.
    """
    place = stage_named(loaded, stage)
    traces = {row.order: Trace(row) for row in rows}
    present = list(rows)
    for each in loaded.job.stages[place:]:
        with _located(loaded):
            came, heard = through(each, present, StageContext(each, loaded, caller))
        _note_calls(traces, present, heard, first=each.name == stage)
        for outcome in came:
            trace = _trace_of(traces, outcome)
            if each.name == stage:
                trace.made.append(outcome)
            else:
                gate = gates.setdefault(each.name, Gate())
                gate.came += 1
                gate.passed += isinstance(outcome, Row)
            if isinstance(outcome, Rejection):
                trace.outcomes.append(replace(outcome, stage=each.name))
        present = _rows(came)
    for row in present:
        _trace_of(traces, row).outcomes.append(row)
    for trace in traces.values():
        trace.outcomes.sort(key=lambda outcome: row_of(outcome).order)
    return list(traces.values())


def row_of(outcome: Outcome) -> Row:
    """The row, also of one that was rejected."""
    return outcome.row if isinstance(outcome, Rejection) else outcome


def _rows(outcomes: Sequence[Outcome] | Iterator[Outcome]) -> list[Row]:
    return sorted((o for o in outcomes if isinstance(o, Row)), key=lambda row: row.order)


def _trace_of(traces: dict[tuple[int, ...], Trace], outcome: Outcome) -> Trace:
    """That of the row which the outcome's order begins with."""
    order = row_of(outcome).order
    lengths = range(len(order), 0, -1)
    return traces[next(order[:length] for length in lengths if order[:length] in traces)]


def _note_calls(
    traces: dict[tuple[int, ...], Trace], rows: Sequence[Row], heard: Heard, *, first: bool
) -> None:
    for row in rows:
        trace = _trace_of(traces, row)
        for ask, answers in heard[row.id]:
            replies = [reply for each in answers for reply in each]
            trace.tokens += sum(reply.completion_tokens for reply in replies)
            if first:
                trace.messages = trace.messages or ask.calls[0].messages
                trace.replies += replies


@contextmanager
def _located(loaded: LoadedJob) -> Iterator[None]:
    """Give a model's error the line of the job."""
    try:
        yield
    except ModelError as exc:
        raise loaded.located(exc) from exc
