"""How many replies of the embedded model have the length that was asked for.

20 writing tasks on 10 topics, sampled at temperature 0.8 with top_p 0.95; a reply counts when it
has 20, 50 or 100 words, 10 % more or fewer, and ends with a finished sentence. It takes some ten
minutes, so it is run by hand: `python -m benchmarks.length`. docs/benchmarks.md keeps the figures.
"""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chains.text.measuring import measure as measured
from chains.text.sentences import finished
from pipelines.job import load_job
from pipelines.launch import Options, launch

TASKS = (
    "Write a short story about {}.",
    "Describe {} to a child.",
    "Explain why people care about {}.",
    "Write a product description for {}.",
    "Write a diary entry about {}.",
    "Write a letter to a friend about {}.",
    "Give advice to somebody who is new to {}.",
    "Write a news report about {}.",
    "Write the opening of an essay on {}.",
    "Tell a memory of {}.",
    "Write a review of a book on {}.",
    "Summarise the history of {}.",
    "Write an advertisement for {}.",
    "Describe a day at a museum of {}.",
    "Explain a common mistake with {}.",
    "Write a speech in praise of {}.",
    "Compare {} today with fifty years ago.",
    "Describe the smells and sounds of {}.",
    "Write a blog post about {}.",
    "Argue that schools should teach about {}.",
)
TOPICS = (
    "lighthouses",
    "night trains",
    "bread",
    "old maps",
    "beekeeping",
    "winter gardens",
    "chess",
    "rivers",
    "handmade shoes",
    "thunderstorms",
)
TARGETS = (20, 50, 100)
TOKENS_PER_WORD = 4 / 3

_PROMPT = "variables: {task: x}\nmessages: [{role: user, content: '{{ task }}'}]"
_SAMPLING = {"strategy": "sample", "temperature": 0.8, "top_p": 0.95}


def measure() -> Iterator[tuple[str, str]]:
    """Three rows a target: all layers, all layers but asked once, and `max_tokens` alone."""
    for target in TARGETS:
        length = {"unit": "words", "target": target, "tolerance": 0.1}
        room = {"max_tokens": round(2.5 * target) + 20}
        plain = {"max_tokens": round(target * TOKENS_PER_WORD)}
        for name, stage in (
            ("length", {"length": length, "decoding": {**_SAMPLING, **room}}),
            ("length, 1 attempt", {"length": length, "attempts": 1, "decoding": _SAMPLING | room}),
            ("max_tokens alone", {"allow_cut": True, "decoding": {**_SAMPLING, **plain}}),
        ):
            rows = _run(stage)
            yield f"{target} words: {name}", _figures(rows, target)


def _run(stage: dict[str, Any]) -> list[dict[str, Any]]:
    """The accepted rows of a job with this stage; the ledger is kept between the runs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tasks = [task.format(topic) for topic in TOPICS for task in TASKS]
        lines = "".join(json.dumps({"task": task}) + "\n" for task in tasks)
        (folder / "tasks.jsonl").write_text(lines)
        ask = {"kind": "generate", "model": "writer", "prompt": "ask", "adds": "text", **stage}
        job = {
            "name": "length",
            "block": len(tasks),
            "models": {"writer": {"model": "embedded"}},
            "prompts": {"ask": _PROMPT},
            "sources": [{"kind": "records", "path": "tasks.jsonl"}],
            "stages": [ask],
        }
        (folder / "job.yaml").write_text(json.dumps(job))
        ledger = Path(tempfile.gettempdir()) / "textmill-benchmark-length.sqlite"
        done = launch(load_job(folder / "job.yaml"), folder / "run", Options(ledger=ledger))
        rows = (done.folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(row) for row in rows]


def _figures(rows: list[dict[str, Any]], target: int) -> str:
    texts = [row["data"]["text"] for row in rows]
    lengths = [measured(text, "words") for text in texts]
    fits = [abs(length - target) <= 0.1 * target for length in lengths]
    good = sum(fit and finished(text) for fit, text in zip(fits, texts, strict=True))
    layers = Counter(row["history"][-1].get("length", {}).get("layer", "none") for row in rows)
    settled = ", ".join(f"{layer} {count}" for layer, count in layers.most_common())
    all_ = len(TASKS) * len(TOPICS)
    return f"{good / all_:.1%} inside and finished, {sum(fits) / all_:.1%} inside ({settled})"


if __name__ == "__main__":
    for row_name, figure in measure():
        print(f"  {row_name:<32} {figure}", flush=True)
