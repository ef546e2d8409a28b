"""How often `compare` sees what is there, and what is not, with an instant model.

A/A: both arms are the same stage with seeds of their own, so that every difference that is shown is
a false alarm. A/B: one arm's texts may be longer by so much that it accepts more rows. All goes
through `compare` itself: rows, calls, gates, statistics. 2,000 comparisons of 40 rows take minutes,
so it is run by hand: `python -m benchmarks.lab_statistics [COMPARISONS]`. docs/prompt-lab.md keeps
the figures.
"""

import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.calling import Caller
from pipelines.job import LoadedJob, load_job
from pipelines.lab.compare import Plan, compare
from pipelines.lab.results import Comparison
from pipelines.lab.statistics import wilson
from pipelines.launch import Options
from pipelines.ledger import Ledger

_JOB = """
name: lab
models:
  writer: {model: scripted, replies: [one two three, one two, one, one two three four]}
  other: {model: scripted, replies: [one two three, one two, one two three, one two three four]}
prompts:
  ask: |
    variables: {topic: x}
    messages: [{role: user, content: "Ask about {{ topic }}."}]
sources: [{kind: topics, topics: [tea], attributes: {number: NUMBERS}, count: ROWS}]
stages:
  - {kind: generate, model: writer, prompt: ask, adds: question}
  - {kind: length, field: question, unit: words, min: 3}
"""


def measure(comparisons: int = 2_000, rows: int = 40) -> Iterator[tuple[str, str]]:
    """False alarms of A/A, one and two repeats and four variants, and hits of A/B."""
    same: dict[str, dict[str, Any]] = {f"same{n}": {"attempts": 3} for n in range(3)}
    two = {"same0": same["same0"]}
    arms = {
        "A/A": Plan("question", settings=two, rows=rows, paired=False),
        "A/A, two repeats a row": Plan(
            "question", settings=two, rows=rows, repeats=2, paired=False
        ),
        "A/A, four variants": Plan("question", settings=same, rows=rows, paired=False),
        "A/B, 25 points apart": Plan("question", ("current", "other"), rows=rows, paired=False),
    }
    for name, plan in arms.items():
        start = time.process_time()
        shown = sum(
            any(contrast.shown for contrast in found.contrasts)
            for found in _simulated(plan, comparisons)
        )
        low, high = wilson(shown, comparisons)
        cost = (time.process_time() - start) / comparisons
        share = f"{shown / comparisons:.1%} ({low:.1%} to {high:.1%})"
        yield f"{name}: a difference shown", f"{share} of {comparisons}, {1000 * cost:.0f} ms each"


def _simulated(plan: Plan, comparisons: int) -> Iterator[Comparison]:
    with tempfile.TemporaryDirectory() as name, Ledger(Path(":memory:")) as ledger:
        file = Path(name) / "job.yaml"
        text = _JOB.replace("NUMBERS", str(list(range(plan.rows)))).replace("ROWS", str(plan.rows))
        file.write_text(text, encoding="utf-8")
        loaded = load_job(file)
        caller = Caller(loaded.job.models, loaded.job.embedder, ledger)
        for seed in range(comparisons):
            job = loaded.job.model_copy(update={"seed": seed})
            once = LoadedJob(job, loaded.document, loaded.folder)
            yield compare(once, plan, Options(), caller=caller)


if __name__ == "__main__":
    for row_name, figure in measure(*map(int, sys.argv[1:2])):
        print(f"  {row_name:<44} {figure}", flush=True)
