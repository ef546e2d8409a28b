"""What the refused rows measured, so that a bound that lets nothing through can be set anew.

    refusal_lines(folder.rejected())
    ["refused     paraphrase: meaning_changed 48; similarity 0.31 to 0.84, median 0.7, least 0.85"]

Only reasons whose evidence holds numbers have a line.
"""

import statistics
from collections.abc import Iterable, Mapping

from pipelines.rows import JSON

_MOST = 8  # reasons that are shown


def refusal_lines(rejected: Iterable[Mapping[str, JSON]]) -> list[str]:
    """One line for each stage and reason, the most frequent first.

    Args:
        rejected: Lines of `rejected.jsonl`.
    """
    counts: dict[tuple[str, str], int] = {}
    values: dict[tuple[str, str], dict[str, list[float]]] = {}
    for record in rejected:
        place = record["stage"], record["reason"]
        counts[place] = counts.get(place, 0) + 1
        measured = values.setdefault(place, {})
        for key, value in record["detail"].items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                measured.setdefault(key, []).append(value)
    order = sorted((place for place in counts if values[place]), key=lambda p: (-counts[p], p))
    return [_line(place, counts[place], values[place]) for place in order[:_MOST]]


def _line(place: tuple[str, str], count: int, measured: Mapping[str, list[float]]) -> str:
    spread = [_spread(key, found) for key, found in measured.items() if len(set(found)) > 1]
    fixed = [f"{key} {found[0]:g}" for key, found in measured.items() if len(set(found)) == 1]
    return f"refused     {place[0]}: {place[1]} {count}; {', '.join([*spread, *fixed])}"


def _spread(key: str, found: list[float]) -> str:
    return f"{key} {min(found):.3g} to {max(found):.3g}, median {statistics.median(found):.3g}"
