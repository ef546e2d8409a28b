"""Running a job: blocks of seed rows through the stages until the quota is met.

    outcome = run(loaded, folder, caller, Watch())
    outcome.stop        # "quota": 30 of 30 rows;  or "sources", "passes", "budget: calls" ...

A block is `job.block` seed rows. It goes through all stages, is cut at the quota, and is committed
as a whole: rows, rejections, counts and what the stages remember. What is made depends on the job,
the sources and the models only, never on timing or on where a run was interrupted.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from chains.calls import Message, Reply
from chains.models.spec import ModelSpec
from pipelines.accounting import Funnel
from pipelines.blocks import Made, parted, take, take_through
from pipelines.calling import Caller, Interrupted
from pipelines.cells import Cells
from pipelines.folder import Progress, RunFolder
from pipelines.job import LoadedJob
from pipelines.rows import JSON, Rejection, Row, seed_for
from pipelines.sharding import Shard
from pipelines.stages import Ask, Stage, State
from pipelines.supply import Item, naming_source, source_names, supply
from pipelines.usage import NAME as USAGE

if TYPE_CHECKING:
    import numpy as np

    from prompts.prompt import Prompt

T = TypeVar("T")


class Watch:
    """What a run tells while it goes on; this one is silent and never asks to stop."""

    def on_start(self, wanted: int | None, accepted: int, cut: int) -> None:
        """The run begins, or goes on with `accepted` rows; `cut` bytes of a torn block are gone."""

    def on_stage(self, stage: str) -> None:
        """A stage begins to work on a block."""

    def on_batch(self, caller: Caller) -> None:
        """A batch of model calls was paid for."""

    def on_block(self, accepted: int, rejected: int) -> None:
        """A block was committed."""

    def stop_requested(self) -> bool:
        """Whether the user asked to stop; looked at after every batch and every block."""
        return False


@dataclass(frozen=True, slots=True)
class Run:
    """A finished run.

    Attributes:
        stop: Why it ended: quota, sources, passes, `budget: calls|minutes|seeds`.
        accepted: Rows in `rows.jsonl`.
        counts: The funnel.
        fresh: Whether this process did any block; false where all had been done before.
    """

    stop: str
    accepted: int
    counts: list[dict[str, JSON]]
    fresh: bool


class StageContext:
    """What one stage may use while it runs; see `pipelines.stages.base.Context`."""

    def __init__(self, stage: Stage, loaded: LoadedJob, caller: Caller) -> None:
        self._stage = stage
        self._loaded = loaded
        self._caller = caller
        self._shared: dict[str, Any] = {}
        self.state: Any = stage.open_state()
        self.rows = loaded.job.rows

    def seed(self, row: Row, attempt: int = 0, reply: int = 0) -> int:
        """The seed of one model call of this stage."""
        return seed_for(self._loaded.job.seed, self._stage.name, row.id, attempt, reply)

    def prompt(self, name: str) -> "Prompt":
        """A prompt by name, as it stood when the run began."""
        return self._loaded.prompt(name)

    def chat(self, prompt: "Prompt", values: dict[str, JSON]) -> tuple[Message, ...]:
        """`prompt` rendered with `values`."""
        from chains.prompting import render_chat

        return render_chat(prompt, values)

    def model_label(self, model: str) -> str:
        """The model's name in the job and the beginning of its fingerprint."""
        return f"{model}@{self._caller.fingerprint(model)[:12]}"

    def count_tokens(self, model: str, messages: Sequence[Message]) -> int:
        """Length of a rendered chat in the model's tokens."""
        return self._caller.model(model).count_tokens(messages)

    def window(self, model: str) -> int:
        """The model's context window in tokens."""
        return self._caller.model(model).window

    def shared(self, key: str, make: Callable[[], T]) -> T:
        """What `make` gave the first time this stage asked for `key` in this run."""
        if key not in self._shared:
            self._shared[key] = make()
        result: T = self._shared[key]
        return result

    def path(self, text: str) -> Path:
        """A path of the job as an existing path."""
        return self._loaded.path(text)

    def spec(self, model: str) -> ModelSpec:
        """The spec of one of the job's models."""
        return self._loaded.model(model)

    def answer(self, ask: Ask) -> list[list[Reply]]:
        """Answer calls from the ledger or the model."""
        return self._caller.answer(ask)

    def embed(self, texts: Sequence[str]) -> "np.ndarray[Any, np.dtype[np.float32]]":
        """Unit vectors of the job's embedder."""
        return self._caller.embed(texts)

    def embedder(self) -> str:
        """Fingerprint of the job's embedder."""
        return self._caller.embedder().fingerprint

    def indexes(self) -> Path | None:
        """Where indexes are kept from run to run."""
        return self._caller.indexes()


def run(
    loaded: LoadedJob,
    folder: RunFolder,
    caller: Caller,
    watch: Watch,
    shard: Shard | None = None,
    engine: "Engine | None" = None,
) -> Run:
    """Run a job, or a shard of it, in its folder, or go on; the folder must be locked.

    `engine` decides where blocks are made; left out, in this process.

    Raises:
        Interrupted: The user asked to stop; what was committed stays.
        TextmillError: A source, a model, the disk or the folder failed.
    """
    return (engine or Runner)(loaded, folder, caller, watch, shard).run()


def identity(loaded: LoadedJob) -> dict[str, JSON]:
    """What a resumed run must share with its beginning: the job and what its sources hold."""
    named = zip(source_names(loaded.job.sources), loaded.job.sources, strict=True)
    sources = {}
    for name, source in named:
        with naming_source(loaded, source):
            sources[f"the {name.replace(':', ' ')}"] = source.fingerprint(loaded)
    stages = [stage.fingerprint(loaded) for stage in loaded.job.stages]
    job = loaded.resolved().sha()
    return {"the job": job, **sources, "a file that a stage reads": stages}


class Runner:
    """Makes blocks one after the other, in this process, and commits them."""

    def __init__(
        self,
        loaded: LoadedJob,
        folder: RunFolder,
        caller: Caller,
        watch: Watch,
        shard: Shard | None,
    ) -> None:
        self.loaded = loaded
        self.shard = shard
        self.job = loaded.job
        self.folder = folder
        self.caller = caller
        self.watch = watch
        self.contexts = {s.name: StageContext(s, loaded, caller) for s in self.job.stages}
        self.cells = Cells(self.job) if self.job.quota else None
        self.started = time.monotonic()

    def run(self) -> Run:
        """Make and commit blocks to the end."""
        about = {"shard": str(self.shard)} if self.shard else {}
        progress = self.folder.recover({**identity(self.loaded), **about})
        if progress.done:
            for additions in progress.state.get(USAGE, []):
                self.caller.usage.restore(additions)
            if progress.cut:
                self.watch.on_start(self.job.rows, progress.accepted, progress.cut)
            counts = Funnel(progress.counts).counts()  # in the order that a fresh run gives them
            return Run(progress.done, progress.accepted, counts, fresh=False)
        self._restore(progress)
        self.watch.on_start(self.job.rows, progress.accepted, progress.cut)
        once = self.job.rows is None or self.shard is not None
        passes = self.job.passes or (1 if once else None)
        items = supply(self.loaded, passes)
        for _ in islice(items, progress.pulled):
            pass
        while not self._block(items, progress):
            pass
        return Run(progress.done, progress.accepted, progress.counts, fresh=True)

    def _restore(self, progress: Progress) -> None:
        for name, blocks in progress.state.items():
            state: State = self._states()[name]
            for additions in blocks:
                state.restore(additions)
        progress.state.clear()

    def _block(self, items: Iterator[Item], progress: Progress) -> bool:
        """Do and commit one block; true when it was the last."""
        if self.watch.stop_requested():
            raise Interrupted
        stop = self._budget_spent(progress)
        made = self._make([]) if stop else self._next(items)
        if not made.pulled and not stop:
            stop = "passes" if self.job.passes and self.job.rows else "sources"
        funnel = Funnel(progress.counts)
        funnel.join(made.funnel)
        rows, surplus = self._through_quota(made.rows, progress.accepted, funnel)
        progress.pulled += made.pulled + made.passed
        progress.calls += made.calls
        progress.accepted += len(rows)
        progress.counts = funnel.counts()
        filled = progress.accepted == self.job.rows and self.shard is None
        progress.done = "quota" if filled else stop
        additions = {**made.additions, **self._additions()}
        self.folder.commit(rows, made.rejected + surplus, progress, additions)
        self.watch.on_block(progress.accepted, funnel.rejected())
        return bool(progress.done)

    def _next(self, items: Iterator[Item]) -> Made:
        """Make the next block; nothing is pulled where there is none."""
        passed_before = self._passed()
        made = self._make(self._take(items))
        made.passed = self._passed() - passed_before
        return made

    def _make(self, block: list[Item]) -> Made:
        made = self._begun(block)
        calls_before = self.caller.meter.calls
        for stage in self.job.stages:
            self._through(stage, made)
        made.calls = self.caller.meter.calls - calls_before
        return made

    def _begun(self, block: list[Item]) -> Made:
        """A block before its first stage."""
        made = Made(len(block))
        made.rows, made.rejected = self._through_sources(self._mine(block), made.funnel)
        return made

    def _budget_spent(self, progress: Progress) -> str:
        budget = self.job.budget
        if budget.calls is not None and progress.calls >= budget.calls:
            return "budget: calls"
        if budget.minutes is not None and time.monotonic() - self.started > 60 * budget.minutes:
            return "budget: minutes"
        pulled = progress.pulled - self._passed()
        if self.job.rows is not None and pulled >= budget.seeds_per_row * self.job.rows:
            return "budget: seeds"
        return "budget: seeds" if self.cells is not None and self.cells.spent() else ""

    def _mine(self, block: list[Item]) -> list[Item]:
        """The items of the block that are this shard's."""
        shard = self.shard
        return block if shard is None else [item for item in block if shard.owns(item.row.id)]

    def _take(self, items: Iterator[Item]) -> list[Item]:
        if self.cells is not None:
            return self.cells.take(items, self.job.block)
        return take(items, self.job.block)

    def _passed(self) -> int:
        """Drawn rows that were not asked for, since their cells are full."""
        return 0 if self.cells is None else self.cells.passed

    def _through_sources(
        self, block: list[Item], funnel: Funnel
    ) -> tuple[list[Row], list[Rejection]]:
        for name, source in zip(source_names(self.job.sources), self.job.sources, strict=True):
            items = [item for item in block if item.source == name]
            funnel.add(name, source.kind, [i.row for i in items], [i.outcome for i in items])
        return parted([item.outcome for item in block])

    def _through(self, stage: Stage, made: Made) -> None:
        self.watch.on_stage(stage.name)
        context = self.contexts[stage.name]
        take_through(stage, context, made)
        if context.state is not None:
            made.additions[stage.name] = context.state.additions()

    def _through_quota(
        self, rows: list[Row], accepted: int, funnel: Funnel
    ) -> tuple[list[Row], list[Rejection]]:
        """Cut the block at the row that fills the quota; what lies behind is itemised too."""
        if self.cells is not None:
            wanted, refused = self.cells.let_in(rows)
            funnel.add("quota", "quota", rows, [*wanted, *refused])
            return wanted, refused
        everything = self.job.rows is None or self.shard is not None
        room = len(rows) if everything else (self.job.rows or 0) - accepted
        surplus = [Rejection(row, "over_quota", stage="quota") for row in rows[room:]]
        funnel.add("quota", "quota", rows, [*rows[:room], *surplus])
        return rows[:room], surplus

    def _additions(self) -> dict[str, JSON]:
        """What the quota and the servers' usage remember of the block that is committed."""
        kept = {name: state for name, state in self._states().items() if name not in self.contexts}
        return {name: state.additions() for name, state in kept.items()}

    def _states(self) -> dict[str, State]:
        """What remembers something, by the name of its stage; `quota` for the quota's cells."""
        states = {name: context.state for name, context in self.contexts.items()}
        states["quota"] = self.cells
        states[USAGE] = self.caller.usage if self.caller.asks_servers else None
        return {name: state for name, state in states.items() if state is not None}


Engine = Callable[[LoadedJob, RunFolder, Caller, Watch, Shard | None], Runner]
"""What makes a run's blocks; `Runner` itself is one."""
