"""`preview`: a few seed rows through all stages, with every prompt, reply and verdict in sight.

    === row 1 of 3: 0 9f2c4be0a1d35c77
        topic    | night trains

    --- question (generate)
        user     | Ask about night trains.
        reply    | When did night trains begin to run?
                 [writer: stop, 12 tokens in, 9 out]
        accepted
        question | When did night trains begin to run?

    --- length
        rejected: too_short (unit: words, length: 7, min: 9, max: None)

Nothing is written but the ledger, so a later run of the same job does not pay for these calls
again.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path

from chains.calls import Message, Reply
from pipelines.calling import Caller
from pipelines.console import (
    BAD,
    GOOD,
    HEAD,
    NOTE,
    STAGE,
    Line,
    beside,
    detail_text,
    labelled,
    say,
    show_lines,
)
from pipelines.job import LoadedJob
from pipelines.launch import default_ledger, stay_offline
from pipelines.ledger import Ledger
from pipelines.overhearing import Exchange, through
from pipelines.rows import JSON, Outcome, Rejection, Row
from pipelines.runner import StageContext
from pipelines.stages import ModelStage, Stage
from pipelines.supply import supply


def preview_job(loaded: LoadedJob, count: int, ledger: Path | None, offline: bool) -> None:
    """Show what `count` seed rows become, row by row.

    Raises:
        TextmillError: The job does not fit together, or a source or a model fails.
    """
    if offline:
        stay_offline()
    loaded.check()
    with Ledger(ledger or default_ledger()) as memory:
        caller = Caller(loaded.job.models, loaded.job.embedder, memory, offline=offline)
        stories, accepted = _stories(loaded, caller, count)
    for lines in stories:
        show_lines([*lines, Line("")])
    meter = caller.meter
    say(
        f"{len(accepted)} accepted; calls: {meter.calls}, {meter.known} of them from the ledger; "
        "nothing was written but the ledger"
    )


def _stories(loaded: LoadedJob, caller: Caller, count: int) -> tuple[list[list[Line]], list[Row]]:
    """The lines of each family and of what could not be read, and the rows that came through."""
    rows, unreadable = _first(loaded, count)
    stories: dict[str, list[Line]] = {}
    for number, row in enumerate(rows, start=1):
        title = f"=== row {number} of {len(rows)}: {row.order[0]} {row.id}"
        stories[row.family] = [Line(title, HEAD), *_columns(row.data)]
    for stage in loaded.job.stages:
        if not rows:
            break
        if isinstance(stage, ModelStage):
            say(f"{stage.name}: asking about {len(rows)} row{'s' * (len(rows) != 1)}")
        came, heard = through(stage, rows, StageContext(stage, loaded, caller))
        chats: list[tuple[Message, ...]] = []
        for family in dict.fromkeys(_row(outcome).family for outcome in came):
            story = stories.setdefault(family, [Line(f"=== family {family}", HEAD)])
            story += _step(stage, family, rows, came, heard, chats)
        rows = sorted((o for o in came if isinstance(o, Row)), key=lambda row: row.order)
    return [[*_refused(bad)] for bad in unreadable] + list(stories.values()), rows


def _first(loaded: LoadedJob, count: int) -> tuple[list[Row], list[Rejection]]:
    """The first rows of the sources, and what stood before and between them and cannot be read."""
    rows: list[Row] = []
    unreadable: list[Rejection] = []
    for item in supply(loaded, passes=1):
        if isinstance(item.outcome, Row):
            rows.append(item.outcome)
        else:
            unreadable.append(item.outcome)
        if len(rows) == count:
            break
    return rows, unreadable


def _step(
    stage: Stage,
    family: str,
    rows: Sequence[Row],
    came: Sequence[Outcome],
    heard: Mapping[str, list[Exchange]],
    chats: list[tuple[Message, ...]],
) -> Iterator[Line]:
    """One stage's part in the story of a family; `chats` takes what was shown of the stage."""
    kind = "" if stage.name == stage.kind else f" ({stage.kind})"
    yield Line("")
    yield Line(f"--- {stage.name}{kind}", STAGE)
    shown: tuple[Message, ...] = ()
    for row in rows:
        for exchange in heard[row.id] if row.family == family else ():
            for call, replies in zip(exchange.ask.calls, exchange.answers, strict=True):
                if call.messages != shown:
                    yield from _prompt(call.messages, chats)
                    chats.append(call.messages)
                shown = call.messages
                yield from _replies(exchange.ask.model, replies)
    mine = [outcome for outcome in came if _row(outcome).family == family]
    for outcome in mine:
        place = f" {'.'.join(map(str, _row(outcome).order))}" if len(mine) > 1 else ""
        yield from _verdict(outcome, rows, place)


def _prompt(messages: tuple[Message, ...], chats: list[tuple[Message, ...]]) -> Iterator[Line]:
    """Its messages, but for worked examples that the stage's last chat begins with too."""
    pairs = zip(messages, chats[-1] if chats else (), strict=False)
    same = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
    if same > 1:
        yield beside(f"[{same} messages as above]", NOTE)
        messages = messages[same:]
    for message in messages:
        yield from labelled(message.role, message.content)


def _replies(model: str, replies: Sequence[Reply]) -> Iterator[Line]:
    for reply in replies:
        if reply.finish == "error":
            yield from labelled("no reply", reply.error, BAD)
            continue
        yield from labelled("reply", reply.text)
        tokens = f"{reply.prompt_tokens} tokens in, {reply.completion_tokens} out"
        yield beside(f"[{model}: {reply.finish}, {tokens}]", NOTE)


def _verdict(outcome: Outcome, rows: Sequence[Row], place: str) -> Iterator[Line]:
    if isinstance(outcome, Rejection):
        detail = {key: value for key, value in outcome.detail.items() if key != "reply"}
        reason = f"    rejected{place}: {outcome.reason}{detail_text(detail)}"
        yield Line(reason, BAD)
        return
    yield Line(f"    accepted{place}", GOOD)
    before = next((r.data for r in rows if r.order == outcome.order[: len(r.order)]), {})
    changed = {k: v for k, v in outcome.data.items() if k not in before or before[k] != v}
    yield from _columns(changed)


def _refused(bad: Rejection) -> Iterator[Line]:
    yield Line(f"=== not readable: {bad.row.data['key']}", HEAD)
    yield Line(f"    rejected: {bad.reason}{detail_text(bad.detail)}", BAD)


def _columns(data: Mapping[str, JSON]) -> Iterator[Line]:
    for column, value in data.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield from labelled(column, text)


def _row(outcome: Outcome) -> Row:
    return outcome.row if isinstance(outcome, Rejection) else outcome
