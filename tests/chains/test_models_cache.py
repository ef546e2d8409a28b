"""The cache of converted models: made once, by one process, and again when damaged."""

import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_models import tiny_causal

from chains.models import ModelSpec, fingerprint, open_model
from chains.models.cache import SUMS, cache_root, cached, is_whole
from prompts.errors import ModelError, ResourceError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TEXTMILL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def make(folder: Path) -> None:
    (folder / "a.txt").write_text("alpha")
    (folder / "b.txt").write_text("beta")


def test_a_folder_is_made_once(cache: Path) -> None:
    made = []
    for _ in range(3):
        found = cached("thing", lambda folder: (made.append(1), make(folder)))  # type: ignore[func-returns-value,arg-type,return-value]
    assert found == cache / "thing" == cache_root() / "thing"
    assert made == [1]
    assert sorted(path.name for path in found.iterdir()) == ["a.txt", "b.txt", SUMS]


@pytest.mark.parametrize("damage", ["changed", "cut", "gone", "no sums", "bad sums"])
def test_a_damaged_folder_is_made_again(damage: str, caplog: pytest.LogCaptureFixture) -> None:
    folder = cached("thing", make)
    if damage == "changed":
        (folder / "a.txt").write_text("alphA")
    elif damage == "cut":
        (folder / "a.txt").write_text("alp")
    elif damage == "gone":
        (folder / "a.txt").unlink()
    elif damage == "no sums":
        (folder / SUMS).unlink()
    else:
        (folder / SUMS).write_text("[1]")
    assert not is_whole(folder)
    assert cached("thing", make) == folder
    assert is_whole(folder)
    assert "the cached thing was damaged" in caplog.text


def test_what_fails_while_it_is_made_leaves_nothing(cache: Path) -> None:
    def fail(folder: Path) -> None:
        make(folder)
        raise ModelError("cannot be read")

    with pytest.raises(ModelError, match="cannot be read"):
        cached("thing", fail)
    assert [path.name for path in cache.iterdir()] == ["thing.lock"]


def test_a_cache_that_cannot_be_written_is_a_resource_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TEXTMILL_CACHE", str(tmp_path / "file"))
    with pytest.raises(ResourceError, match="cannot write the cache"):
        cached("thing", make)


def test_processes_that_need_it_at_once_make_it_once(cache: Path) -> None:
    program = (
        "import time\n"
        "from pathlib import Path\n"
        "from chains.models.cache import cached\n"
        "def make(folder):\n"
        "    print('made')\n"
        "    time.sleep(0.3)\n"
        "    (folder / 'a.txt').write_text('alpha')\n"
        "print((cached('thing', make) / 'a.txt').read_text())\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    output = "".join(process.communicate()[0] for process in processes)
    assert all(process.returncode == 0 for process in processes)
    assert sorted(output.split()) == ["alpha"] * 4 + ["made"]
    assert is_whole(cache / "thing")


def write_gguf(path: Path) -> dict[str, torch.Tensor]:
    """A tiny Llama in GGUF; its weights, as transformers names them."""
    model = tiny_causal(
        "llama", vocab_size=64, rope_parameters={"rope_type": "default", "rope_theta": 1e4}
    )
    state = model.state_dict()
    tokens = ["<unk>", "<s>", "</s>", *[chr(97 + n) for n in range(26)]]
    tokens += ["ab"] + [f"x{n}" for n in range(63 - len(tokens))]
    writer = gguf.GGUFWriter(path, "llama")
    for name, value in {
        "context_length": 256,
        "embedding_length": 32,
        "block_count": 2,
        "feed_forward_length": 48,
        "head_count": 4,
        "head_count_kv": 2,
        "vocab_size": 64,
        "rope_dimension_count": 8,
    }.items():
        getattr(writer, f"add_{name}")(value)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(1e4)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    for name, tensor in state.items():
        values = tensor.numpy().astype(np.float32)
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = 4 if "q_proj" in name else 2
            values = (
                values.reshape(heads, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
            )
        writer.add_tensor(
            names.get_name(name, try_suffixes=(".weight",)), np.ascontiguousarray(values)
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return state


def test_a_gguf_file_is_unpacked_once_and_is_the_same_model(tmp_path: Path, cache: Path) -> None:
    state = write_gguf(tmp_path / "tiny.gguf")
    spec = ModelSpec(model=str(tmp_path / "tiny.gguf"), dtype="float32")
    model = open_model(spec)
    assert model.fingerprint == fingerprint(spec)
    assert model.describe()["model"] == "tiny.gguf"
    (folder,) = [path for path in cache.iterdir() if path.is_dir()]
    weights = load_file(folder / "model.safetensors")
    for name, tensor in state.items():
        assert torch.equal(weights[name], tensor), name
    made = (folder / SUMS).stat().st_mtime_ns
    open_model(spec)
    assert (folder / SUMS).stat().st_mtime_ns == made


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF but not really")
    with pytest.raises(ModelError, match="cannot be read as a GGUF model"):
        open_model(ModelSpec(model=str(tmp_path / "bad.gguf")))
