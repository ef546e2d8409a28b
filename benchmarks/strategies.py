"""What every decoding strategy writes for one prompt, and what it costs beside greedy search.

Sixteen prompts, 48 new tokens at most, embedded model; a strategy that makes several candidates
pays for them. Run by hand: `python -m benchmarks.strategies`; docs/decoding.md keeps the result.
"""

import statistics
import time
from collections.abc import Iterator
from typing import Any

ROUNDS = 3
TOPICS = (
    "a lighthouse in winter", "a baker at dawn", "an old map", "a night train", "a quiet river",
    "a broken clock", "a city garden", "a lost umbrella", "a chess match", "a mountain hut",
    "a new bridge", "a street musician", "a ferry in fog", "an empty school", "a beehive",
    "a letter from abroad",
)  # fmt: skip
SAMPLE = {"strategy": "sample", "temperature": 0.8, "top_p": 0.95}
STRATEGIES: dict[str, dict[str, Any]] = {
    "greedy": {"strategy": "greedy"},
    "sample": SAMPLE,
    "beam": {"strategy": "beam", "num_beams": 4},
    "beam_sample": {"strategy": "beam_sample", "num_beams": 4, "top_p": 0.95},
    "diverse_beam": {
        "strategy": "diverse_beam",
        "num_beams": 4,
        "num_beam_groups": 4,
        "n": 4,
    },
    "stochastic_beam": {"strategy": "stochastic_beam", "num_beams": 4, "n": 4},
    "arithmetic": {"strategy": "arithmetic", "n": 4, "temperature": 0.8, "top_p": 0.95},
    "contrastive": {"strategy": "contrastive", "top_k": 4, "penalty_alpha": 0.6},
    "best_of_n": {"strategy": "best_of_n", "candidates": 8, "base": SAMPLE},
    "mbr": {"strategy": "mbr", "candidates": 8, "base": SAMPLE},
    "noisy_channel": {"strategy": "noisy_channel", "candidates": 8, "base": SAMPLE},
}


def measure() -> Iterator[tuple[str, str]]:
    """Of each strategy the median time over greedy's of the same round, and its first replies."""
    from chains.models import ModelSpec, open_model

    model: Any = open_model(ModelSpec(model="embedded"))
    times: dict[str, list[float]] = {name: [] for name in STRATEGIES}
    texts: dict[str, list[str]] = {}
    for _ in range(ROUNDS):
        for name, settings in STRATEGIES.items():
            start = time.perf_counter()
            texts[name] = _replies(model, settings)
            times[name].append(time.perf_counter() - start)
    for name, own in times.items():
        ratios = [mine / greedy for mine, greedy in zip(own, times["greedy"], strict=True)]
        shown = " / ".join(" ".join(text.split()) for text in texts[name])
        yield name, f"{statistics.median(ratios):.1f}x  {shown}"


def _replies(model: Any, settings: dict[str, Any]) -> list[str]:
    """Those for the first topic; all topics are asked."""
    from chains.calls import Call, Message
    from chains.decoding import STRATEGIES as KNOWN

    decoding = KNOWN.build({**settings, "max_tokens": 48})
    calls = [
        Call((Message("user", f"Write one sentence about {topic}."),), decoding, seed)
        for seed, topic in enumerate(TOPICS)
    ]
    found = dict(pair for batch in model.answer(calls) for pair in batch)
    return [reply.text for reply in found[0]]


if __name__ == "__main__":
    for name, figure in measure():
        print(f"{name:<16} {figure}")
