"""Functions applied in a Ray cluster, of a run whose actors have ended: what exports are made with.

    with tasks(Cluster(actors=2)) as apply:
        list(apply(encode, parcels))      # in the order of the parcels, two and one more under way

The cluster is joined when the first function is applied. A task whose process ends is made again,
on another machine if need be; it has written nothing.
"""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipelines.exporters.base import Map
from pipelines.ray.cluster import RESTARTS, Cluster
from prompts.errors import ResourceError


@contextmanager
def tasks(cluster: Cluster) -> Iterator[Map]:
    """What applies functions in a cluster, which is left behind it.

    Raises:
        ModelError: The cluster cannot be joined.
        ResourceError: A task ended again and again.
    """
    joined = False

    def apply(function: Callable[[Any], Any], given: Iterable[Any]) -> Iterator[Any]:
        nonlocal joined
        joined = cluster.connect() or joined
        yield from _applied(cluster, function, given)

    try:
        yield apply
    finally:
        if joined:
            import ray

            ray.shutdown()


def _applied(
    cluster: Cluster, function: Callable[[Any], Any], given: Iterable[Any]
) -> Iterator[Any]:
    import ray
    from ray import cloudpickle

    about = ray.put((cloudpickle.dumps(function), Path.cwd(), tuple(sys.path)))
    maker: Any = ray.remote(_work).options(num_cpus=1, max_retries=RESTARTS)
    under_way: deque[Any] = deque()
    for one in given:
        under_way.append(maker.remote(about, one))
        if len(under_way) > cluster.size:
            yield _got(under_way.popleft())
    while under_way:
        yield _got(under_way.popleft())


def _work(about: tuple[bytes, Path, tuple[str, ...]], one: Any) -> Any:
    """One task: the function knows the modules that the process knows which began the run."""
    from ray import cloudpickle

    pickled, working, paths = about
    with suppress(OSError):  # another machine may not have that folder
        os.chdir(working)
    sys.path += [path for path in paths if path not in sys.path]
    return cloudpickle.loads(pickled)(one)


def _got(ref: Any) -> Any:
    import ray
    from ray.exceptions import RayError, RayTaskError

    try:
        return ray.get(ref)
    except RayTaskError as exc:
        raise exc.cause from exc
    except RayError as exc:
        fix = "memory is short, as a rule: use fewer --actors or less 'shard_rows', then resume"
        problem = f"the export's work ended {RESTARTS + 1} times in a row: {type(exc).__name__}"
        raise ResourceError(problem, fix=fix) from exc
