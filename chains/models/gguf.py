"""GGUF files: unpacked once into a cached folder, which loads thirty times faster.

folder = unpacked(Path("SmolLM2-135M-Instruct.Q4_1.gguf"), "b179c952...", "bfloat16")
"""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chains.models.cache import cached
from prompts.errors import ModelError

VERSION = 1
"""Raised whenever the unpacked files may differ for the same GGUF file; part of the fingerprint."""


def unpacked(find: Callable[[], Path], sha256: str, dtype: str) -> Path:
    """The folder with the weights of a GGUF file, unpacked to `dtype`, and its tokenizer.

    Args:
        find: Gives the file; asked only when the folder has to be made.
        sha256: Of the file.
        dtype: `bfloat16` or `float32`.

    Raises:
        ModelError: The file cannot be read.
        ResourceError: The cache cannot be written.
    """
    name = f"gguf-{sha256[:16]}-{dtype}-{VERSION}"
    return cached(name, lambda folder: _unpack(find(), folder, dtype))


def _unpack(file: Path, folder: Path, dtype: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    from chains.models.hugging_face import quiet

    where = {"gguf_file": file.name, "local_files_only": True}
    number = getattr(torch, dtype)
    # transformers draws a progress bar here that none of its settings turns off.
    with quiet(), contextlib.redirect_stderr(io.StringIO()):
        try:
            tokenizer = AutoTokenizer.from_pretrained(file.parent, **where)
            dense = GgufConfig(dequantize=True)
            model = AutoModelForCausalLM.from_pretrained(
                file.parent, dtype=number, quantization_config=dense, **where
            )
        except Exception as exc:
            problem = f"cannot be read as a GGUF model: {exc}"
            fix = "download it again, or take an architecture that transformers reads from GGUF"
            raise ModelError(problem, fix=fix, file=file) from exc
        _plain(model).to(number).save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _plain(model: Any) -> Any:
    """The same weights in a model without a trace of GGUF, which save_pretrained refuses."""
    config = model.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    fresh = type(model)(config)
    fresh.load_state_dict(model.state_dict())
    fresh.generation_config = model.generation_config
    return fresh
