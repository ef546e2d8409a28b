"""How a run's memory grows with its rows, and how long it takes to go on with a large one.

Without a model: records from a file, two filters, an export. Every figure is from a process of its
own. Seconds are those of the processor, which do not depend on what else the machine does, and for
going on those until the first new block is committed.
"""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
_JOB = """
name: growth
sources:
  - {kind: records, path: seeds.jsonl}
stages:
  - {kind: length, field: text, min: 1}
  - {kind: pattern, field: text, forbid: ['never']}
exports:
  - {kind: jsonl}
"""
_BLOCK = 64


def growth(room: Path, small: int, large: int) -> Iterator[tuple[str, str]]:
    """Memory of a run of `small` and one of `large` rows, and the resume of the latter."""
    first, _ = _timed(_begin(room / "small", small))
    folder = _begin(room / "large", large)
    blocks = large // _BLOCK * 9 // 10
    _timed(folder, f"progress.after_fsync@{blocks}=kill")
    _, seconds = _timed(folder, "progress.after_fsync@1=kill")
    yield (
        f"resume behind {blocks * _BLOCK} rows",
        f"{seconds:.1f} s of processor to a new block",
    )
    folder = _begin(room / "whole", large)
    last, seconds = _timed(folder)
    yield f"{large} rows", f"{seconds:.0f} s of processor, {last:.0f} MiB at most"
    yield f"{small} rows", f"{first:.0f} MiB at most; grown by {100 * (last / first - 1):.1f} %"


def _begin(folder: Path, rows: int) -> Path:
    folder.mkdir()
    (folder / "job.yaml").write_text(_JOB)
    with (folder / "seeds.jsonl").open("w") as file:
        for number in range(rows):
            file.write(json.dumps({"text": f"A text that has the number {number}."}) + "\n")
    return folder


def _timed(folder: Path, failpoint: str = "") -> tuple[float, float]:
    """Peak resident memory in MiB of a run, and its seconds of processor."""
    command = [sys.executable, str(REPOSITORY / "run_pipeline.py"), "run", "job.yaml"]
    process = subprocess.Popen(
        [*command, "--out", "run"],
        cwd=folder,
        env={**os.environ, "TEXTMILL_FAILPOINT": failpoint, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == (-9 if failpoint else 0)
    return _mebibytes(usage), usage.ru_utime + usage.ru_stime


def _mebibytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / 1024
