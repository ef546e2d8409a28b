"""The border to transformers: loading models and tokenizers safely, quietly, and with our errors.

    model = load_model(files, task="causal", dtype="bfloat16", device="cpu")
    tokenizer = load_tokenizer(files.folder)

Only safetensors are read, no code of a model is run, nothing is fetched.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from transformers.utils import logging as transformers_logging

from chains.models.files import ModelFiles
from chains.models.machine import free_memory
from prompts.errors import ModelError, ResourceError

Task = Literal["causal", "text-to-text", "encoder", "classification"]

AUTO_CLASSES: dict[Task, str] = {
    "causal": "AutoModelForCausalLM",
    "text-to-text": "AutoModelForSeq2SeqLM",
    "encoder": "AutoModel",
    "classification": "AutoModelForSequenceClassification",
}

WORKING_SPACE = 1.15
"""Memory needed while loading, as a factor on the weights."""

_TOO_LONG = "sequence-length-is-longer-than-the-specified-maximum"


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no advice from transformers; errors still raise."""
    with warnings.catch_warnings():
        # Marian's tokenizer recommends a package that only reorders punctuation.
        warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
        with _silenced():
            yield


@contextmanager
def _silenced() -> Iterator[None]:
    level = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()


def load_model(files: ModelFiles, *, task: Task, dtype: str, device: str) -> Any:
    """The model of a folder, in evaluation mode on the device.

    Raises:
        ModelError: transformers cannot load it.
        ResourceError: The weights would not fit into memory.
    """
    check_memory(files, dtype=dtype, device=device)
    loader = getattr(transformers, AUTO_CLASSES[task])
    with quiet():
        try:
            model, report = loader.from_pretrained(
                files.folder,
                dtype=getattr(torch, dtype),
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
            model = model.eval().to(device)
        except (MemoryError, torch.OutOfMemoryError) as exc:
            raise _too_little(files.bytes_in(dtype), None, files) from exc
        except Exception as exc:
            problem = f"transformers cannot load it: {_first_line(exc)}"
            fix = f"take a model that {AUTO_CLASSES[task]} of transformers knows"
            raise ModelError(problem, fix=fix, file=files.folder) from exc
    _refuse_holes(files, task, report)
    return model


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder.

    Raises:
        ModelError: There is none that transformers can load.
    """
    with quiet():
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
        except Exception as exc:
            problem = f"transformers cannot load its tokenizer: {_first_line(exc)}"
            fix = "add the tokenizer's files (tokenizer.json) to the folder"
            raise ModelError(problem, fix=fix, file=folder) from exc
    # As if it had warned already: who encodes a text looks at its length.
    tokenizer.deprecation_warnings[_TOO_LONG] = True
    return tokenizer


def check_memory(files: ModelFiles, *, dtype: str, device: str) -> None:
    """Estimate whether the weights fit.

    Raises:
        ModelError: torch cannot use the GPU that is there.
        ResourceError: They do not.
    """
    free = _free_on_gpu(files) if device == "cuda" else free_memory()
    needed = int(files.bytes_in(dtype) * WORKING_SPACE)
    if free is not None and needed > free:
        raise _too_little(needed, free, files)


def _free_on_gpu(files: ModelFiles) -> int:
    try:
        return torch.cuda.mem_get_info()[0]
    except (RuntimeError, AssertionError) as exc:  # a driver that is too old, say
        fix = "write 'device: cpu', or mend the GPU's driver"
        raise ModelError(
            f"torch cannot use the GPU: {_first_line(exc)}", fix=fix, file=files.folder
        ) from exc


def _refuse_holes(files: ModelFiles, task: Task, report: dict[str, Any]) -> None:
    """Weights that are not in the files would silently be random numbers."""
    missing = sorted(report.get("missing_keys", ()))
    # An encoder's pooler is not used, and sentence encoders are often saved without it.
    missing = [key for key in missing if not (task == "encoder" and "pooler" in key)]
    if missing:
        problem = f"the files lack {len(missing)} of the model's weights, such as {missing[0]}"
        raise ModelError(problem, fix="copy or download the model again", file=files.folder)


def _too_little(needed: int, free: int | None, files: ModelFiles) -> ResourceError:
    have = "" if free is None else f", {free / 1e9:.1f} GB are free"
    problem = f"loading the model takes about {needed / 1e9:.1f} GB of memory{have}"
    return ResourceError(problem, fix="take a smaller model or dtype bfloat16", file=files.folder)


def _first_line(exc: BaseException) -> str:
    text = str(exc).strip() or type(exc).__name__
    return text.splitlines()[0][:200]
