"""A Ray cluster, one that is there or one on this machine, and the actors of a run in it.

    crew = Crew(Cluster(actors=2), order, ledger)
    number = crew.free()                      # None while all actors are busy or not placed yet
    crew.send(number, ("question",), made)
    crew.wait(timeout=0.5)                    # [(number, Answer(...))]
    crew.close()

Ray places the actors, starts one anew that has ended, and gives it its block once more. Where a
cluster grows or comes free later, the actors that had no place join then.
"""

import logging
import os
import secrets
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.blocks import Made
from pipelines.ray.actors import Answer, Keeper, Order, StageActor
from prompts.errors import ModelError, ResourceError, UsageError

INSTALL = "pip install -c constraints.txt -e '.[ray]'"
RESTARTS = 3
"""How often an actor that has ended is started anew, and its block given to it once more."""

PLACING = 600.0
"""Seconds within which a cluster has to place the first actor: it may have to start a machine."""

_CONNECTING = 5.0  # seconds for a connection to the cluster's address


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where a run is made.

    Attributes:
        address: `HOST:PORT` of a cluster's head, or `auto` for the one that this machine is part
            of; empty for one on this machine alone, for this run.
        actors: How many there are; 0 for one a core of this machine.
        gpus: GPUs for each actor; may be a fraction.
        offline: Never ask the Hub.
        pair_from: Texts from which `dedup` has the whole source compared in the cluster.
    """

    address: str = ""
    actors: int = 0
    gpus: float = 0.0
    offline: bool = False
    pair_from: int = 50_000

    @property
    def size(self) -> int:
        """The number of actors."""
        return self.actors or len(os.sched_getaffinity(0))

    def check(self) -> None:
        """Refuse what cannot work, before anything is begun.

        Raises:
            UsageError: Ray is not installed, or the address is not one that a run can use.
            ModelError: Nobody answers at the address.
        """
        from importlib.util import find_spec

        if find_spec("ray") is None:
            raise UsageError("Ray is not installed", fix=INSTALL, key="--engine")
        if self.address and self.address != "auto":
            self._reach()

    def _reach(self) -> None:
        host, _, port = self.address.rpartition(":")
        if "://" in self.address or not host or not port.isdigit():
            fix = "write HOST:PORT as 'ray start' shows it, on a machine of the cluster, or 'auto'"
            raise UsageError(f"'{self.address}' is no address", fix=fix, key="--address")
        try:
            socket.create_connection((host, int(port)), timeout=_CONNECTING).close()
        except (OSError, OverflowError) as exc:
            raise self._unreachable(str(exc)) from exc

    def connect(self) -> bool:
        """Join the cluster, or start one on this machine; false where the process is in one.

        Raises:
            ModelError: It cannot be joined.
            UsageError: This machine has not the GPUs.
        """
        self.check()
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        how: dict[str, Any] = {"address": self.address}
        if not self.address:
            # Its ports are open to the network: only who has this run's token can use them. Ray
            # looks for it when it is imported.
            os.environ.setdefault("RAY_AUTH_MODE", "token")
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
            cores = max(self.size, os.cpu_count() or 1)
            how = {"address": "local", "num_cpus": cores, "include_dashboard": False}
        import ray

        if ray.is_initialized():
            return False
        try:
            ray.init(**how, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as exc:  # a start that takes too long is a bare one
            raise self._unreachable((str(exc).splitlines() or [type(exc).__name__])[0]) from exc
        have = ray.cluster_resources().get("GPU", 0)
        if not self.address and self.gpus * self.size > have:
            ray.shutdown()
            problem = f"{self.size} actors need {self.gpus * self.size:g} GPUs, there are {have:g}"
            raise UsageError(problem, fix="use fewer --actors or less --gpus", key="--gpus")
        return True

    def _unreachable(self, why: str) -> ModelError:
        if not self.address:
            fix = "see Ray's logs in /tmp/ray/session_latest/logs"
            return ModelError(f"Ray cannot be started: {why}", fix=fix, key="--engine")
        fix = "start it with 'ray start --head', or leave out --address for this machine alone"
        return ModelError(f"no Ray cluster at '{self.address}': {why}", fix=fix, key="--address")


class Crew:
    """The actors of one run.

    Args:
        cluster: Where they are.
        order: What each is told; its `machine` is filled in.
        ledger: The ledger's file.
    """

    def __init__(self, cluster: Cluster, order: Order, ledger: Path) -> None:
        self._joined = cluster.connect()
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = ray.get_runtime_context().get_node_id()
        keeping = NodeAffinitySchedulingStrategy(here, soft=False)
        self._ray: Any = ray
        self._keeper: Any = (
            ray.remote(Keeper)
            .options(num_cpus=0, max_restarts=-1, max_task_retries=-1, scheduling_strategy=keeping)
            .remote(ledger)
        )
        self._order = ray.put(order._replace(machine=here))
        self._maker: Any = ray.remote(StageActor).options(
            num_cpus=1, num_gpus=cluster.gpus, max_restarts=RESTARTS, max_task_retries=RESTARTS
        )
        self._size = cluster.size
        self._actors: list[Any] = []
        self._placing: dict[Any, int] = {}
        self._working: dict[Any, int] = {}
        self._free: list[int] = []
        self._began = 0.0

    def free(self) -> int | None:
        """An actor that has nothing to do; None where there is none."""
        if not self._actors:
            self._actors = [self._maker.remote() for _ in range(self._size)]
            self._placing = {actor.ready.remote(): n for n, actor in enumerate(self._actors)}
            self._began = time.monotonic()
        return self._free.pop(0) if self._free else None

    def send(self, number: int, stages: tuple[str, ...], made: Made) -> None:
        """Have an actor take a block through some stages."""
        work = self._actors[number].work
        self._working[work.remote(self._order, self._keeper, stages, made)] = number

    def wait(self, timeout: float) -> list[tuple[int, Answer]]:
        """What has come in within `timeout` seconds, by the number of the actor.

        Raises:
            ResourceError: An actor ended again and again, or none could be placed.
        """
        waiting = [*self._working, *self._placing]
        ready, _ = self._ray.wait(waiting, num_returns=1, timeout=timeout)
        if not ready and not self._working and not self._free:
            self._check_placing()
        answers = []
        for ref in ready:
            answer = self._got(ref)
            number = self._working.pop(ref, None)
            if number is not None:
                answers.append((number, answer))
            self._free.append(self._placing.pop(ref) if number is None else number)
        return answers

    def rest(self) -> None:
        """End the actors, which others need the room of; new ones come when they are needed."""
        for actor in self._actors:
            self._ray.kill(actor)
        self._actors, self._free = [], []
        self._placing.clear()
        self._working.clear()

    def close(self) -> None:
        """End the actors, and leave the cluster unless this process was in it before."""
        if self._joined:
            self._ray.shutdown()
            return
        self.rest()
        self._ray.kill(self._keeper)

    def _got(self, ref: Any) -> Any:
        from ray.exceptions import RayError

        try:
            return self._ray.get(ref)
        except RayError as exc:
            fix = "memory is short, as a rule: use fewer --actors or a smaller 'block', then resume"
            problem = f"an actor ended, {RESTARTS} times over the same block: {type(exc).__name__}"
            raise ResourceError(problem, fix=fix) from exc

    def _check_placing(self) -> None:
        if time.monotonic() - self._began > PLACING:
            has = self._ray.cluster_resources()
            problem = (
                f"the cluster has placed no actor in {PLACING:.0f} s; it has "
                f"{has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs in all"
            )
            raise ResourceError(problem, fix="lower --gpus, or wait until others have finished")
