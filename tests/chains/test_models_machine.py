"""What a machine is found to offer: a GPU that is there and cannot be used."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_models import save_causal

from chains.models import ModelSpec, fingerprint, machine, open_model
from chains.models.machine import resolve_device
from prompts.errors import ModelError


@pytest.fixture
def broken_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A GPU that the driver has, and torch can make nothing of."""
    import torch

    def unavailable() -> bool:
        warnings.warn("CUDA initialization: The driver is too old\nand so on", stacklevel=1)
        return False

    monkeypatch.setattr(machine, "_cuda_capability", lambda: 9)
    monkeypatch.setattr(torch.cuda, "is_available", unavailable)
    machine._flaw_of_cuda.cache_clear()
    yield
    machine._flaw_of_cuda.cache_clear()


@pytest.mark.usefixtures("broken_gpu")
def test_without_a_driver_that_torch_can_use_models_run_on_the_cpu_and_it_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spec = ModelSpec(model=str(save_causal(tmp_path / "tiny")), dtype="float32")
    model: Any = open_model(spec)
    assert str(model.describe()["device"]) == "cpu"
    assert fingerprint(spec) == model.fingerprint
    told = [record.getMessage() for record in caplog.records if "GPU" in record.getMessage()]
    why = "torch cannot use the GPU: CUDA initialization: The driver is too old"
    assert told == [f"models run on the CPU: {why}"]
    with pytest.raises(ModelError) as caught:
        resolve_device("cuda")
    assert caught.value.problem == f"device 'cuda' is asked for, and {why}"
    assert caught.value.fix == "write 'device: cpu', or mend the GPU's driver"


def test_a_gpu_that_torch_can_use_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(machine, "_cuda_capability", lambda: 9)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    machine._flaw_of_cuda.cache_clear()
    assert (resolve_device("auto"), resolve_device("cuda")) == ("cuda", "cuda")
    machine._flaw_of_cuda.cache_clear()
