"""The search of `tune` on a surface that is known: 25 trials of TPE beside a grid of 60 points.

A scripted model replies well with a chance that depends on temperature and top_p alone, so that the
true share of good replies is known for every choice; the search sees 40 rows of it. Figures are the
true shares of what each method chose, means of five seeds.
"""

import hashlib
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import yaml

from chains.calls import Call, Model
from chains.models.scripted import ScriptedChat
from pipelines.calling import Caller
from pipelines.job import LoadedJob, load_job
from pipelines.lab.tuning import tune
from pipelines.lab.tuning_choices import Tuned
from pipelines.lab.tuning_space import Space
from pipelines.lab.tuning_study import open_study
from pipelines.ledger import Ledger
from prompts.registry import validate

TEMPERATURE, TOP_P = "text.decoding.temperature", "text.decoding.top_p"
SEEDS = 5

PROMPT = "variables: {topic: x}\nmessages: [{role: user, content: 'About {{ topic }}.'}]\n"
JOB: dict[str, Any] = {
    "name": "surface",
    "models": {"writer": {"model": "scripted"}},
    "prompts": {"ask": PROMPT},
    "sources": [{"kind": "topics", "topics": [f"topic {n}" for n in range(40)], "count": 40}],
    "stages": [
        {"kind": "generate", "model": "writer", "prompt": "ask", "adds": "text", "attempts": 1},
        {"kind": "length", "field": "text", "unit": "words", "min": 5, "max": 40},
    ],
}


def surface(temperature: float, top_p: float) -> float:
    """Share of good replies; 1 at temperature 0.73 and top_p 0.87."""
    return math.exp(-(((temperature - 0.73) / 0.45) ** 2) - ((top_p - 0.87) / 0.25) ** 2)


def good_or_bad(call: Call) -> str:
    """A good reply with the chance of the surface, decided by the seed."""
    decoding = call.decoding.key()
    drawn = int.from_bytes(hashlib.sha256(str(call.seed).encode()).digest()[:6], "big") / 2**48
    good = drawn < surface(decoding["temperature"], decoding["top_p"])
    return "one two three four five six" if good else "one two"


class _Surface(Caller):
    def __init__(self, loaded: LoadedJob, ledger: Ledger) -> None:
        super().__init__(loaded.job.models, loaded.job.embedder, ledger)
        self._chat = ScriptedChat(script=good_or_bad)

    def model(self, name: str) -> Model:
        return self._chat

    def fingerprint(self, name: str) -> str:
        return self._chat.fingerprint


def measure() -> Iterator[tuple[str, str]]:
    """True share of good replies with what each method chose."""
    grid = {TEMPERATURE: {"low": 0.2, "high": 1.4, "step": 0.1333}, TOP_P: _six_points()}
    ranges = {TEMPERATURE: {"low": 0.2, "high": 1.4}, TOP_P: {"low": 0.5, "high": 1.0}}
    ways = [
        ("grid of 60 (one seed of the job each)", {"space": grid, "method": "grid", "trials": 66}),
        ("random, 25 trials", {"space": ranges, "method": "random", "trials": 25}),
        ("tpe, 25 trials", {"space": ranges, "trials": 25}),
    ]
    for name, settings in ways:
        found = [_chosen(seed, settings) for seed in range(SEEDS)]
        rows = mean(rows for _, rows in found)
        yield name, f"{mean(share for share, _ in found):.3f} good, {rows:.0f} rows worked on"


def _six_points() -> list[float]:
    return [0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


def _chosen(seed: int, settings: dict[str, Any]) -> tuple[float, int]:
    space = validate(Space, {"rows": 40, "holdout": 0, "seed": seed, **settings})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "job.yaml").write_text(yaml.safe_dump({**JOB, "seed": seed}), encoding="utf-8")
        tuned = Tuned(load_job(folder / "job.yaml"), space)
        tuned.loaded.check()
        with Ledger(folder / "ledger.sqlite") as ledger:
            caller = _Surface(tuned.loaded, ledger)
            found = tune(tuned, open_study(folder / "study.sqlite", tuned), lambda made: caller)
    assert found.best is not None
    choice = found.best.choice
    rows = sum(trial.result.rows for trial in found.trials if trial.result)
    return surface(choice[TEMPERATURE], choice[TOP_P]), rows


if __name__ == "__main__":
    for row_name, figure in measure():
        print(f"  {row_name:<40} {figure}", flush=True)
