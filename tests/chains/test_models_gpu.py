"""On a GPU every tensor lies where it should: looked at with a device that is pretended.

What a real one computes is not seen here, but that a reply is made there from beginning to end.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
Told = dict[str, Any]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """What tiny models reply; in a process of its own, for PyTorch cannot forget a device."""
    folder = tmp_path_factory.mktemp("models")
    ended = subprocess.run(
        [sys.executable, str(HERE / "answers_on_gpu.py"), str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), str(HERE)])},
        check=False,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr[-2_000:]
    found: Told = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    return found


def test_a_tensor_in_the_wrong_place_would_be_seen(told: Told) -> None:
    assert "one tensor on the GPU, one on the CPU" in told["a stray tensor"]


def test_every_strategy_and_architecture_replies_on_a_gpu_as_on_the_cpu(told: Told) -> None:
    cases = {name: pair for name, pair in told.items() if name != "a stray tensor"}
    assert len(cases) > 20
    for name, (there, here) in cases.items():
        assert len(there) == len(here) >= 3
        for one, other in zip(there, here, strict=True):
            assert [reply[:3] for reply in one] == [reply[:3] for reply in other], name
            assert [reply[3] for reply in one] == pytest.approx([r[3] for r in other], abs=1e-4)
            assert not any(error for _, _, error, _ in one), name
