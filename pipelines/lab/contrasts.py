"""What a comparison shows, measure by measure and in plain words.

contrasts(["short", "long"], cells)[0].verdict
"long accepts 12 to 21 points more rows than short (95 %)"
"no difference shown between long and short (-3 to +6 points); about 160 more rows would show one of
 5 points"
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from pipelines.lab.results import ACCEPTED, Cell, Contrast
from pipelines.lab.statistics import (
    deviation,
    holm,
    paired_bootstrap,
    paired_differences,
    rows_needed,
    sign_flip_test,
)

ALPHA = 0.05
POINTS = 0.05  # the difference in accepted rows that more rows are asked for

_DIGITS = 4

Values = Mapping[str, Sequence[float]]
"""Row -> its value in each repeat."""


def contrasts(names: Sequence[str], cells: Sequence[Cell]) -> tuple[Contrast, ...]:
    """Every variant but the first against it: rows accepted, and each score.

    p values are adjusted by Holm over the variants of a measure, and the intervals widened by
    Bonferroni, so that all claims about a measure hold together at 95 %. Scores that only one side
    has are left out.

    Raises:
        UsageError: A variant has no row in common with the baseline.
    """
    found: list[Contrast] = []
    for measure, values in _measures(len(names), cells).items():
        others = [place for place in range(1, len(names)) if _comparable(values, place)]
        differences = {place: paired_differences(values[0], values[place]) for place in others}
        adjusted = holm([sign_flip_test(each) for each in differences.values()])
        for (place, rows), p in zip(differences.items(), adjusted, strict=True):
            level = 1 - ALPHA / len(others)
            found.append(_contrast(names, place, measure, rows, p, level))
    return tuple(found)


def _measures(count: int, cells: Sequence[Cell]) -> dict[str, list[dict[str, list[float]]]]:
    """For each measure the values of each variant: row -> one in each repeat."""
    found: dict[str, list[dict[str, list[float]]]] = {}

    def note(measure: str, cell: Cell, value: float) -> None:
        variants = found.setdefault(measure, [{} for _ in range(count)])
        variants[cell.variant].setdefault(cell.row, []).append(value)

    for cell in cells:
        note(ACCEPTED, cell, cell.accept_rate)
        names = dict.fromkeys(name for outcome in cell.outcomes for name in outcome.scores)
        for name in names:
            scores = [o.scores[name] for o in cell.outcomes if name in o.scores]
            note(f"score:{name}", cell, math.fsum(scores) / len(scores))
    return found


def _comparable(values: Sequence[Values], place: int) -> bool:
    return bool(values[0].keys() & values[place].keys())


def _contrast(
    names: Sequence[str],
    place: int,
    measure: str,
    differences: Sequence[float],
    p: float,
    level: float,
) -> Contrast:
    mean = math.fsum(differences) / len(differences)
    low, high = paired_bootstrap(differences, level)
    shown = p < ALPHA and not low <= 0 <= high
    more = None
    if measure == ACCEPTED and not shown:
        wanted = rows_needed(deviation(differences), POINTS, level=level)
        more = max(0, wanted - len(differences))
    contrast = Contrast(
        variant=place,
        measure=measure,
        rows=len(differences),
        difference=round(mean, _DIGITS),
        low=round(low, _DIGITS),
        high=round(high, _DIGITS),
        better=sum(value > 0 for value in differences),
        worse=sum(value < 0 for value in differences),
        p=round(p, 6),
        shown=shown,
        rows_needed=more,
        verdict="",
    )
    return replace(contrast, verdict=_verdict(contrast, names[place], names[0]))


def _verdict(found: Contrast, name: str, baseline: str) -> str:
    if found.measure == ACCEPTED:
        low, high = 100 * found.low, 100 * found.high
        if found.shown:
            word = "more" if low > 0 else "fewer"
            ends = sorted((abs(low), abs(high)))
            span = f"{ends[0]:.0f} to {ends[1]:.0f}"
            return f"{name} accepts {span} points {word} rows than {baseline} (95 %)"
        span = f"{low:+.0f} to {high:+.0f} points"
        advice = f"about {_rounded(found.rows_needed):,} more rows would show one of 5 points"
        if not found.rows_needed:
            advice = "one of 5 points would have shown"
        return f"no difference shown between {name} and {baseline} ({span}); {advice}"
    what = found.measure.removeprefix("score:")
    if found.shown:
        word = "higher" if found.low > 0 else "lower"
        ends = sorted((abs(found.low), abs(found.high)))
        return f"{name} has a {what} {ends[0]:.2f} to {ends[1]:.2f} {word} than {baseline} (95 %)"
    span = f"{found.low:+.2f} to {found.high:+.2f}"
    return f"no difference in {what} shown between {name} and {baseline} ({span})"


def _rounded(count: int | None) -> int:
    """Two digits of a count: no estimate is better."""
    size = int(10 ** max(0, len(str(count or 0)) - 2))
    return -(-(count or 0) // size) * size
