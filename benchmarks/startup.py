"""How long the commands take that load no model: whole processes, wall time, median of five."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
COMMANDS = (["--help"], ["run", "--help"], ["validate", "pipelines/recipes/demo.yaml"])


def measure() -> Iterator[tuple[str, str]]:
    """One figure a command."""
    for command in COMMANDS:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            whole = [sys.executable, "run_pipeline.py", *command]
            subprocess.run(whole, cwd=REPOSITORY, capture_output=True, check=True)
            times.append(time.perf_counter() - start)
        yield " ".join(command), f"{statistics.median(times):.2f} s"
