"""The engine `ray`: several blocks at a time at actors, in the order of the source at the commit.

    engine = partial(RayRunner, cluster=Cluster(actors=2))
    run(loaded, folder, caller, watch, shard, engine)

    block 0   question > length          at an actor
              dedup                      here: it remembers rows, so blocks come in their order
              answer > grounded          at an actor
              quota, commit              here, in the order of the source

Where a large source is deduplicated by MinHash before any model is asked, all its rows are compared
at once, in the cluster. What decides bytes is what decides them without Ray: the blocks, their
order, the cut at the quota, the ledger's keys. Blocks that were begun behind the last one needed
are thrown away.
"""

import math
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from chains.models.machine import resolve_device
from pipelines.blocks import Made
from pipelines.calling import Caller, Interrupted, Meter
from pipelines.folder import RunFolder
from pipelines.job import Job, LoadedJob
from pipelines.ray.actors import Answer, Order
from pipelines.ray.cluster import Cluster, Crew
from pipelines.ray.pairing import paired
from pipelines.rows import JSON
from pipelines.runner import Run, Runner, Watch
from pipelines.sharding import Shard
from pipelines.stages.base import ModelStage, Stage
from pipelines.stages.dedup.seen import Known
from pipelines.stages.dedup.stage import Dedup
from pipelines.supply import Item
from pipelines.usage import Usage
from prompts.errors import UsageError

AHEAD = 2
"""Blocks under way for each actor: one at work, one behind a stage that works here."""

PARTS = 4
"""Parts for each actor that band keys and pairs are cut into."""

_POLL = 0.2  # seconds after which the user's wish to stop is looked at


class Segment(NamedTuple):
    """Neighbouring stages that a block goes through at one place.

    Attributes:
        here: Whether they remember rows, and so see the blocks in order.
        stages: The stages.
        whole: Whether it waits for the whole source, to have its rows compared in the cluster.
    """

    here: bool
    stages: tuple[Stage, ...]
    whole: bool = False


@dataclass(slots=True)
class Flight:
    """A block under way.

    Attributes:
        made: The block, as far as it has come.
        step: Segments that are behind it.
        actor: Who works on it; None where nobody does.
        error: Why it goes no further; raised when it is the block's turn.
        meter: What its calls cost.
        usage: Tokens of servers' models.
    """

    made: Made = field(default_factory=Made)
    step: int = 0
    actor: int | None = None
    error: Exception | None = None
    meter: Meter = field(default_factory=Meter)
    usage: list[JSON] = field(default_factory=list)


def segments(job: Job) -> list[Segment]:
    """Stages in the places that they work at."""
    whole = compared_whole(job)
    runs = groupby(job.stages, key=lambda stage: (stage.open_state() is not None, stage is whole))
    return [Segment(here, tuple(group), alone) for (here, alone), group in runs]


def compared_whole(job: Job) -> Dedup | None:
    """The first near-duplicates to be found, where all rows come there at no cost."""
    budget = job.budget
    ends = any(value is not None for value in (job.rows, job.quota, budget.calls, budget.minutes))
    for stage in job.stages:
        if ends or isinstance(stage, ModelStage) or stage.uses_embedder():
            return None
        if isinstance(stage, Dedup) and stage.method == "minhash" and not stage.against:
            return stage
    return None


def check_gpus(job: Job, cluster: Cluster) -> None:
    """Refuse models that would run on this machine's GPU and on no GPU at the actors.

    Raises:
        UsageError: There are some; actors without `gpus` see none.
    """
    if cluster.gpus:
        return
    for name, spec in job.models.items():
        local = not spec.server and spec.model != "scripted"
        if local and resolve_device(spec.device) == "cuda":
            problem = f"the model '{name}' runs on a GPU, and the actors are given none"
            raise UsageError(problem, fix="add --gpus 1, or write 'device: cpu'", key="--gpus")


class RayRunner(Runner):
    """Makes blocks in a Ray cluster.

    Args:
        loaded, folder, caller, watch, shard: As for `Runner`.
        cluster: Where the actors are.
    """

    def __init__(
        self,
        loaded: LoadedJob,
        folder: RunFolder,
        caller: Caller,
        watch: Watch,
        shard: Shard | None,
        *,
        cluster: Cluster,
    ) -> None:
        super().__init__(loaded, folder, caller, watch, shard)
        check_gpus(self.job, cluster)
        self._cluster = cluster
        self._crew: Crew | None = None
        self._segments = segments(self.job)
        self._uncompared = any(segment.whole for segment in self._segments)
        self._flights: deque[Flight] = deque()
        self._ended = False

    def run(self) -> Run:
        """Make and commit blocks to the end; the cluster is joined when the first is needed."""
        try:
            return super().run()
        finally:
            if self._crew is not None:
                self._crew.close()

    def _next(self, items: Iterator[Item]) -> Made:
        self._fill(items)
        flight = self._flights[0]
        while flight.error is None and flight.step < len(self._segments):
            self._advance()
        self._flights.popleft()
        if flight.error is not None:
            raise flight.error
        self._pay(flight)
        return flight.made

    def _fill(self, items: Iterator[Item]) -> None:
        """Begin further blocks; a quota's cells say only after a commit what is to be drawn."""
        most = 1.0 if self.cells is not None else AHEAD * self._cluster.size
        most = math.inf if self._uncompared else most
        while not self._flights or (not self._ended and len(self._flights) < most):
            flight = Flight()
            try:
                passed_before = self._passed()
                block = self._take(items)
                flight.made = self._begun(block) if block else self._make([])
                flight.made.passed = self._passed() - passed_before
            except Exception as exc:  # of a block that may never be needed
                flight.error = exc
                block = []
            if not block:
                flight.step = len(self._segments)
                self._ended = True
            self._flights.append(flight)

    def _make(self, block: list[Item]) -> Made:
        """No block, which the stages count but need not see."""
        made = self._begun(block)
        for stage in self.job.stages:
            made.funnel.add(stage.name, stage.kind, [], [])
            if self.contexts[stage.name].state is not None:
                made.additions[stage.name] = []
        return made

    def _advance(self) -> None:
        """One step of some block: here if one can be done here, else wait for an actor."""
        self._hand_out()
        flight = self._due_here()
        if flight is not None:
            self._work_here(flight)
            return
        for number, answer in self._placed().wait(_POLL):
            self._land(next(f for f in self._flights if f.actor == number), answer)
        if self.watch.stop_requested():
            raise Interrupted

    def _waiting(self, flight: Flight, *, here: bool) -> bool:
        idle = flight.actor is None and flight.error is None
        return (
            idle
            and flight.step < len(self._segments)
            and (self._segments[flight.step].here == here)
        )

    def _due_here(self) -> Flight | None:
        """The first block whose forerunners have been where it has to go next."""
        before: Flight | None = None
        for flight in self._flights:
            passed = before is None or (before.error is None and before.step > flight.step)
            if passed and self._waiting(flight, here=True) and self._compared(flight.step):
                return flight
            before = flight
        return None

    def _compared(self, step: int) -> bool:
        """Whether a segment need not wait; where it must and all rows are there, compare them."""
        if not (self._segments[step].whole and self._uncompared):
            return True
        if any(flight.error is None and flight.step < step for flight in self._flights):
            return False
        self._uncompared = False
        stage = self._segments[step].stages[0]
        assert isinstance(stage, Dedup)
        context = self.contexts[stage.name]
        rows = (row for flight in self._flights for row in flight.made.rows)
        items = (item for row in rows for item in stage.items(row))
        found = [item.text for item in items if isinstance(item, Known)]
        texts = list(dict.fromkeys([*context.state.restored(), *found]))
        if len(texts) >= self._cluster.pair_from:
            self.watch.on_stage(stage.name)
            self._placed().rest()
            index = paired(texts, stage, parts=PARTS * self._cluster.size)
            context.shared("index", lambda: index)
        return True

    def _work_here(self, flight: Flight) -> None:
        meter, usage = self.caller.meter, self.caller.usage
        self.caller.meter, self.caller.usage = Meter(), Usage()
        try:
            for stage in self._segments[flight.step].stages:
                self._through(stage, flight.made)
        except Interrupted:
            raise
        except Exception as exc:
            flight.error = exc
        finally:
            spent, used = self.caller.meter, self.caller.usage.additions()
            self.caller.meter, self.caller.usage = meter, usage
        flight.made.calls += spent.calls
        self._note(flight, spent, used)

    def _hand_out(self) -> None:
        for flight in self._flights:
            if self._waiting(flight, here=False):
                flight.actor = self._placed().free()
                if flight.actor is None:
                    return
                stages = tuple(stage.name for stage in self._segments[flight.step].stages)
                self.watch.on_stage(stages[0])
                self._placed().send(flight.actor, stages, flight.made)

    def _land(self, flight: Flight, answer: Answer) -> None:
        flight.actor = None
        flight.error = answer.error
        if answer.error is None:
            flight.made = answer.made
            self.caller.learn(answer.about)
            self._note(flight, answer.meter, answer.usage)

    def _note(self, flight: Flight, meter: Meter, usage: list[JSON]) -> None:
        flight.step += 1
        flight.usage += usage
        flight.meter.add(meter)

    def _pay(self, flight: Flight) -> None:
        """Count what a block has cost, once it is known to be needed."""
        self.caller.meter.add(flight.meter)
        for model, asked, written in flight.usage:
            self.caller.usage.count(model, asked, written)
        if flight.meter.calls:
            self.watch.on_batch(self.caller)

    def _placed(self) -> Crew:
        if self._crew is None:
            order = Order(
                self.loaded.resolved().as_data(),
                self.loaded.document,
                self.loaded.folder,
                Path.cwd(),
                self.caller.ledger_path,
                tuple(sys.path),
                "",
                self._cluster.offline,
            )
            self._crew = Crew(self._cluster, order, self.caller.ledger_path)
        return self._crew
