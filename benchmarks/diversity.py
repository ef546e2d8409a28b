"""How diverse the rows of one task are by each way of varying what is asked.

By hand, with a folder for runs and their ledger: `python -m benchmarks.diversity RUNS --rows 500`.
The task is one sentence of a product review. A run that was stopped goes on: what was paid for lies
in RUNS/ledger.sqlite, and a finished run is only read. `--only plain,pool` takes some of the ways.
docs/augmentation.md keeps the figures.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from pipelines.evaluation.intrinsic import measure_itself
from pipelines.evaluation.loading import Texts
from pipelines.job import PROJECT, load_job
from pipelines.launch import Options, launch

JobPart = dict[str, Any]

PRODUCTS = ["tent", "headset", "blender", "desk lamp", "backpack", "coffee grinder", "raincoat",
            "bicycle light", "kitchen knife", "office chair"]  # fmt: skip
ASPECTS = ["price", "quality", "delivery", "customer service", "size", "colour", "noise"]
MOODS = ["positive", "negative"]
DECODING = {
    "strategy": "sample",
    "temperature": 0.7,
    "top_p": 0.9,
    "max_tokens": 72,
    "stop": ["\n"],
}
PERSONAS = ["a retired postman", "a student in her first flat", "a father of twins",
            "a night nurse", "a mountain guide", "a violinist", "a baker", "a wheelchair user",
            "a beekeeper", "a long-distance lorry driver"]  # fmt: skip

PLAIN = """
variables: {}
messages:
  - {role: system, content: You write short reviews as customers write them.}
  - {role: user, content: Write one sentence of a product review.}
"""
NAMED = """
variables: {topic: The product., aspect: What it is about., label: positive or negative.}
messages:
  - {role: system, content: You write short reviews as customers write them.}
  - role: user
    content: Write one sentence of a {{ label }} review of a {{ topic }}, about the {{ aspect }}.
"""
SPOKEN = """
variables: {persona: Who writes.}
messages:
  - {role: system, content: "You are {{ persona }} and write short reviews of what you bought."}
  - {role: user, content: Write one sentence of a product review.}
"""
EXAMPLES = [
    "The bread is warm, crisp and worth every penny of the queue.",
    "They close at three, so we stood in front of a locked door.",
    "Nobody can hear me, because the microphone crackles all the time.",
    "Clean, hot showers and never a queue, even in August.",
    "The main actor mumbled his lines and put half the audience to sleep.",
    "The brakes are gentle and strong, and they never squeal.",
    "After two washes the green had turned to grey.",
    "My grandmother reads the large digits without her glasses.",
]


POOLED = {"pool", "self_instruct"}
"""The ways that read what earlier blocks made; for the others larger blocks are quicker."""


def ways(folder: Path) -> dict[str, JobPart]:
    """For each way its source, prompt and stage."""
    plain = {"kind": "topics", "topics": ["review"]}
    named = {
        "kind": "topics",
        "topics": PRODUCTS,
        "attributes": {"aspect": ASPECTS, "label": MOODS},
    }
    spoken = {"kind": "topics", "topics": ["review"], "attributes": {"persona": PERSONAS}}
    ask = {"kind": "generate", "model": "writer", "prompt": "task", "adds": "text"}
    seeds = folder / "reviews.jsonl"
    seeds.write_text("".join(json.dumps({"text": text}) + "\n" for text in EXAMPLES))
    grow = {"kind": "self_instruct", "model": "writer", "prompt": "task", "adds": "text",
            "seeds": str(seeds.resolve()), "seed_column": "text", "keywords": [],
            "decoding": DECODING}  # fmt: skip
    several = {"kind": "verbalised", "model": "writer", "prompt": "task", "adds": "text",
               "candidates": 4, "max_chars": 160}  # fmt: skip
    pool = {**ask, "decoding": DECODING, "examples": {"from": "pool", "n": 4}}
    return {
        "plain": {"source": plain, "prompt": PLAIN, "stage": {**ask, "decoding": DECODING}},
        "temperature": {
            "source": plain,
            "prompt": PLAIN,
            "stage": {**ask, "decoding": {**DECODING, "temperature": 1.1, "top_p": 0.98}},
        },
        "attributes": {"source": named, "prompt": NAMED, "stage": {**ask, "decoding": DECODING}},
        "personas": {"source": spoken, "prompt": SPOKEN, "stage": {**ask, "decoding": DECODING}},
        "pool": {"source": plain, "prompt": PLAIN, "stage": pool},
        "self_instruct": {"source": plain, "prompt": PLAIN, "stage": grow},
        "verbalised": {"source": plain, "prompt": PLAIN, "stage": several},
    }


def texts_of(name: str, way: JobPart, folder: Path, rows: int) -> list[str]:
    """The texts that one way makes; a finished run of so many rows is read again."""
    run = folder / f"{name}-{rows}"
    job = {
        "name": name.replace("_", "-"),
        "seed": 11,
        "rows": rows,
        "block": 20 if name in POOLED else 50,
        "budget": {"seeds_per_row": 10},
        "models": {"writer": {"model": "embedded"}},
        "prompts": {"task": way["prompt"]},
        "sources": [way["source"]],
        "stages": [
            way["stage"],
            {"kind": "length", "field": "text", "unit": "words", "min": 4, "max": 60},
        ],
    }
    path = folder / f"{name}-{rows}.yaml"
    path.write_text(yaml.safe_dump(job, sort_keys=False), encoding="utf-8")
    loaded = load_job(path, folder=PROJECT)
    loaded.check()
    launch(loaded, run, Options(ledger=folder / "ledger.sqlite", keep_going=True))
    lines = (run / "rows.jsonl").read_text(encoding="utf-8").split("\n")
    return [json.loads(line)["data"]["text"] for line in lines if line]


def measure(folder: Path, rows: int, names: list[str]) -> Iterator[tuple[str, str]]:
    """One line a way."""
    from chains.embedding import open_embedder

    embedder = open_embedder("embedded")
    folder.mkdir(parents=True, exist_ok=True)
    known = ways(folder)
    for name in names or list(known):
        texts = texts_of(name, known[name], folder, rows)
        if len(texts) < 2:
            yield name, f"{len(texts)} rows: nothing to measure"
            continue
        found = measure_itself(Texts(name, "text", tuple(texts)), embedder.encode)
        alike = found["exact_duplicates"] + found["near_duplicates"]
        yield (
            name,
            f"{len(texts)} rows, distinct-2 {found['distinct']['2']:.3f} "
            f"({found['distinct']['words']} words), compression {found['compression_ratio']:.2f}, "
            f"self-BLEU {found['self_bleu']:.3f}, Vendi {found['vendi']:.1f}, "
            f"near-duplicates {alike:.1%}",
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, metavar="RUNS")
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument(
        "--only", default="", metavar="NAMES", help="some ways, with commas between"
    )
    given = parser.parse_args()
    for title, figure in measure(given.runs, given.rows, [n for n in given.only.split(",") if n]):
        print(f"{title:<16}{figure}", flush=True)
