"""Exports: rows per CPU-second and peak memory, each in a process of its own, one thread."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
ROWS = 20_000
EXPORTS = {
    "jsonl": {"kind": "jsonl", "format": "messages"},
    "csv": {"kind": "csv"},
    "parquet": {"kind": "parquet", "format": "prompt-completion"},
    "hf_dataset": {"kind": "hf_dataset", "format": "prompt-completion"},
    "hf_dataset, three splits": {
        "kind": "hf_dataset",
        "format": "prompt-completion",
        "splits": {"train": 0.8, "validation": 0.1, "test": 0.1},
    },
}
WORKER = """
import json, resource, sys, time
from collections.abc import Iterator
from pathlib import Path
from pipelines.exporters import EXPORTERS, Finished
from pipelines.rows import Row, digest

settings, count, folder = json.loads(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
manifest = {"textmill": "0", "job": {"name": "x", "seed": 1}, "versions": {}, "machine": {},
            "models": {}, "prompts": {}, "stages": [], "rows": count, "stop": "quota"}
job = {"models": {}, "prompts": {}, "sources": [], "stages": []}
words = "the handbook says that leave is asked for in writing two weeks before it begins".split()

def rows() -> Iterator[Row]:
    for index in range(count):
        text = " ".join(words[(index + step) % len(words)] for step in range(60))
        name = digest(index)
        history = ({"stage": "source:documents", "key": str(index)}, {"stage": "answer"})
        yield Row(name, (index,), name, {"question": f"case {index}?", "answer": text}, history)

folder.mkdir()
start = time.process_time()
for _ in rows():
    pass
making = time.process_time() - start
exporter = EXPORTERS.build(settings)
exporter.write(Finished(lambda: iter(()), manifest, job), folder)  # imports are paid
start = time.process_time()
(folder / "out").mkdir()
exporter.write(Finished(rows, manifest, job), folder / "out")
seconds = time.process_time() - start - 2 * making
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([seconds, peak]))
"""


def measure(rows: int = ROWS) -> Iterator[tuple[str, str]]:
    """One figure an exporter, without the time that the rows themselves take to make."""
    for name, settings in EXPORTS.items():
        with tempfile.TemporaryDirectory() as folder:
            words = [json.dumps(settings), str(rows), f"{folder}/x"]
            done = subprocess.run(
                [sys.executable, "-c", WORKER, *words],
                cwd=REPOSITORY,
                env={"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)},
                capture_output=True,
                text=True,
                check=True,
            )
        seconds, peak = json.loads(done.stdout)
        yield f"{name}, {rows} rows", f"{rows / seconds:,.0f} rows/CPU-s, peak {peak:.0f} MB"


if __name__ == "__main__":
    for label, figure in measure(int(sys.argv[1]) if sys.argv[1:] else ROWS):
        print(f"{label:<50} {figure}")
