"""`run --dry-run`: the prompts as they will be sent and what the first block costs; no model.

A row is followed through the stages as long as the ledger knows its replies. From its first unknown
call on, what happens to it cannot be known: one call for each reply of each later stage is then
assumed, and the count is called an estimate.
"""

import json
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from chains.calls import Call
from pipelines.calling import Caller
from pipelines.console import plain, say, show
from pipelines.job import LoadedJob
from pipelines.launch import outputs_folder
from pipelines.ledger import Ledger, call_key, vector_key
from pipelines.rows import Outcome, Row
from pipelines.runner import StageContext
from pipelines.stages import Ask, Embed, ModelStage, Stage
from pipelines.supply import supply


@dataclass(slots=True)
class Forecast:
    """What one stage will ask for in the first block.

    Attributes:
        known: Calls the ledger will answer.
        paid: Calls that will be paid, as far as rows can be followed.
        assumed: Calls assumed for rows that cannot be followed this far.
        prompt_tokens: Tokens of the prompts of paid calls.
        example: The first prompt, rendered.
    """

    known: int = 0
    paid: int = 0
    assumed: int = 0
    prompt_tokens: int = 0
    example: tuple[Call, ...] = field(default=())


def dry_run(loaded: LoadedJob, ledger: Path | None) -> dict[str, Forecast]:
    """A forecast for each stage that asks models, over the job's first block."""
    outcomes = (item.outcome for item in supply(loaded, passes=1))
    rows = list(islice((o for o in outcomes if isinstance(o, Row)), loaded.job.block))
    with Ledger(ledger or Path(":memory:")) as memory:
        follower = _Follower(loaded, memory)
        for stage in loaded.job.stages:
            rows = follower.follow(stage, rows)
    return follower.forecasts


def show_dry_run(
    loaded: LoadedJob, *, out: Path | None, ledger: Path | None, as_json: bool
) -> None:
    """Show prompts, calls and tokens of a job's first block."""
    loaded.check()
    folder = out.parent if out is not None else outputs_folder()
    file = ledger or folder / "ledger.sqlite"
    forecasts = dry_run(loaded, file if file.exists() else None)
    if as_json:
        stages = {name: _figures(forecast) for name, forecast in forecasts.items()}
        show(json.dumps({"block": loaded.job.block, "stages": stages}))
        return
    for name, forecast in forecasts.items():
        show(f"=== {name}")
        for call in forecast.example[:1]:
            for message in call.messages:
                show(f"    {message.role}: {plain(message.content)}")
        figures = _figures(forecast)
        show("    " + ", ".join(f"{key} {value}" for key, value in figures.items()))
    if any(forecast.assumed for forecast in forecasts.values()):
        say("'assumed' counts are estimates: they depend on replies that are not known yet")
    say(f"figures are for the first block of {loaded.job.block} seed rows; no model was loaded")


def _figures(forecast: Forecast) -> dict[str, int]:
    return {
        "known": forecast.known,
        "paid": forecast.paid,
        "assumed": forecast.assumed,
        "prompt_tokens": forecast.prompt_tokens,
    }


class _Follower:
    def __init__(self, loaded: LoadedJob, ledger: Ledger) -> None:
        self.loaded = loaded
        self.ledger = ledger
        self.caller = Caller(loaded.job.models, loaded.job.embedder, ledger, offline=True)
        self.forecasts: dict[str, Forecast] = {}
        self.lost = 0
        self._tokenizers: dict[str, Any] = {}

    def follow(self, stage: Stage, rows: list[Row]) -> list[Row]:
        context = StageContext(stage, self.loaded, self.caller)
        if not isinstance(stage, ModelStage):
            return [o for o in stage.run(iter(rows), context) if isinstance(o, Row)]
        forecast = self.forecasts.setdefault(stage.name, Forecast())
        replies = getattr(getattr(stage, "decoding", None), "n", 1)
        forecast.assumed += self.lost * replies
        followed: list[Row] = []
        for row in rows:
            outcomes = self._work(stage, row, context, forecast)
            if outcomes is None:
                self.lost += 1
            else:
                followed += [o for o in outcomes if isinstance(o, Row)]
        return followed

    def _work(
        self, stage: ModelStage, row: Row, context: StageContext, forecast: Forecast
    ) -> list[Outcome] | None:
        """The row's outcomes, or None from the first request that nothing known answers."""
        work = stage.work(row, context)
        answer: Any = None
        while True:
            try:
                request = work.send(answer)
            except StopIteration as stop:
                outcomes: list[Outcome] = stop.value
                return outcomes
            answer = (
                self._embed(request) if isinstance(request, Embed) else self._ask(request, forecast)
            )
            if answer is None:
                work.close()
                return None

    def _embed(self, request: Embed) -> Any:
        import numpy as np

        from chains.embedding import fingerprint

        print_ = fingerprint(self.loaded.job.embedder)
        keys = [vector_key(print_, text) for text in request.texts]
        known = self.ledger.get_vectors(keys)
        return np.stack([known[key] for key in keys]) if len(known) == len(set(keys)) else None

    def _ask(self, request: Ask, forecast: Forecast) -> Any:
        fingerprint = self.caller.fingerprint(request.model)
        keys = [call_key(fingerprint, call) for call in request.calls]
        known = self.ledger.get(keys)
        forecast.example = forecast.example or request.calls
        forecast.known += sum(key in known for key in keys)
        missing = [c for c, key in zip(request.calls, keys, strict=True) if key not in known]
        forecast.paid += len(missing)
        forecast.prompt_tokens += sum(self._tokens(request.model, call) for call in missing)
        return None if missing else [known[key] for key in keys]

    def _tokens(self, model: str, call: Call) -> int:
        if model not in self._tokenizers:
            from chains.models import open_tokenizer

            self._tokenizers[model] = open_tokenizer(self.loaded.model(model))
        tokenizer = self._tokenizers[model]
        return sum(int(tokenizer.count(message.content)) for message in call.messages)
