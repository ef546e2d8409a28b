"""The engine `ray` on this machine: rows a second beside one process, and a large deduplication.

    python -m benchmarks.ray_engine                   # rows/s of an instant model, 2 actors
    python -m benchmarks.ray_engine --dedup 1000000   # MinHash over texts, in the cluster and not
    python -m benchmarks.ray_engine --export 200000   # Parquet files, in the cluster and not

Both ways have to reject the same rows, and to write the same files. Seconds are of the clock, and
of a machine that does nothing else.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.dedup import THRESHOLD, corpus
from benchmarks.torture import files_of
from pipelines.exporters import Finished, HfDataset, Parquet
from pipelines.exporters.base import Spread
from pipelines.exporters.spreading import write_export
from pipelines.files import read_jsonl
from pipelines.job import load_job
from pipelines.launch import Launched, Options, launch
from pipelines.ray.cluster import Cluster
from pipelines.ray.engine import RayRunner
from pipelines.ray.tasks import tasks
from pipelines.rows import Row, canonical, digest

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


def export(room: Path, rows: int) -> Iterator[tuple[str, str]]:
    """Rows a second of exports in ten files, of rows with 150 words."""
    (room / "rows.jsonl").write_text("".join(_lines(rows)), encoding="utf-8")

    def read() -> Iterator[Row]:
        return (Row.from_json(record) for record in read_jsonl(room / "rows.jsonl"))

    about = {"textmill": "0", "versions": {}, "machine": "", "models": {}, "prompts": {}}
    job = {"name": "x", "seed": 1}
    manifest = {**about, "job": job, "stages": [], "rows": rows, "stop": "sources"}
    run = Finished(read, manifest, {"models": {}, "prompts": {}, "sources": [], "stages": []})
    with tasks(Cluster(actors=ACTORS)) as apply:
        began = time.monotonic()
        list(apply(str, range(ACTORS)))
        yield "Ray's start, and the first tasks", f"{time.monotonic() - began:.1f} s"
        spread = replace(run, spread=Spread(room / "rows.jsonl", apply))
        for exporter in (Parquet(shard_rows=rows // 10), HfDataset(shard_rows=rows // 10)):
            for name, way in (("here", run), ("there", spread)):
                began = time.monotonic()
                write_export(exporter, way, room / name)
                seconds = time.monotonic() - began
                where = "one process" if way is run else f"Ray, {ACTORS} tasks at a time"
                yield f"{exporter.kind}, {where}", f"{seconds:.1f} s, {rows / seconds:,.0f}/s"
            one, other = (files_of(room / name) for name in ("here", "there"))
            yield f"{len(one)} files of both", "the same bytes" if one == other else "DIFFERENT"


def _lines(rows: int) -> Iterator[str]:
    words = [f"word{number}" for number in range(997)]
    for number in range(rows):
        name = digest(number)
        answer = " ".join(words[number * (step + 1) % 997] for step in range(150))
        history = ({"stage": "source:documents", "key": str(number)}, {"stage": "answer"})
        data = {"question": f"case {number}?", "answer": answer}
        yield canonical(Row(name, (number,), name, data, history).as_json()) + "\n"


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
        elif sys.argv[1:2] == ["--export"]:
            figures = export(room, int(sys.argv[2]))
        else:
            figures = measure(room)
        for name, figure in figures:
            print(f"  {name:<58} {figure}", flush=True)


if __name__ == "__main__":
    main()
