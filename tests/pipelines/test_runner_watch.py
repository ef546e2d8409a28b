"""What a run tells while it goes on, and the exact block at which a budget ends it."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
from jobs import launched, loaded_job

from pipelines.calling import Caller, Interrupted
from pipelines.launch import Options, launch
from pipelines.runner import Watch


class Telling(Watch):
    """Keeps what it was told, and asks to stop after so many blocks."""

    def __init__(self, blocks: int = 100) -> None:
        self.told: list[tuple[Any, ...]] = []
        self._blocks = blocks

    def on_start(self, wanted: int | None, accepted: int, cut: int) -> None:
        self.told.append(("start", wanted, accepted, cut))

    def on_stage(self, stage: str) -> None:
        self.told.append(("stage", stage))

    def on_batch(self, caller: Caller) -> None:
        self.told.append(("batch", caller.meter.calls))

    def on_block(self, accepted: int, rejected: int) -> None:
        self.told.append(("block", accepted, rejected))
        self._blocks -= 1

    def stop_requested(self) -> bool:
        return self._blocks <= 0


def block(calls: int, accepted: int, rejected: int) -> list[tuple[Any, ...]]:
    first = [("stage", "question"), ("batch", calls + 8)]
    return [*first, ("stage", "answer"), ("batch", calls + 16), ("block", accepted, rejected)]


def test_a_watch_is_told_of_every_stage_batch_and_block(tmp_path: Path) -> None:
    watch = Telling()
    launch(loaded_job(tmp_path, rows=12), tmp_path / "run", Options(watch=watch))
    assert watch.told == [("start", 12, 0, 0), *block(0, 8, 0), *block(16, 12, 0)]


def test_a_watch_is_told_where_a_run_goes_on_and_what_was_cut_off(tmp_path: Path) -> None:
    job = loaded_job(tmp_path, rows=12)
    with pytest.raises(Interrupted):
        launch(job, tmp_path / "run", Options(watch=Telling(blocks=1)))
    with (tmp_path / "run/rows.jsonl").open("a") as file:
        file.write('{"id": "to')
    watch = Telling()
    launch(job, tmp_path / "run", Options(watch=watch))
    assert watch.told == [("start", 12, 8, 10), *block(0, 12, 0)]
    with (tmp_path / "run/rows.jsonl").open("a") as file:
        file.write("{")
    watch = Telling()
    launch(job, tmp_path / "run", Options(watch=watch))
    assert watch.told == [("start", 12, 12, 1)]  # nothing is left to be done


@pytest.mark.parametrize(
    ("budget", "stop", "pulled"),
    [
        ({"calls": 31}, "budget: calls", 16),
        ({"calls": 32}, "budget: calls", 16),
        ({"calls": 33}, "budget: calls", 24),
        ({"seeds_per_row": 0.4}, "budget: seeds", 40),
        ({"seeds_per_row": 0.24}, "budget: seeds", 24),
        ({"seeds_per_row": 0.25}, "budget: seeds", 32),
    ],
)
def test_a_budget_ends_a_run_at_the_block_that_spends_it(
    budget: dict[str, float], stop: str, pulled: int, tmp_path: Path
) -> None:
    done = launched(tmp_path, rows=100, budget=budget)
    assert (done.run.stop, done.run.counts[0]["in"]) == (stop, pulled)


@pytest.mark.parametrize(("minutes", "rows"), [(0.5, 32), (0.4999, 24)])  # ten seconds a block
def test_minutes_are_looked_at_between_blocks(
    minutes: float, rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]

    class Slow(Watch):
        def on_block(self, accepted: int, rejected: int) -> None:
            now[0] += 10

    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    job = loaded_job(tmp_path, rows=100, budget={"minutes": minutes})
    done = launch(job, tmp_path / "run", Options(watch=Slow()))
    assert (done.run.stop, done.run.accepted) == ("budget: minutes", rows)


def test_the_history_of_a_reply_names_the_model_and_the_beginning_of_its_fingerprint(
    tmp_path: Path,
) -> None:
    done = launched(tmp_path, rows=1)
    [line] = (done.folder / "rows.jsonl").read_text().splitlines()
    assert len(re.findall(r'"model": ?"writer@[0-9a-f]{12}"', line)) == 2
