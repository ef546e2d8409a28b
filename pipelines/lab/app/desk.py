"""What the page can ask for, without any HTTP: plain data in, plain data or a stream of it out.

    desk = Desk(loaded, worker, ratings, runs=Path("outputs"))
    desk.state()["stages"]                   # [{"name": "question", "prompt": "qa/question", ...}]
    desk.render({"stage": "question", "source": "messages: ...", "row": {"topic": "tea"}})
    for event in desk.compare({"stage": "question", "rows": 8, "variants": [...]}):
        event                                # {"rows": [...]}, {"cells": [...]}, ... {"done": ...}

Whatever is long is cut before it is sent.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from pipelines.calling import Caller
from pipelines.job import LoadedJob
from pipelines.lab.app.drafts import Draft, promote, read_draft, with_drafts
from pipelines.lab.app.ratings import Ratings
from pipelines.lab.app.runs import NotFound, list_runs, shortened
from pipelines.lab.app.worker import Event, Worker
from pipelines.lab.callers import Callers
from pipelines.lab.cells import rows_at, stage_named
from pipelines.lab.compare import Plan, compare
from pipelines.lab.results import Comparison
from pipelines.lab.variants import prompt_of
from pipelines.launch import Options
from pipelines.rows import JSON, Row
from prompts.errors import UsageError
from prompts.prompt import LIBRARY, Prompt
from prompts.registry import validate

CHUNK = 4
"""Rows that are worked on before the page hears of them; the first one is shown alone, at once."""

MOST_ROWS = 500


class Asked(BaseModel):
    """What is to be compared.

    Attributes:
        stage: Of the job.
        rows: How many that reach the stage.
        repeats: Times that each row goes through each variant.
        variants: The first is the baseline.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    rows: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 8
    repeats: Annotated[int, Field(ge=1, le=20)] = 1
    variants: Annotated[tuple[dict[str, Any], ...], Field(min_length=1, max_length=6)]


class Desk:
    """Answers for the page.

    Args:
        loaded: The job, checked; None where only runs are looked at.
        worker: Has the models.
        ratings: Where ratings go.
        runs: The folder of runs.
    """

    def __init__(
        self, loaded: LoadedJob | None, worker: Worker, ratings: Ratings, runs: Path
    ) -> None:
        self.ratings = ratings
        self.runs = runs
        self._loaded = loaded
        self._worker = worker

    def state(self) -> dict[str, JSON]:
        """Job, stages, models, prompts and runs."""
        state: dict[str, JSON] = {"job": None, "runs": list_runs(self.runs)}
        if self._loaded is None:
            return state
        job = self._loaded.job
        files = LIBRARY.rglob("*.yaml")  # by name alone: a faulty one must not close the lab
        library = sorted(f.relative_to(LIBRARY).with_suffix("").as_posix() for f in files)
        used = [prompt_of(stage) for stage in job.stages]
        return state | {
            "job": job.name,
            "models": list(job.models),
            "prompts": list(dict.fromkeys([*filter(None, used), *job.prompts, *library])),
            "stages": [
                {
                    "name": stage.name,
                    "kind": stage.kind,
                    "prompt": prompt_of(stage),
                    "model": getattr(stage, "model", ""),
                    "settings": stage.model_dump(mode="json"),
                }
                for stage in job.stages
            ],
            "ratings": len(self.ratings),
        }

    def prompt(self, name: str) -> dict[str, JSON]:
        """The text of a prompt.

        Raises:
            NotFound: The job has none of that name.
        """
        try:
            prompt = self._job().prompt(name)
        except UsageError as exc:
            raise NotFound(exc.problem, fix=exc.fix) from exc
        return {"name": name, "source": prompt.source, "variables": dict(prompt.variables)}

    def render(self, data: Mapping[str, Any]) -> dict[str, JSON]:
        """The chat that a prompt's text makes of a row, and what is odd about it.

        Raises:
            UsageError: The text has a fault, or the row lacks a variable.
        """
        prompt = Prompt.parse("the draft", str(data.get("source", "")))
        row = data.get("row")
        if not isinstance(row, Mapping):
            return {"messages": None, "warnings": prompt.warnings()}
        stage = self._job().job.stages[stage_named(self._job(), str(data.get("stage")))]
        inputs: Mapping[str, str] = getattr(stage, "inputs", {})
        values = {**row, **{name: row.get(column) for name, column in inputs.items()}}
        messages = [list(turn) for turn in prompt.render(values)]
        return {"messages": shortened(messages), "warnings": prompt.warnings()}

    def compare(self, data: Mapping[str, Any]) -> Iterator[Event]:
        """Rows, then cells as they are done, then all of it with verdicts.

        Raises:
            UsageError: What is asked for, or a variant, has a fault.
        """
        asked = validate(Asked, dict(data))
        drafts = [read_draft(each) for each in asked.variants]
        varied = with_drafts(self._job(), drafts)
        stage_named(varied, asked.stage)

        def work(callers: Callers) -> Iterator[Event]:
            yield from _stream(varied, asked, drafts, callers(varied))

        return self._worker.stream(work)

    def stop(self) -> None:
        """End what runs."""
        self._worker.stop()

    def promote(self, data: Mapping[str, Any]) -> dict[str, JSON]:
        """Write a job with a variant put in.

        Raises:
            UsageError: The variant or the file's name has a fault.
        """
        draft = read_draft(data.get("variant"))
        return promote(self._job(), str(data.get("stage")), draft, str(data.get("file")))

    def _job(self) -> LoadedJob:
        if self._loaded is None:
            raise UsageError("the lab was opened without a job", fix="textmill lab JOB")
        return self._loaded


def _stream(
    loaded: LoadedJob, asked: Asked, drafts: list[Draft], caller: Caller
) -> Iterator[Event]:
    meter = caller.meter
    before = meter.calls - meter.known
    rows = rows_at(loaded, asked.stage, asked.rows, caller, lambda stage: None)
    yield {"rows": [{"id": row.id, "data": shortened(dict(row.data))} for row in rows]}
    for start in (0, *range(1, len(rows), CHUNK)):
        end = start + CHUNK if start else 1
        part = _compared(loaded, asked, drafts, caller, rows[start:end])
        variants = [variant["name"] for variant in part["variants"]]
        yield {"cells": part["cells"], "variants": variants}
    # Once more as one block, from the ledger: stages such as dedup have to see all rows.
    whole = _compared(loaded, asked, drafts, caller, rows)
    yield {"comparison": whole, "paid": meter.calls - meter.known - before}


def _compared(
    loaded: LoadedJob, asked: Asked, drafts: list[Draft], caller: Caller, rows: list[Row]
) -> dict[str, JSON]:
    plan = Plan(
        asked.stage,
        variants=tuple(draft.name for draft in drafts),
        settings={draft.name: draft.changes() for draft in drafts},
        rows=len(rows),
        repeats=asked.repeats,
    )
    found: Comparison = compare(loaded, plan, Options(), caller=caller, rows=rows)
    shown: dict[str, JSON] = shortened(found.as_json())
    return shown
