import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from pipelines.lab.statistics import (
    deviation,
    holm,
    paired_bootstrap,
    paired_differences,
    rows_needed,
    sign_flip_test,
    sign_test,
    wilson,
)
from prompts.errors import UsageError


@pytest.mark.parametrize(("done", "of"), [(0, 7), (7, 7), (3, 11), (31, 40), (499, 1000)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_wilson_is_scipy_s(done: int, of: int, level: float) -> None:
    theirs = stats.binomtest(done, of).proportion_ci(level, method="wilson")
    assert wilson(done, of, level) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_wilson_of_nothing_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (9, 1), (1, 9), (5, 5), (40, 21), (600, 500)])
def test_the_sign_test_is_the_exact_binomial_one(wins: int, losses: int) -> None:
    theirs = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert sign_test(wins, losses) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("rows", [2, 7, 11])
def test_signs_are_flipped_as_scipy_does(rows: int) -> None:
    values = np.random.default_rng(rows).normal(0.4, 1, rows).round(2)
    theirs = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf, vectorized=False
    )
    assert sign_flip_test(values.tolist()) == pytest.approx(theirs.pvalue, abs=1e-9)


def test_signs_that_are_drawn_come_near_to_all_of_them() -> None:
    values = np.random.default_rng(4).normal(0.35, 1, 18).round(2)
    signs = np.array(list(product((1, -1), repeat=18)), dtype=np.int8)
    exact = (np.abs(signs @ values) >= abs(values.sum()) - 1e-9).mean()
    assert sign_flip_test(values.tolist()) == pytest.approx(exact, abs=0.015)


def test_signs_of_right_and_wrong_are_mcnemar_s_test() -> None:
    differences = [1.0] * 14 + [-1.0] * 4 + [0.0] * 30
    assert sign_flip_test(differences) == pytest.approx(stats.binomtest(14, 18).pvalue)
    assert sign_flip_test([0.0] * 9) == 1.0


def test_the_bootstrap_is_scipy_s() -> None:
    values = np.random.default_rng(1).gamma(2, 0.2, 60) - 0.3
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=10_000, method="percentile", rng=0
    ).confidence_interval
    mine = paired_bootstrap(values.tolist())
    assert mine == pytest.approx((theirs.low, theirs.high), abs=0.006)
    assert paired_bootstrap(values.tolist()) == mine
    low, high = paired_bootstrap(values.tolist(), 0.99)
    assert low < mine[0] < mine[1] < high


def test_holm_by_its_definition() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []
    for seed in range(50):
        values = np.random.default_rng(seed).uniform(0, 0.2, 5).tolist()
        rejected = set()
        for rank, value in enumerate(sorted(values)):  # step down until one is not rejected
            if value > 0.05 / (5 - rank):
                break
            rejected.add(value)
        assert {v for v, p in zip(values, holm(values), strict=True) if p <= 0.05} == rejected


def test_as_many_rows_as_were_said_to_be_needed_show_the_difference_four_times_in_five() -> None:
    needed = rows_needed(1.0, 0.5)
    random = np.random.default_rng(0)
    means = random.normal(0.5, 1.0, (4000, needed)).mean(1)
    assert (means > 1.96 / math.sqrt(needed)).mean() == pytest.approx(0.8, abs=0.03)


def test_rows_that_never_differ_still_leave_a_deviation() -> None:
    assert deviation([0.0] * 30) == pytest.approx(math.sqrt(0.1))
    assert deviation([1.0, -1.0, 0.0, 0.0]) == pytest.approx(np.std([1, -1, 0, 0], ddof=1))


def test_differences_are_means_of_repeats_over_rows_that_both_have() -> None:
    baseline = {"a": [0.0, 1.0], "b": [1.0], "c": [1.0], "d": []}
    variant = {"c": [0.0], "a": [1.0, 1.0], "d": [1.0], "e": [1.0]}
    assert paired_differences(baseline, variant) == [0.5, -1.0]
    with pytest.raises(UsageError, match="no row in common"):
        paired_differences({"a": [1.0]}, {"b": [1.0]})


def test_no_false_alarm_more_often_than_promised() -> None:
    """Two arms of one thing, two repeats a row, rows of unlike difficulty."""
    random = np.random.default_rng(7)
    alarms = 0
    for _ in range(150):
        chance = random.beta(2, 2, 40)[:, None]
        arms = [(random.random((40, 2)) < chance).mean(1) for _ in range(2)]
        differences = (arms[1] - arms[0]).tolist()
        low, high = paired_bootstrap(differences)
        alarms += sign_flip_test(differences) < 0.05 and not low <= 0 <= high
    assert alarms / 150 <= 0.06
