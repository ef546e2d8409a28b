"""What runs in a Ray cluster: actors that take blocks through stages, and the keeper of the ledger.

    order = Order(job, document, folder, ...)
    StageActor().work(order, keeper, ("question", "length"), made)
    -> Answer(made=Made(pulled=64, ...), meter=Meter(calls=64, ...))

An actor has nothing to save: its replies are in the ledger as soon as a batch is paid for, and a
block that dies with it is made again from there.
"""

import contextlib
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from chains.calls import Reply
from chains.models.worker import portable
from pipelines.blocks import Made, take_through
from pipelines.calling import Caller, Meter
from pipelines.job import LoadedJob, build_job
from pipelines.ledger import Ledger
from pipelines.rows import JSON
from pipelines.runner import StageContext
from pipelines.stages.base import Stage
from pipelines.usage import Usage
from prompts.strict_yaml import Document

if TYPE_CHECKING:
    import numpy as np


class Order(NamedTuple):
    """What an actor is told when it is placed.

    Attributes:
        job: The resolved job, with the text of its prompts.
        document: Its YAML, for the lines of errors.
        folder: The folder its relative paths may start from.
        working: The working folder of the process that began the run.
        ledger: The ledger's file, there where the keeper is.
        paths: Where that process finds modules, such as a job's plugins.
        machine: The node that these are paths of.
        offline: Never ask the Hub.
    """

    job: dict[str, JSON]
    document: Document
    folder: Path
    working: Path
    ledger: Path
    paths: tuple[str, ...]
    machine: str
    offline: bool


@dataclass(slots=True)
class Answer:
    """What became of a block at an actor.

    Attributes:
        made: The block behind the stages.
        error: Why there is none.
        meter: What its calls cost.
        usage: Tokens of servers' models, as `Usage.additions` gives them.
        about: What the models that are open there say of themselves.
    """

    made: Made = field(default_factory=Made)
    error: Exception | None = None
    meter: Meter = field(default_factory=Meter)
    usage: list[JSON] = field(default_factory=list)
    about: dict[str, dict[str, Any]] = field(default_factory=dict)


class Keeper:
    """The ledger for all actors; lives on the machine where its file is.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._ledger = Ledger(path)

    def do(self, method: str, content: Any) -> Any:
        """One of the ledger's methods."""
        return getattr(self._ledger, method)(content)


class RemoteLedger(Ledger):
    """A ledger whose file another process holds.

    Args:
        path: The file; `:memory:` on another machine, so that nothing is kept beside it.
        keeper: The keeper's handle.
    """

    def __init__(self, path: Path, keeper: Any) -> None:
        self.path = path
        self._keeper = keeper

    def get(self, keys: Sequence[bytes]) -> dict[bytes, list[Reply]]:
        """The replies of those keys that are known."""
        found: dict[bytes, list[Reply]] = self._do("get", list(keys))
        return found

    def put(self, entries: Iterable[tuple[bytes, list[Reply]]]) -> None:
        """Remember calls, in one commit."""
        self._do("put", list(entries))

    def get_vectors(
        self, keys: Sequence[bytes]
    ) -> "dict[bytes, np.ndarray[Any, np.dtype[np.float32]]]":
        """The stored vectors of those keys that are known, as float32."""
        found: dict[bytes, Any] = self._do("get_vectors", list(keys))
        return found

    def put_vectors(
        self, entries: "Iterable[tuple[bytes, np.ndarray[Any, np.dtype[np.float32]]]]"
    ) -> None:
        """Remember vectors as float16, in one commit."""
        self._do("put_vectors", list(entries))

    def close(self) -> None:
        """The file is not this one's to close."""

    def _do(self, method: str, content: Any) -> Any:
        import ray
        from ray.exceptions import RayTaskError

        try:
            return ray.get(self._keeper.do.remote(method, content))
        except RayTaskError as exc:
            raise exc.cause from exc  # such as a full disk, in its own words


class StageActor:
    """Takes blocks through stages that remember nothing; opens models when first needed."""

    def __init__(self) -> None:
        self._caller: Caller | None = None
        self._stages: dict[str, tuple[Stage, StageContext]] = {}

    def ready(self) -> int:
        """The process that answers."""
        return os.getpid()

    def work(self, order: Order, keeper: Any, stages: tuple[str, ...], made: Made) -> Answer:
        """Take a block through some stages; an error is an answer too.

        Args:
            order: The job and where its files are, the same each time.
            keeper: Handle of the ledger's keeper.
            stages: Their names.
            made: The block.
        """
        try:
            caller = self._opened(order, keeper)
            caller.meter, caller.usage = Meter(), Usage()
            for name in stages:
                take_through(*self._stages[name], made)
        except Exception as exc:
            return Answer(error=portable(exc))
        made.calls += caller.meter.calls
        return Answer(made, None, caller.meter, caller.usage.additions(), caller.about())

    def _opened(self, order: Order, keeper: Any) -> Caller:
        if self._caller is None:
            import ray

            with contextlib.suppress(OSError):  # another machine may not have that folder
                os.chdir(order.working)
            sys.path += [path for path in order.paths if path not in sys.path]
            if order.offline:
                from pipelines.launch import stay_offline

                stay_offline()
            job = build_job(order.job)
            loaded = LoadedJob(job, order.document, order.folder)
            here = ray.get_runtime_context().get_node_id() == order.machine
            ledger = RemoteLedger(order.ledger if here else Path(":memory:"), keeper)
            caller = Caller(job.models, job.embedder, ledger, offline=order.offline)
            for stage in job.stages:
                self._stages[stage.name] = (stage, StageContext(stage, loaded, caller))
            self._caller = caller
        return self._caller
