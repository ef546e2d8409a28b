"""How fast a run went, block by block: `.timing.jsonl` in the run folder.

{"seconds": 41.873, "accepted": 24, "rejected": 8, "calls": 61, "known": 0, "tokens": 1904,
 "model_seconds": 38.204}

Durations only, no time of day. It is the only file of a run that differs when the run is made
again, so it is neither hashed nor verified nor exported. A process that goes on with a run appends
to it; a block whose process died before its line was written has none.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pipelines.calling import Caller, Meter
from pipelines.files import disk_errors
from pipelines.runner import Watch

NAME = ".timing.jsonl"


@dataclass(frozen=True, slots=True)
class Timing:
    """What one block took.

    Attributes:
        seconds: From the commit of the block before, or from the start of the process, so that
            opening the models counts to the first block.
        accepted: Rows of the run so far.
        rejected: Rejected rows of the run so far.
        calls: Model calls of the block, those the ledger knew included.
        known: Of these, answered from the ledger.
        tokens: Generated or scored by the others.
        model_seconds: Of `seconds`, spent in language models.
    """

    seconds: float
    accepted: int
    rejected: int
    calls: int = 0
    known: int = 0
    tokens: int = 0
    model_seconds: float = 0.0


class Timed(Watch):
    """Writes a line for each block and hands all it hears on to another watch.

    Args:
        folder: The run folder.
        meter: Of the calls of this process.
        watch: Who is told, and asked whether to stop.
    """

    def __init__(self, folder: Path, meter: Meter, watch: Watch) -> None:
        self._file = folder / NAME
        self._meter = meter
        self._watch = watch
        self._began = time.monotonic()
        self._before = Meter()

    def on_start(self, wanted: int | None, accepted: int, cut: int) -> None:
        """Hand it on."""
        self._watch.on_start(wanted, accepted, cut)

    def on_stage(self, stage: str) -> None:
        """Hand it on."""
        self._watch.on_stage(stage)

    def on_batch(self, caller: Caller) -> None:
        """Hand it on."""
        self._watch.on_batch(caller)

    def on_block(self, accepted: int, rejected: int) -> None:
        """Write the block's line.

        Raises:
            ResourceError: The disk is full; the block itself is committed.
        """
        now, meter, before = time.monotonic(), self._meter, self._before
        line = Timing(
            seconds=round(now - self._began, 3),
            accepted=accepted,
            rejected=rejected,
            calls=meter.calls - before.calls,
            known=meter.known - before.known,
            tokens=meter.tokens - before.tokens,
            model_seconds=round(meter.seconds - before.seconds, 3),
        )
        with disk_errors(self._file), self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(line)) + "\n")
        self._began = now
        self._before = replace(meter)
        self._watch.on_block(accepted, rejected)

    def stop_requested(self) -> bool:
        """Ask the other one."""
        return self._watch.stop_requested()


def read_timings(folder: Path) -> list[Timing]:
    """The blocks of a run; none where nothing was written, such as for a merged run.

    What cannot be read is passed over: a line that was torn is no reason to refuse a report.
    """
    try:
        lines = (folder / NAME).read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return []
    return [timing for line in lines for timing in _parsed(line)]


def _parsed(line: str) -> Iterator[Timing]:
    try:
        timing = Timing(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return
    values = asdict(timing).values()
    if all(isinstance(v, int | float) and 0 <= v < float("inf") for v in values):
        yield timing
