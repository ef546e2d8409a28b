"""How far the lengths of a run's texts lie from what was asked for, by what settled them.

stage   layer  texts     mean       5%      50%      95%
answer  guide    160    +0.6%    -9.1%    +0.0%   +10.0%
answer  retry     36    -0.2%   -10.0%    +0.0%    +9.5%

A deviation is (length - target) / target; texts without a target have none.
"""

from collections.abc import Iterable, Sequence
from itertools import chain

from pipelines.aim import SETTLED_BY
from pipelines.rows import JSON, Row

PERCENTILES = (5, 50, 95)


def deviations(rows: Iterable[Row]) -> list[dict[str, JSON]]:
    """One entry a stage and layer, in the order of stages and layers; none where no target was set.

    Args:
        rows: Accepted ones: all went through the same stages, so that the first tells whether any
            length is in their history.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        for event in row.history:
            measured = event.get("length")
            if isinstance(measured, dict) and "deviation" in measured:
                place = (str(event["stage"]), str(measured["layer"]))
                found.setdefault(place, []).append(float(measured["deviation"]))
        if not found:
            return []
    stages = list(dict.fromkeys(stage for stage, _ in found))
    places = chain.from_iterable([(stage, layer) for layer in SETTLED_BY] for stage in stages)
    return [_entry(*place, sorted(found[place])) for place in places if place in found]


def deviation_lines(entries: Sequence[dict[str, JSON]]) -> list[str]:
    """The entries as a table; no lines without entries."""
    if not entries:
        return []
    figures = ["mean", *(f"p{percent}" for percent in PERCENTILES)]
    titles = ["mean", *(f"{percent}%" for percent in PERCENTILES)]
    rows = [("stage", "layer", "texts", *titles)]
    for entry in entries:
        shown = (f"{entry[figure]:+.1%}" for figure in figures)
        rows.append((entry["stage"], entry["layer"], str(entry["texts"]), *shown))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    widths[3:] = [max(7, width) for width in widths[3:]]
    return [
        "  ".join(
            f"{cell:<{width}}" if column < 2 else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _entry(stage: str, layer: str, values: Sequence[float]) -> dict[str, JSON]:
    """The figures of ascending values; percentiles are by nearest rank."""
    ranks = {f"p{p}": values[max(0, -(-p * len(values) // 100) - 1)] for p in PERCENTILES}
    mean = round(sum(values) / len(values), 4)
    return {"stage": stage, "layer": layer, "texts": len(values), "mean": mean, **ranks}
