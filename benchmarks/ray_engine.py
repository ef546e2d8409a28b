"""The engine `ray` on this machine: rows a second beside one process, and a large deduplication.

    python -m benchmarks.ray_engine                   # rows/s of an instant model, 2 actors
    python -m benchmarks.ray_engine --dedup 1000000   # MinHash over texts, in the cluster and not

The deduplication checks that both ways reject the same rows. Seconds are of the clock, and of a
machine that does nothing else.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.dedup import THRESHOLD, corpus
from pipelines.job import load_job
from pipelines.launch import Launched, Options, launch
from pipelines.ray.cluster import Cluster
from pipelines.ray.engine import RayRunner

ROWS, ACTORS = 20_000, 2
_ASK: dict[str, Any] = {
    "name": "instant",
    "block": 500,
    "models": {"writer": {"model": "scripted"}},
    "prompts": {
        "ask": "variables: {topic: a column}\n"
        "messages: [{role: user, content: 'Ask about {{ topic }}.'}]\n"
    },
    "sources": [{"kind": "topics", "topics": ["tides", "lakes"], "count": ROWS}],
    "stages": [{"kind": "generate", "model": "writer", "prompt": "ask", "adds": "question"}],
}


def measure(room: Path) -> Iterator[tuple[str, str]]:
    """Rows a second with both engines."""
    (room / "job.yaml").write_text(json.dumps(_ASK))
    yield from _both(room, "rows")


def deduplicate(room: Path, texts: int) -> Iterator[tuple[str, str]]:
    """Rows a second of MinHash over `texts` texts."""
    with (room / "texts.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in corpus(texts)[0])
    job = {
        "name": "unique",
        "block": 10_000,
        "sources": [{"kind": "records", "path": str(room / "texts.jsonl")}],
        "stages": [{"kind": "dedup", "field": "text", "threshold": THRESHOLD}],
    }
    (room / "job.yaml").write_text(json.dumps(job))
    yield from _both(room, "texts")


def _both(room: Path, what: str) -> Iterator[tuple[str, str]]:
    engine = partial(RayRunner, cluster=Cluster(actors=ACTORS))
    here, seconds = _timed(room, "here", Options(room / "one"))
    given = here.run.counts[0]["in"]
    yield f"one process, {given:,} {what}", f"{seconds:.1f} s, {given / seconds:,.0f}/s"
    there, seconds = _timed(room, "there", Options(room / "two", engine=engine))
    yield f"Ray, {ACTORS} actors, its start included", f"{seconds:.1f} s, {given / seconds:,.0f}/s"
    for name in ("rows.jsonl", "rejected.jsonl"):
        same = (here.folder / name).read_bytes() == (there.folder / name).read_bytes()
        yield f"{name} of both", "the same bytes" if same else "DIFFERENT"


def _timed(room: Path, name: str, options: Options) -> tuple[Launched, float]:
    start = time.monotonic()
    launched = launch(load_job(room / "job.yaml"), room / name, options)
    return launched, time.monotonic() - start


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        room = Path(folder)
        if sys.argv[1:2] == ["--dedup"]:
            figures = deduplicate(room, int(sys.argv[2]))
        else:
            figures = measure(room)
        for name, figure in figures:
            print(f"  {name:<58} {figure}", flush=True)


if __name__ == "__main__":
    main()
