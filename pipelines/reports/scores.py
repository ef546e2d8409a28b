"""Numbers by which rows are sorted: scores of judges, likelihoods, what gates measured.

measures(row)     # {"score": 4.2, "log-probability a token": -0.21, "answer: logprob": -0.18, ...}
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

from pipelines.reports.layout import Layout
from pipelines.rows import JSON, Row

LIKELIHOOD = "log-probability a token"
MOST = 12
"""Measures that a page has."""

_OURS = frozenset({"logprob", "seed", "attempt", "pass"})  # not measures of a row as they stand


def measures(row: Row) -> dict[str, float]:
    """Everything that was measured of a row, by name."""
    found = {name: float(value) for name, value in row.data.items() if _number(value)}
    whole, tokens = 0.0, 0
    for event in row.history:
        stage = str(event.get("stage", ""))
        used = event.get("tokens")
        logprob: Any = event.get("logprob")
        if _number(logprob) and isinstance(used, list) and len(used) == 2 and used[1]:
            whole, tokens = whole + logprob, tokens + used[1]
        for key, value in event.items():
            if isinstance(value, float) and math.isfinite(value) and key not in _OURS:
                found[f"{stage}: {key}"] = value
    if tokens:
        found[LIKELIHOOD] = round(whole / tokens, 4)
    return found


def ranked(each: Iterable[dict[str, float]], layout: Layout) -> list[str]:
    """The measures that most rows have, the one that tells the worst rows first."""
    counts = Counter(name for found in each for name in found)
    first = [name for name in (layout.score, LIKELIHOOD) if name in counts]
    rest = sorted(set(counts) - set(first), key=lambda name: (-counts[name], name))
    return [*first, *rest][:MOST]


def _number(value: JSON) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
