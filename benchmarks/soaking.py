"""Six recipes in one process, over and over on an instant model with faults: does anything pile up?

Every round makes a run that is stopped, or whose disk fills up or fails, at a moment drawn by a
seed, and finishes it. The result must be that of a run that nothing befell. Memory, open files,
threads and temporary files are counted when each recipe has been made twice, and at the end.
"""

import gc
import os
import random
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

from pipelines import failpoints
from pipelines.calling import Caller, Interrupted
from pipelines.job import PROJECT, LoadedJob, load_job
from pipelines.launch import Options, launch
from pipelines.runner import Watch
from prompts.errors import ResourceError

RECIPES = ("instructions", "reviews", "robustness", "sentiment", "filter", "evolve")
SEED = 23
_NOT_MADE_AGAIN = (".lock", ".timing.jsonl")


class Held(NamedTuple):
    """What a process holds."""

    mebibytes: float
    files: int
    threads: int
    temporary: int


class Stopping(Watch):
    """Asks to stop after so many batches and blocks."""

    def __init__(self, moments: int) -> None:
        self._left = moments

    def on_batch(self, caller: Caller) -> None:
        """One moment less."""
        self._left -= 1

    def on_block(self, accepted: int, rejected: int) -> None:
        """One moment less."""
        self._left -= 1

    def stop_requested(self) -> bool:
        """When none is left."""
        return self._left <= 0


def soak_recipes(room: Path, minutes: float) -> Iterator[tuple[str, str]]:
    """Make recipes in turn for so many minutes, and each at least twice."""
    (room / "temporary").mkdir()
    was, tempfile.tempdir = tempfile.tempdir, str(room / "temporary")
    jobs = {name: _instant(name) for name in RECIPES}
    whole = {name: _made(job, room / f"whole-{name}") for name, job in jobs.items()}
    draw = random.Random(SEED)
    ends: Counter[str] = Counter()
    begin = Held(0, 0, 0, 0)
    end = time.monotonic() + 60 * minutes
    for number in count():
        if number == 2 * len(RECIPES):
            begin = _held()
        if number >= 2 * len(RECIPES) and time.monotonic() >= end:
            break
        name = RECIPES[number % len(RECIPES)]
        ends[_befallen(jobs[name], room / "run", draw)] += 1
        ends["silent"] += _made(jobs[name], room / "run") != whole[name]
    last = _held()
    tempfile.tempdir = was
    counted = ", ".join(f"{ends[end]} {end}" for end in ("stopped", "without disk", "whole"))
    yield f"six recipes for {minutes:g} minutes", f"{counted}, {ends['silent']} silent"
    yield "memory after two rounds, and at the end", f"{begin[0]:.0f} and {last[0]:.0f} MiB"
    for what, one, other in zip(
        ("files", "threads", "temporary files"), begin[1:], last[1:], strict=True
    ):
        yield f"{what} likewise", f"{one} and {other}"


def _instant(name: str) -> LoadedJob:
    """A recipe with scripted models."""
    path = PROJECT / "pipelines" / "recipes" / f"{name}.yaml"
    changes = [f"models.{model}={{model: scripted}}" for model in load_job(path).job.models]
    changes += ["rows=40", "budget.seeds_per_row=3", "block=8"]
    return load_job(path, overrides=changes)


def _made(job: LoadedJob, run: Path) -> dict[str, bytes]:
    """The files of the finished run."""
    launch(job, run, Options(ledger=_ledger(run), offline=True))
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in _NOT_MADE_AGAIN
    }


def _befallen(job: LoadedJob, run: Path, draw: random.Random) -> str:
    """Begin a run, with a fault more often than not; how that ended."""
    shutil.rmtree(run, ignore_errors=True)
    for path in run.parent.glob(f"{_ledger(run).name}*"):
        path.unlink()
    place, moment = draw.choice(failpoints.NAMES), draw.randint(1, 6)
    fault = draw.choice(["stop", "enospc", "eio", "none"])
    watch = Stopping(moment) if fault == "stop" else Watch()
    if fault in {"enospc", "eio"}:
        visit = failpoints._visits[place] + moment
        os.environ[failpoints.VARIABLE] = f"{place}@{visit}={fault}"
    try:
        launch(job, run, Options(ledger=_ledger(run), offline=True, watch=watch))
    except Interrupted:
        return "stopped"
    except ResourceError:
        return "without disk"
    finally:
        os.environ.pop(failpoints.VARIABLE, None)
    return "whole"


def _ledger(run: Path) -> Path:
    return run.parent / f"{run.name}.sqlite"


def _held() -> Held:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = sum(1 for _ in Path("/proc/self/fd").iterdir())
    temporary = sum(1 for _ in Path(tempfile.gettempdir()).iterdir())
    page = os.sysconf("SC_PAGE_SIZE")
    return Held(pages * page / 2**20, files, threading.active_count(), temporary)
