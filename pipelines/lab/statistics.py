"""Is one variant better than another? Paired by row, with few assumptions, the same every time.

    wilson(31, 40)                                  # (0.625, 0.877)
    paired_bootstrap([0.0, 1.0, 0.5, ...])          # (0.12, 0.21): interval of the mean difference
    sign_flip_test([0.0, 1.0, 0.5, ...])            # p, two-sided
    sign_test(wins=9, losses=1)                     # 0.0215; McNemar's exact test is the same
    holm([0.01, 0.04, 0.03])                        # [0.03, 0.06, 0.06]
    rows_needed(0.4, 0.05)                          # 503 rows to see 5 points

A row is the unit: its repeats and replies share a seed row, so that they are averaged first. What
is drawn comes from a generator of a fixed seed; two calls with the same numbers agree.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from statistics import NormalDist
from typing import TYPE_CHECKING

from prompts.errors import UsageError

if TYPE_CHECKING:
    import numpy as np

RESAMPLES = 10_000
EXACT = 16  # differences up to which all signs are tried
_CHUNK = 2_000_000  # drawn numbers held at once
_SEED = 20_261_121


def wilson(done: int, of: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927), within 0 to 1; (0, 1) of nothing."""
    if of == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, weight = done / of, z * z / of
    centre = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / of + weight / (4 * of))
    return max(0.0, centre - half), min(1.0, centre + half)


def paired_differences(
    baseline: Mapping[str, Sequence[float]], variant: Mapping[str, Sequence[float]]
) -> list[float]:
    """For each row that both have, the mean of the variant's values minus that of the baseline's.

    Raises:
        UsageError: There is no such row.
    """
    common = [row for row, values in baseline.items() if values and variant.get(row)]
    if not common:
        fix = "compare variants on the same rows"
        raise UsageError("the two have no row in common", fix=fix)
    return [_mean(variant[row]) - _mean(baseline[row]) for row in common]


def paired_bootstrap(differences: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of the mean over rows (Efron 1979), 10,000 resamples.

    Args:
        differences: One a row, so that the rows' repeats stay together.
        level: Between 0 and 1.
    """
    import numpy as np

    values = np.asarray(differences, dtype=np.float64)
    random = np.random.Generator(np.random.Philox(_SEED))
    step = max(1, _CHUNK // len(values))
    parts = [
        values[random.integers(0, len(values), (min(step, RESAMPLES - start), len(values)))].mean(1)
        for start in range(0, RESAMPLES, step)
    ]
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(parts), [tail, 1 - tail])
    return float(low), float(high)


def sign_flip_test(differences: Sequence[float]) -> float:
    """Two-sided p that the mean is zero: how many sign patterns give one as far from zero.

    Fisher's randomisation test for pairs. All patterns are tried for up to 16 differences that are
    not zero, and 10,000 drawn ones (the observed one counted with them) for more. Differences of
    one size are the exact sign test, and for shares of one reply a row McNemar's.
    """
    import numpy as np

    values = np.asarray([d for d in differences if d], dtype=np.float64)
    if not len(values):
        return 1.0
    if np.ptp(np.abs(values)) < 1e-12 * np.abs(values).max():
        return sign_test(int((values > 0).sum()), int((values < 0).sum()))
    exact = len(values) <= EXACT
    sums = _all_sums(values) if exact else _drawn_sums(values)
    near = 1e-9 * float(np.abs(values).sum())  # sums of the same numbers in another order
    as_far = int((np.abs(sums) >= abs(float(values.sum())) - near).sum())
    extra = 0 if exact else 1
    return (as_far + extra) / (len(sums) + extra)


def sign_test(wins: int, losses: int) -> float:
    """Two-sided exact p that wins are as likely as losses; ties do not count.

    With the pairs in which only one of two was right it is McNemar's exact test.
    """
    total = wins + losses
    tail = sum(math.comb(total, k) for k in range(min(wins, losses) + 1))
    return min(1.0, 2 * tail / (1 << total))


def holm(values: Sequence[float]) -> list[float]:
    """The p values adjusted so that all claims below a level hold together (Holm 1979)."""
    order = sorted(range(len(values)), key=values.__getitem__)
    raised = (min(1.0, (len(values) - rank) * values[place]) for rank, place in enumerate(order))
    adjusted = dict(zip(order, accumulate(raised, max), strict=True))
    return [adjusted[place] for place in range(len(values))]


def rows_needed(
    deviation: float, difference: float, *, level: float = 0.95, power: float = 0.8
) -> int:
    """Rows in all that show a true mean difference of that size, by the normal approximation.

    Args:
        deviation: Standard deviation of the rows' differences.
        difference: Above 0.
        level: Of the interval.
        power: Chance to show it.
    """
    normal = NormalDist()
    width = normal.inv_cdf((1 + level) / 2) + normal.inv_cdf(power)
    return math.ceil((width * deviation / difference) ** 2)


def deviation(differences: Sequence[float]) -> float:
    """Standard deviation of the differences, 0 to 1, not below what so few rows leave possible.

    Where no row differs, up to 3 in n may still do so (the rule of three), by 1 each.
    """
    count = len(differences)
    mean = _mean(differences)
    variance = math.fsum((value - mean) ** 2 for value in differences) / max(1, count - 1)
    return math.sqrt(max(variance, min(1.0, 3 / count) if not any(differences) else 0.0))


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _all_sums(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> "np.ndarray":
    """The sums under all 2^n patterns of signs."""
    import numpy as np

    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _drawn_sums(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> "np.ndarray":
    import numpy as np

    random = np.random.Generator(np.random.Philox(_SEED + 1))
    step = max(1, _CHUNK // len(values))
    parts = [
        (2.0 * random.integers(0, 2, (min(step, RESAMPLES - start), len(values))) - 1.0) @ values
        for start in range(0, RESAMPLES, step)
    ]
    return np.concatenate(parts)
