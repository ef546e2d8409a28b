"""Rows through one stage, with what it asked models about each of them.

outcomes, heard = through(stage, rows, context)
heard["9f2c4be0a1d35c77"][0].answers[0][0].text     # the first reply about that row
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from chains.calls import Reply
from pipelines.rows import Outcome, Row
from pipelines.soundness import sound
from pipelines.stages.base import Ask, Context, ModelStage, Stage, Work


class Exchange(NamedTuple):
    """What a stage asked a model about one row, and the answers."""

    ask: Ask
    answers: list[list[Reply]]


Heard = dict[str, list[Exchange]]
"""Row id -> what was asked about the row, in order."""


def through(stage: Stage, rows: Sequence[Row], context: Context) -> tuple[list[Outcome], Heard]:
    """The rows' outcomes, and what models were asked; batched as in a run.

    What a stage asks about several rows at once is not told.
    """
    heard: Heard = {row.id: [] for row in rows}
    if isinstance(stage, ModelStage):
        stage = _with_ears(stage, heard)
    return sound(list(stage.run(iter(rows), context)), rows), heard


def _with_ears(stage: ModelStage, heard: Heard) -> ModelStage:
    """A copy of the stage; stages are frozen, so that the method is put past pydantic."""
    copy = stage.model_copy()

    def safe_work(row: Row, context: Context) -> Work:
        return _overheard(stage.safe_work(row, context), heard[row.id])

    object.__setattr__(copy, "safe_work", safe_work)
    return copy


def _overheard(work: Work, heard: list[Exchange]) -> Work:
    answer: Any = None
    while True:
        try:
            request = work.send(answer)
        except StopIteration as stop:
            outcomes: list[Outcome] = stop.value
            return outcomes
        answer = yield request
        if isinstance(request, Ask):
            heard.append(Exchange(request, answer))
