"""What the framework itself costs a row, with a model that answers at once.

The job has three model stages. Every figure is from a process of its own: CPU seconds of the whole
process less those of one that runs the same job over a single block, and the peak of its resident
memory.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
ROUNDS = 5

_CHILD = """
import json, resource, sys
from pathlib import Path
from pipelines.job import load_job
from pipelines.launch import Options, launch
loaded = load_job(Path(sys.argv[1]), overrides=[f"rows={sys.argv[3]}"])
before = resource.getrusage(resource.RUSAGE_SELF)
done = launch(loaded, Path(sys.argv[2]), Options())
after = resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(json.dumps({"cpu": cpu, "peak": after.ru_maxrss / 1024, "rows": done.run.accepted}))
"""

_JOB = """
name: framework
rows: 1
models: {writer: {model: scripted}}
prompts:
  first: |
    variables: {topic: x}
    messages: [{role: user, content: "Ask about {{ topic }}."}]
  second: |
    variables: {question: x}
    messages: [{role: user, content: "Answer {{ question }}"}]
  third: |
    variables: {answer: x}
    messages: [{role: user, content: "Shorten {{ answer }}"}]
sources:
  - {kind: topics, topics: [tea, rain, bread, maps, snails]}
stages:
  - {kind: generate, model: writer, prompt: first, adds: question}
  - {kind: generate, model: writer, prompt: second, adds: answer}
  - {kind: generate, model: writer, prompt: third, adds: short}
"""


def measure() -> Iterator[tuple[str, str]]:
    """CPU a row of a 2,000-row job (median of five), and the peak memory of one of 100,000 rows."""
    costs = [(_run(2_000)["cpu"] - _run(64)["cpu"]) / (2_000 - 64) * 1000 for _ in range(ROUNDS)]
    spread = f"{min(costs):.2f} to {max(costs):.2f}"
    yield "CPU a row, three model stages", f"{statistics.median(costs):.2f} ms ({spread})"
    large = _run(100_000)
    yield "peak resident memory, 100,000 rows", f"{large['peak']:.0f} MiB"
    yield "CPU a row, 100,000 rows", f"{large['cpu'] / 100_000 * 1000:.2f} ms"


def _run(rows: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.yaml"
        job.write_text(_JOB)
        command = [sys.executable, "-c", _CHILD, str(job), f"{folder}/run", str(rows)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result
