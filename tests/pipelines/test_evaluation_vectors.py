"""Measures on embeddings against brute force and cases with a known answer."""

import numpy as np
import pytest

from pipelines.evaluation.vectors import (
    Vectors,
    density_and_coverage,
    dispersion,
    frontier_divergence,
    nearest,
    vendi,
)


def unit(seed: int, rows: int, columns: int = 6) -> Vectors:
    drawn = np.random.Generator(np.random.Philox(seed)).normal(size=(rows, columns))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def test_vendi_counts_unlike_texts() -> None:
    corners = np.eye(5, dtype=np.float32)
    assert vendi(corners) == pytest.approx(5)
    assert vendi(np.repeat(corners[:1], 7, axis=0)) == pytest.approx(1)
    assert vendi(np.repeat(corners, 4, axis=0)) == pytest.approx(5)


@pytest.mark.parametrize("rows", [4, 40])
def test_vendi_is_the_entropy_of_the_kernel(rows: int) -> None:
    vectors = unit(1, rows)
    values = np.linalg.eigvalsh(vectors.astype(np.float64) @ vectors.T / rows)
    values = values[values > 1e-12]
    assert vendi(vectors) == pytest.approx(np.exp(-(values * np.log(values)).sum()), rel=1e-6)


def test_dispersion_is_the_mean_distance_of_pairs() -> None:
    vectors = unit(2, 9)
    pairs = [1 - vectors[i] @ vectors[j] for i in range(9) for j in range(i)]
    assert dispersion(vectors) == pytest.approx(np.mean(pairs), abs=1e-6)
    assert dispersion(vectors[:1]) is None


def brute(real: Vectors, made: Vectors, k: int) -> tuple[float, float]:
    inside, covered = 0, 0
    for place, centre in enumerate(real):
        others = sorted(1 - float(centre @ o) for i, o in enumerate(real) if i != place)
        hits = sum(1 - float(centre @ each) < others[k - 1] for each in made)
        inside += hits
        covered += hits > 0
    return inside / (k * len(made)), covered / len(real)


def test_density_and_coverage_are_those_of_brute_force() -> None:
    real, made = unit(3, 30), unit(4, 25)
    assert density_and_coverage(real, made, 3) == pytest.approx(brute(real, made, 3), abs=1e-6)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = unit(5, 30), unit(6, 25)
    whole = density_and_coverage(real, made, 5), nearest(made, real).tolist()
    monkeypatch.setattr("pipelines.evaluation.vectors._BLOCK", 7)
    assert (density_and_coverage(real, made, 5), nearest(made, real).tolist()) == whole


def test_nearest_leaves_a_text_itself_out() -> None:
    vectors = unit(7, 8)
    assert nearest(vectors, vectors) == pytest.approx(np.zeros(8), abs=1e-6)
    assert nearest(vectors, vectors, itself=True).min() > 1e-3


def test_few_real_texts_have_no_neighbours() -> None:
    with pytest.raises(ValueError, match="more than 5"):
        density_and_coverage(unit(1, 5), unit(2, 9), 5)


def test_frontier_is_near_one_for_halves_of_a_set_and_low_for_unlike_sets() -> None:
    both = unit(8, 400, 3)
    alike = frontier_divergence(both[:200], both[200:], 8)
    poles = np.array([[1, 0, 0], [-1, 0, 0]], dtype=np.float32)
    first, second = (np.repeat(poles[i : i + 1], 200, axis=0) + unit(9 + i, 200, 3) * 0.1
                     for i in (0, 1))  # fmt: skip
    assert alike > 0.9
    assert frontier_divergence(first, second, 8) < 0.1
