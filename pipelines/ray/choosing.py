"""`--engine`, `--address`, `--actors`, `--gpus`: from the command line to what makes the blocks.

options = with_engine(Options(), "ray", Cluster(actors=2))
options.engine          # makes a RayRunner; None for "local"
options.tasks           # what exports are made with; None for "local"
"""

from dataclasses import replace
from functools import partial

from pipelines.launch import Options
from pipelines.ray.cluster import Cluster
from pipelines.ray.engine import RayRunner
from pipelines.ray.tasks import tasks
from prompts.errors import UsageError, unknown

ENGINES = ["local", "ray"]


def with_engine(options: Options, engine: str, cluster: Cluster) -> Options:
    """The options with an engine, checked before anything is begun.

    Raises:
        UsageError: There is no such engine, Ray is not installed, or options do not go together.
        ModelError: Nobody answers at the cluster's address.
    """
    if engine not in ENGINES:
        raise unknown("engine", engine, ENGINES, key="--engine")
    if engine == "local":
        if cluster != Cluster(offline=options.offline):
            fix = "add --engine ray"
            raise UsageError("--address, --actors and --gpus are for Ray", fix=fix, key="--engine")
        return options
    if options.workers:
        fix = "leave it out and say how many with --actors"
        raise UsageError("an actor answers its calls itself", fix=fix, key="--workers")
    if options.batch_out is not None:
        fix = "leave out --engine: no model is asked"
        raise UsageError("cannot be written by several actors", fix=fix, key="--batch-out")
    cluster.check()
    made_by = partial(RayRunner, cluster=cluster)
    return replace(options, engine=made_by, tasks=partial(tasks, cluster))
