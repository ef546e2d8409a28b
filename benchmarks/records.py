"""A large JSON Lines file read as seed rows: time and peak memory, in a process of its own.

`python -m benchmarks.records [GIGABYTES]`, 2 where it is left out; a file of that size is written
to the temporary folder and removed. docs/benchmarks.md keeps the figures.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
TEXT = "lorem ipsum dolor sit amet " * 35
WORKER = """
import json, resource, sys, time
from pathlib import Path
from pipelines.job import load_job
from pipelines.supply import supply

loaded = load_job(Path(sys.argv[1]))
start = time.perf_counter()
loaded.job.sources[0].fingerprint(loaded)
hashed = time.perf_counter() - start
start = time.perf_counter()
count = sum(1 for _ in supply(loaded, passes=1))
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([count, hashed, seconds, peak]))
"""


def measure(gigabytes: float = 2) -> Iterator[tuple[str, str]]:
    """Seed rows with ids of their own; what is read is dropped again."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        size = _write(folder / "large.jsonl", int(gigabytes * 1e9))
        source = {"kind": "records", "path": "large.jsonl", "key": "id"}
        (folder / "job.yaml").write_text(json.dumps({"name": "large", "sources": [source]}))
        done = subprocess.run(
            [sys.executable, "-c", WORKER, str(folder / "job.yaml")],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        )
    count, hashed, seconds, peak = json.loads(done.stdout)
    yield f"{size / 1e9:.2f} GB of JSON Lines, {count:,} rows", f"peak {peak:,.0f} MiB"
    yield "hashed before the run", f"{hashed:.0f} s"
    yield "read as seed rows", f"{seconds:.0f} s, {count / seconds:,.0f} rows/s"


def _write(path: Path, least: int) -> int:
    size = number = 0
    with path.open("w", encoding="utf-8") as file:
        while size < least:
            size += file.write(json.dumps({"id": number, "text": f"{number} {TEXT}"}) + "\n")
            number += 1
    return size


if __name__ == "__main__":
    for name, figure in measure(float(sys.argv[1]) if sys.argv[1:] else 2):
        print(f"{name:<50} {figure}")
