"""A model folder as files: what is in it, whether it is safe and whole, its fingerprint.

inspect(Path("my-model"))       # ModelFiles(config={...}, parameters=134515008, ...)
hash_folder(Path("my-model"))   # sha256 over weights, tokenizer, config and chat template
"""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

from prompts.errors import ModelError

DECIDING = (
    "*.safetensors",
    "config.json",
    "generation_config.json",
    "tokenizer*.json",
    "vocab*.json",
    "added_tokens.json",
    "special_tokens_map.json",
    "vocab.txt",
    "merges.txt",
    "*.model",
    "*.spm",
    "*.jinja",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
)
"""Files that decide what a model replies; a folder's fingerprint is theirs."""

PICKLES = ("*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt")
FLOATS = {"F64", "F32", "F16", "BF16"}
STORED = FLOATS | {"BOOL", "U8", "I8", "I16", "I32", "I64"}
_HEADER_LIMIT = 100_000_000


@dataclass(frozen=True)
class ModelFiles:
    """A model folder that may be loaded.

    Attributes:
        folder: Where it lies.
        config: What config.json says.
        parameters: Numbers in its weights.
    """

    folder: Path
    config: dict[str, Any]
    parameters: int

    def bytes_in(self, dtype: str) -> int:
        """Memory that the weights take in `bfloat16` or `float32`."""
        return self.parameters * (2 if dtype == "bfloat16" else 4)


def inspect(folder: Path) -> ModelFiles:
    """Read a model folder without loading it.

    Raises:
        ModelError: It is missing, damaged, runs code of its own, is pickled or quantised.
    """
    if not folder.is_dir():
        problem = "no such model folder"
        raise ModelError(problem, fix="check the path", file=folder)
    config = _read_json(folder / "config.json", required=True)
    _refuse_code(folder, config)
    if "quantization_config" in config:
        problem = "its weights are quantised, which this engine cannot compute with"
        raise ModelError(problem, fix="use the model's bfloat16 weights", file=folder)
    return ModelFiles(folder, config, sum(_parameters(path) for path in _weights(folder)))


def license_of(folder: Path) -> str:
    """The licence that a model card in the folder names; empty where there is none."""
    try:
        card = (folder / "README.md").read_text(errors="replace")
    except OSError:
        return ""
    head = re.match(r"---\n(.*?)\n---", card, re.DOTALL)
    found = re.search(r"^license:\s*([\w.-]+)\s*$", head[1], re.MULTILINE) if head else None
    return found[1] if found else ""


def hash_folder(folder: Path) -> str:
    """SHA-256 over the names and contents of all files that decide what the model replies."""
    digest = hashlib.sha256()
    found = {path for pattern in DECIDING for path in folder.glob(pattern) if path.is_file()}
    for path in sorted(found):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{hash_file(path)}\n".encode())
    return digest.hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file; remembered for as long as its size and times stay."""
    stat = path.stat()
    return _hash(path, stat.st_size, stat.st_mtime_ns, stat.st_ino)


@lru_cache(maxsize=4096)
def _hash(path: Path, _size: int, _mtime: int, _inode: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_json(path: Path, *, required: bool = False) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        if not required:
            return {}
        fix = "name a folder in Hugging Face format"
        raise ModelError(f"the folder has no {path.name}", fix=fix, file=path.parent) from None
    except (ValueError, RecursionError) as exc:
        fix = "copy or download the model again"
        raise ModelError(f"not valid JSON: {exc}", fix=fix, file=path) from exc
    if not isinstance(content, dict):
        raise ModelError("not a JSON object", fix="copy or download the model again", file=path)
    return content


def _refuse_code(folder: Path, config: dict[str, Any]) -> None:
    parts = {"config.json": config}
    parts["tokenizer_config.json"] = _read_json(folder / "tokenizer_config.json")
    for name, content in parts.items():
        if "auto_map" in content:
            problem = "the model brings Python code of its own (auto_map), which is never run"
            fix = "take a model whose architecture transformers itself knows"
            raise ModelError(problem, fix=fix, file=folder / name)


def _weights(folder: Path) -> list[Path]:
    """The files that are loaded; some folders hold a second copy under another name."""
    whole = folder / "model.safetensors"
    index = _read_json(folder / "model.safetensors.index.json").get("weight_map")
    if isinstance(index, dict):
        shards = [folder / str(name) for name in sorted(set(index.values()))]
        missing = [path.name for path in shards if not path.is_file()]
        if missing:
            fix = "copy or download the model again"
            raise ModelError(f"the folder lacks {missing[0]}", fix=fix, file=folder)
        return shards
    found = [whole] if whole.is_file() else sorted(folder.glob("*.safetensors"))
    if found:
        return found
    pickled = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if pickled:
        problem = f"its weights are pickled ({pickled[0]}), and unpickling can run any code"
        fix = (
            "take or make a safetensors version, with save_pretrained on a machine you trust it on"
        )
        raise ModelError(problem, fix=fix, file=folder)
    raise ModelError("the folder has no *.safetensors", fix="add the weights", file=folder)


def _parameters(path: Path) -> int:
    """Numbers in a safetensors file, from its header, which is checked against the file's size."""
    header, start = _header(path)
    tensors = [entry for name, entry in header.items() if name != "__metadata__"]
    try:
        end = max((entry["data_offsets"][1] for entry in tensors), default=0)
        dtypes = {entry["dtype"] for entry in tensors}
        numbers = sum(prod(entry["shape"]) for entry in tensors)
    except (TypeError, KeyError, IndexError) as exc:
        raise _damaged(path, "its header is not one of safetensors") from exc
    if start + end != path.stat().st_size:
        raise _damaged(path, f"{start + end} bytes belong in it, {path.stat().st_size} are there")
    if strange := sorted(dtypes - STORED):
        problem = f"unsupported dtype: its weights are stored as {', '.join(strange)}"
        raise ModelError(problem, fix="use the model's bfloat16 weights", file=path)
    return int(numbers)


def _header(path: Path) -> tuple[dict[str, Any], int]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(_HEADER_LIMIT, path.stat().st_size):
            raise _damaged(path, "its header is longer than the file")
        raw = file.read(length)
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise _damaged(path, "its header is not JSON") from exc
    if not isinstance(header, dict):
        raise _damaged(path, "its header is not one of safetensors")
    return header, 8 + length


def _damaged(path: Path, what: str) -> ModelError:
    problem = f"the weights are damaged: {what}"
    return ModelError(problem, fix="copy or download the model again", file=path)
