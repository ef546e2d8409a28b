"""What a server gets out of the run: calls a second, CPU a row and memory, against a fake server.

The server (`tests/chains/slow_server.py`) is a process of its own, answers after 50 ms and takes 32
calls at once; more are refused with 429. Each figure is from a process of its own.

    python -m benchmarks.servers              # throughput and CPU a row
    python -m benchmarks.servers --large      # also the memory of 100,000 rows over 64 connections
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SERVER = REPOSITORY / "tests" / "chains" / "slow_server.py"
LATENCY, LIMIT, ROUNDS = 0.05, 32, 3

_CALLS = """
import json, resource, sys, time
from chains.calls import Call, Message
from chains.decoding import Greedy
from chains.models import ModelSpec
from chains.models.server import open_server
model = open_server(ModelSpec(server=sys.argv[1], model="m", batch=int(sys.argv[3])))
calls = [Call((Message("user", f"Question {n}"),), Greedy()) for n in range(int(sys.argv[2]))]
before, start = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
found = sum(len(done) for done in model.answer(calls))
seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(json.dumps({"seconds": seconds, "cpu": cpu, "found": found}))
"""

_RUN = """
import json, resource, sys, time
from pathlib import Path
from pipelines.job import load_job
from pipelines.launch import Options, launch
loaded = load_job(Path(sys.argv[1]), overrides=[f"rows={sys.argv[3]}"])
before, start = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
done = launch(loaded, Path(sys.argv[2]), Options())
seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_SELF)
cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
peak = after.ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak, "rows": done.run.accepted}))
"""

_JOB = """
name: servers
rows: 1
block: 2048
models: {{writer: {{server: "{address}", model: m, batch: {batch}, tolerate: [seed, temperature]}}}}
prompts:
  ask: |
    variables: {{topic: x}}
    messages: [{{role: user, content: "Ask about {{{{ topic }}}}."}}]
sources:
  - {{kind: topics, topics: [tea, rain, bread, maps, snails]}}
stages:
  - {{kind: generate, model: writer, prompt: ask, adds: question}}
"""


def measure(*, large: bool = False) -> Iterator[tuple[str, str]]:
    """Share of the ideal throughput, CPU a row (median of three), and with `large` the memory."""
    calls = 12_800
    with _Server(latency=LATENCY, limit=LIMIT) as address:
        found = [_child(_CALLS, address, str(calls), "64") for _ in range(ROUNDS)]
    ideal = calls * LATENCY / LIMIT
    shares = sorted(ideal / one["seconds"] for one in found)
    yield f"share of {LIMIT / LATENCY:.0f} calls a second", f"{shares[1]:.1%} ({_spread(shares)})"
    cpu = [one["cpu"] / calls * 1000 for one in found]
    yield "CPU a call, client alone", f"{statistics.median(cpu):.2f} ms"
    with _Server(latency=0.0, limit=64) as address:
        costs = [
            (_run(address, 10_240)["cpu"] - _run(address, 2048)["cpu"]) / 8192 * 1000
            for _ in range(ROUNDS)
        ]
        yield "CPU a row, one model stage, whole run", f"{statistics.median(costs):.2f} ms"
        if large:
            done = _run(address, 100_000)
            yield "peak resident memory, 100,000 rows, 64 connections", f"{done['peak']:.0f} MiB"
            yield "rows a second, 100,000 rows", f"{done['rows'] / done['seconds']:.0f}"


def _run(address: str, rows: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.yaml"
        job.write_text(_JOB.format(address=address, batch=64))
        return _child(_RUN, str(job), f"{folder}/run", str(rows))


def _child(code: str, *words: str) -> dict[str, float]:
    command = [sys.executable, "-c", code, *words]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _spread(shares: list[float]) -> str:
    return f"{shares[0]:.1%} to {shares[-1]:.1%}"


class _Server:
    def __init__(self, **settings: float) -> None:
        self._command = [sys.executable, str(SERVER), json.dumps(settings)]

    def __enter__(self) -> str:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        return f"http://127.0.0.1:{int(self._process.stdout.readline())}/v1"

    def __exit__(self, *about: object) -> None:
        self._process.kill()
        self._process.communicate()


if __name__ == "__main__":
    for name, figure in measure(large="--large" in sys.argv):
        print(f"  {name:<58} {figure}")
