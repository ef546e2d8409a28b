"""Runs that are killed, starved and damaged until something gives: what of it reaches the result.

    python -m benchmarks.torture                      every part, small
    python -m benchmarks.torture --full               as docs/reliability.md tells it; hours
    python -m benchmarks.torture kills soak --minutes 30

Each part yields what was done and how it ended. `silent` must be 0 everywhere: it counts results
that differ from those of a run that nothing befell, without an error that says so.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.crashing import Crashing, Death, run_here
from benchmarks.growth import growth
from benchmarks.soaking import soak_recipes
from pipelines.failpoints import NAMES

SEED = 11
_JOB = """
name: torture
seed: 3
block: 4
models: {writer: {model: scripted}}
prompts:
  ask: "variables: {topic: x}\\nmessages: [{role: user, content: 'Ask about {{ topic }}.'}]"
  reply: "variables: {question: x}\\nmessages: [{role: user, content: 'Answer {{ question }}'}]"
sources:
  - {kind: records, path: seeds.jsonl}
stages:
  - {kind: generate, model: writer, prompt: ask, adds: question}
  - {kind: dedup, field: topic}
  - {kind: generate, model: writer, prompt: reply, adds: answer}
exports:
  - {kind: jsonl}
"""
RUN = ("run", "job.yaml", "--out", "run")
RESUME = ("resume", "run")
_NOT_MADE_AGAIN = (".lock", ".timing.jsonl")


@dataclass(frozen=True)
class Size:
    """How much is done of each part.

    Attributes:
        rows: Source rows of the runs that are killed.
        kills: Random kills.
        step: Every how many bytes one is flipped or a file is cut.
        limits: Sizes of files at which a disk is full.
        minutes: Of the soak.
        large: Rows of the two runs whose memory is compared.
    """

    rows: int = 100
    kills: int = 10
    step: int = 97
    limits: int = 5
    minutes: float = 0.2
    large: tuple[int, int] = (1_000, 10_000)


FULL = Size(
    rows=400, kills=200, step=1, limits=100, minutes=60, large=(100_000, 1_000_000)
)  # fmt: skip
Part = Callable[[Crashing, Path, Size], Iterator[tuple[str, str]]]


def files_of(run: Path) -> dict[str, bytes]:
    """All files of a run folder that must be the same on every repeat."""
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in _NOT_MADE_AGAIN
    }


def begin(folder: Path, rows: int) -> Path:
    """A folder with the job and `rows` seeds, every tenth of them a duplicate."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "job.yaml").write_text(_JOB)
    topics = (f"topic {number - number % 10 // 9}" for number in range(rows))
    lines = [json.dumps({"topic": topic}) + "\n" for topic in topics]
    (folder / "seeds.jsonl").write_text("".join(lines))
    return folder


def whole_run(crashing: Crashing, folder: Path, rows: int) -> tuple[dict[str, bytes], float]:
    """The files of a run that nothing befell, and the seconds it took."""
    start = time.monotonic()
    ended = crashing.run(begin(folder, rows), *RUN)
    assert ended.code == 0, ended.err
    return files_of(folder / "run"), time.monotonic() - start


def kills(crashing: Crashing, room: Path, size: Size) -> Iterator[tuple[str, str]]:
    """Kill runs at random moments, each until it is done in spite of it."""
    whole, seconds = whole_run(crashing, room / "whole", size.rows)
    draw = random.Random(SEED)
    killed = runs = torn = silent = 0
    while killed < size.kills:
        folder = begin(room / "killed", size.rows)
        ended = Death(-9, "", "")
        while ended.code == -9 and killed < size.kills:
            ended = crashing.run(folder, *RUN, kill_after=draw.uniform(0, seconds))
            killed += ended.code == -9
            torn += "were cut off" in ended.err
        ended = crashing.run(folder, *RUN)
        torn += "were cut off" in ended.err
        runs += 1
        silent += ended.code != 0 or files_of(folder / "run") != whole
    yield "random kills", f"{killed} in {runs} runs, {torn} told of a torn block, {silent} silent"


def places(crashing: Crashing, room: Path, size: Size) -> Iterator[tuple[str, str]]:
    """Kill a run at every visit of every named place."""
    whole, _ = whole_run(crashing, room / "whole", 12)
    traced = crashing.run(begin(room / "traced", 12), *RUN, failpoint="trace")
    visits = Counter(line.split()[1] for line in traced.err.splitlines())
    done = silent = 0
    for name in NAMES:
        for visit in range(1, visits[name] + 1):
            folder = begin(room / "killed", 12)
            assert crashing.run(folder, *RUN, failpoint=f"{name}@{visit}=kill").code == -9
            ended = crashing.run(folder, *RUN)
            done += 1
            silent += ended.code != 0 or files_of(folder / "run") != whole
    yield "kills at named places", f"{done} at {len(NAMES)} places, {silent} silent"


def cuts(crashing: Crashing, room: Path, size: Size) -> Iterator[tuple[str, str]]:
    """Cut the journal at every byte of its last two records."""
    whole, _ = whole_run(crashing, room / "whole", 12)
    run = room / "whole/run"
    journal = whole["progress.jsonl"]
    begins = journal.rstrip(b"\n").rfind(b"\n", 0, journal.rstrip(b"\n").rfind(b"\n")) + 1
    ends: Counter[str] = Counter()
    for length in range(begins, len(journal), size.step):
        (run / "progress.jsonl").write_bytes(journal[:length])
        ended = run_here(room / "whole", *RESUME)
        ends["recovered" if ended.code == 0 and files_of(run) == whole else "silent"] += 1
    yield "journal cut", _counts(ends, "recovered", "silent")


def flips(crashing: Crashing, room: Path, size: Size) -> Iterator[tuple[str, str]]:
    """Flip a bit of each byte of a finished run; resuming or verifying it must tell."""
    whole, _ = whole_run(crashing, room / "whole", 12)
    run = room / "whole/run"
    for name, data in whole.items():
        ends: Counter[str] = Counter()
        for place in range(0, len(data), size.step):
            (run / name).write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            ends[_end_of_flip(run, whole)] += 1
            _put_back(run, whole)
        yield f"bits flipped, {name}", _counts(ends, "recovered", "refused", "verify", "silent")


def halfway(crashing: Crashing, room: Path, size: Size) -> Iterator[tuple[str, str]]:
    """Flip a bit of each byte of a run that was killed behind its second block, and go on."""
    whole, _ = whole_run(crashing, room / "whole", 12)
    folder = begin(room / "half", 12)
    run = folder / "run"
    assert crashing.run(folder, *RUN, failpoint="progress.after_fsync@2=kill").code == -9
    half = files_of(run)
    for name, data in half.items():
        ends: Counter[str] = Counter()
        for place in range(0, len(data), size.step):
            (run / name).write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
            ended = run_here(folder, *RESUME)
            same = ended.code == 0 and _results(files_of(run)) == _results(whole)
            refused = ended.code in {2, 3, 6}
            ends["recovered" if same else "refused" if refused else "silent"] += 1
            if not (same or refused):
                print(f"  {name} at {place}: {ended.code} {ended.err.strip()}", file=sys.stderr)
            _put_back(run, half)
        yield f"bits flipped half way, {name}", _counts(ends, "recovered", "refused", "silent")


def _end_of_flip(run: Path, whole: dict[str, bytes]) -> str:
    """What resuming makes of a damaged run, and `verify` of what that left as it was.

    Hidden files serve only to go on: what is left in them harms no result.
    """
    ended = run_here(run.parent, *RESUME)
    if ended.code:
        return "refused" if ended.code in {2, 3, 6} else "silent"
    if _results(files_of(run)) == _results(whole):
        return "recovered"
    return "verify" if run_here(run.parent, "verify", "run").code else "silent"


def _results(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if not name.startswith(".")}


def _put_back(run: Path, whole: dict[str, bytes]) -> None:
    for path in sorted(run.rglob("*")):
        name = str(path.relative_to(run))
        if path.is_file() and name not in whole and path.name not in _NOT_MADE_AGAIN:
            path.unlink()
    for name, data in whole.items():
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_bytes(data)


def full_disk(crashing: Crashing, room: Path, size: Size) -> Iterator[tuple[str, str]]:
    """Let no file grow beyond a size, from 4 KiB to that of the largest file.

    Every second time the ledger knows all calls, so that it is not the first that finds no room.
    """
    whole, _ = whole_run(crashing, room / "whole", size.rows)
    largest = max(len(data) for data in whole.values())
    ends: Counter[str] = Counter()
    for number in range(size.limits):
        folder = begin(room / "full", size.rows)
        if number % 2:
            shutil.copy(room / "whole/ledger.sqlite", folder)
        limit = 4096 + (largest - 4096) * number // size.limits
        ended = crashing.run(folder, *RUN, largest_file=limit)
        told = ended.code == 8 and ended.err.startswith("error: ")
        by = "the ledger" if "ledger" in ended.err else "a file of the run"
        again = crashing.run(folder, *RUN)
        same = again.code == 0 and files_of(folder / "run") == whole
        ends[f"told by {by}" if told and same else "silent"] += 1
    yield "disk full", _counts(ends, "told by the ledger", "told by a file of the run", "silent")


def soak(crashing: Crashing, room: Path, size: Size) -> Iterator[tuple[str, str]]:
    """Begin, kill and finish runs for as long as asked; nothing may pile up."""
    whole, seconds = whole_run(crashing, room / "whole", size.rows)
    draw = random.Random(SEED)
    end = time.monotonic() + 60 * size.minutes
    runs = silent = 0
    while time.monotonic() < end:
        folder = begin(room / "soaked", size.rows)
        crashing.run(folder, *RUN, kill_after=draw.uniform(0, 2 * seconds))
        ended = crashing.run(folder, *RUN)
        runs += 1
        silent += ended.code != 0 or files_of(folder / "run") != whole
    left = len([path for path in room.iterdir() if path.name not in {"whole", "soaked"}])
    held = len(list(Path(f"/proc/{crashing.pid}/fd").iterdir()))
    yield f"soak of {size.minutes:g} minutes", f"{runs} runs, {silent} silent"
    yield "left by it", f"{left} temporary files, {held} open files in the parent"


def _counts(ends: Counter[str], *names: str) -> str:
    return ", ".join(f"{ends[name]} {name}" for name in names)


PARTS: dict[str, Part] = {
    "kills": kills,
    "places": places,
    "cuts": cuts,
    "flips": flips,
    "halfway": halfway,
    "disk": full_disk,
    "soak": soak,
    "recipes": lambda crashing, room, size: soak_recipes(room, size.minutes),
    "growth": lambda crashing, room, size: growth(room, *size.large),
}


def main() -> None:
    """Do the parts that were named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all if none is named")
    parser.add_argument("--full", action="store_true", help="hours instead of minutes")
    parser.add_argument("--minutes", type=float, help="of the soak")
    parser.add_argument("--step", type=int, help="every how many bytes one is damaged")
    asked = parser.parse_args()
    given = {key: getattr(asked, key) for key in ("minutes", "step")}
    given = {key: value for key, value in given.items() if value is not None}
    size = replace(FULL if asked.full else Size(), **given)
    for name in asked.parts or PARTS:
        with tempfile.TemporaryDirectory() as room, closing(Crashing(room)) as crashing:
            for what, figure in PARTS[name](crashing, Path(room), size):
                print(f"  {what:<40} {figure}", flush=True)


if __name__ == "__main__":
    main()
