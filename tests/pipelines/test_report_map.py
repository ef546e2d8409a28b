"""The map of the texts by UMAP: neighbours together, the same each time."""

import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import assert_line, textmill
from report_runs import records, report_run

from pipelines.reports.projection import neighbourhoods


def clusters() -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors in six groups whose first two principal components mix them."""
    draw = np.random.default_rng(0)
    groups = np.repeat(np.arange(6), 30)
    vectors = 0.6 * draw.normal(size=(180, 64)) + 3 * draw.normal(size=(6, 64))[groups]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), groups


@pytest.mark.slow  # its compiler takes a minute
@pytest.mark.timeout(300)
def test_neighbours_stay_neighbours_and_the_map_is_the_same_each_time() -> None:
    pytest.importorskip("umap")
    vectors, groups = clusters()
    found = neighbourhoods(vectors)
    assert found.shape == (180, 2)
    assert 0 <= found.min() <= found.max() <= 1
    far = np.linalg.norm(found[:, None] - found[None], axis=2) + np.eye(180)
    assert (groups[far.argmin(1)] == groups).mean() > 0.98
    assert (neighbourhoods(vectors) == found).all()


@pytest.mark.slow  # its compiler takes a minute
@pytest.mark.timeout(300)
def test_the_report_says_how_its_map_was_drawn(tmp_path: Path) -> None:
    pytest.importorskip("umap")
    report_run(tmp_path, records(30))
    assert textmill(tmp_path, "report", "run", "--map", "umap", "--out", "u.html").code == 0
    assert "UMAP, which keeps neighbours together" in (tmp_path / "u.html").read_text()
    ended = textmill(tmp_path, "report", "run", "--map", "tsne")
    assert ended.code == 2
    assert_line(ended.err, "--map: unknown map 'tsne'; fix: use one of: pca, umap")


def test_a_map_without_its_package_is_refused_with_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report_run(tmp_path, records(30))
    monkeypatch.setitem(sys.modules, "umap", None)  # as where it is not installed
    ended = textmill(tmp_path, "report", "run", "--map", "umap", "--out", "u.html")
    assert ended.code == 2
    fix = "pip install -c constraints.txt -e '.[maps]', or leave --map out"
    assert_line(ended.err, f"--map: UMAP is not installed; fix: {fix}")
    assert not (tmp_path / "u.html").exists(), "no half a page is left"
    assert textmill(tmp_path, "report", "run", "--out", "p.html").code == 0
