"""`preview`: a few seed rows through all stages, with every prompt, reply and verdict in sight.

Nothing is written but the ledger, so a later run of the same job does not pay for these calls
again.
"""

import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from chains.calls import Reply
from pipelines.calling import Caller
from pipelines.console import plain, row_lines, show
from pipelines.job import LoadedJob
from pipelines.launch import outputs_folder
from pipelines.ledger import Ledger
from pipelines.rows import Rejection, Row
from pipelines.runner import StageContext
from pipelines.stages import Ask
from pipelines.supply import supply


class _Listening(Caller):
    """A caller that keeps what was asked and answered since it was last looked at."""

    heard: list[tuple[Ask, list[list[Reply]]]]

    def answer(self, ask: Ask) -> list[list[Reply]]:
        replies = super().answer(ask)
        self.heard.append((ask, replies))
        return replies


def preview_job(loaded: LoadedJob, count: int, ledger: Path | None, offline: bool) -> None:
    """Show what `count` seed rows become, stage by stage."""
    loaded.check()
    with Ledger(ledger or _default_ledger()) as memory:
        caller = _Listening(loaded.job.models, loaded.job.embedder, memory, offline=offline)
        caller.heard = []
        outcomes = (item.outcome for item in supply(loaded, passes=1))
        rows = list(islice((o for o in outcomes if isinstance(o, Row)), count))
        show("\n".join(_sources(rows)))
        for stage in loaded.job.stages:
            context = StageContext(stage, loaded, caller)
            came = list(stage.run(iter(rows), context))
            show(f"\n=== {stage.name} ({stage.kind})")
            show("\n".join(_exchanges(caller)))
            for outcome in came:
                show("\n".join(_verdict(outcome)))
            rows = sorted((o for o in came if isinstance(o, Row)), key=lambda row: row.order)


def _default_ledger() -> Path:
    folder = outputs_folder()
    return (folder if folder.is_dir() else Path(tempfile.gettempdir())) / "ledger.sqlite"


def _sources(rows: list[Row]) -> Iterator[str]:
    yield f"=== {len(rows)} seed rows"
    for row in rows:
        yield from row_lines(row.as_json())


def _exchanges(caller: _Listening) -> Iterator[str]:
    for ask, answers in caller.heard:
        for call, replies in zip(ask.calls, answers, strict=True):
            yield f"--- to {ask.model}"
            for message in call.messages:
                yield f"    {message.role}: {plain(message.content)}"
            for reply in replies:
                found = reply.error or plain(reply.text)
                yield f"    -> [{reply.finish}, {reply.completion_tokens} tokens] {found}"
    caller.heard.clear()


def _verdict(outcome: Row | Rejection) -> list[str]:
    if isinstance(outcome, Rejection):
        return ["- " + line if i == 0 else line for i, line in enumerate(_rejected(outcome))]
    return ["+ " + line if i == 0 else line for i, line in enumerate(row_lines(outcome.as_json()))]


def _rejected(outcome: Rejection) -> list[str]:
    return row_lines({**outcome.as_json(), "stage": "this stage"})
