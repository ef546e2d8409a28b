"""How long the embedded model takes to load from its cache: wall time, median of five."""

import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

_CHILD = """
import time
import torch, transformers
from chains.models import open_model
from chains.models.spec import ModelSpec
transformers.AutoModelForCausalLM, transformers.AutoTokenizer
start = time.perf_counter()
open_model(ModelSpec(model="embedded"))
print(time.perf_counter() - start)
"""


def measure() -> Iterator[tuple[str, str]]:
    """Imports are not counted; the first load fills the cache and is not counted either."""
    _load()
    times = [_load() for _ in range(5)]
    yield "embedded model from the cache, imports left out", f"{statistics.median(times):.2f} s"


def _load() -> float:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return float(done.stdout.splitlines()[-1])
