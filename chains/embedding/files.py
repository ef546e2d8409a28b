"""Where an embedder's files are and what identifies them, without loading anything."""

import json
from pathlib import Path
from typing import Any

from chains.embedding.base import ENGINE
from chains.embedding.scripted import SCRIPTED
from chains.models.embedded import EMBEDDER
from chains.models.files import ModelFiles, inspect
from chains.models.identity import digest_of
from chains.models.locate import locate
from chains.models.spec import ModelSpec


def locate_embedder(name: str, *, offline: bool = False) -> ModelFiles:
    """The folder of an embedder, its bytes checked where they are pinned.

    Raises:
        ModelError: There is none, or its files are refused.
    """
    if name == "embedded":
        return inspect(EMBEDDER.path().parent)
    return inspect(locate(ModelSpec(model=name), offline=offline).folder())


def embedder_fingerprint(name: str, *, offline: bool = False) -> str:
    """Identifies all that decides a vector besides the text.

    Raises:
        ModelError: There is no such embedder.
    """
    if name == "scripted":
        return SCRIPTED
    if name == "embedded":
        return digest_of("embedder", EMBEDDER.sha256, "float32", f"engine{ENGINE}")
    identity = locate(ModelSpec(model=name), offline=offline).identify()
    return digest_of("embedder", identity, "float32", f"engine{ENGINE}")


def is_static(files: ModelFiles) -> bool:
    """Whether a text's vector is the mean of its tokens' vectors (model2vec)."""
    return files.config.get("model_type") == "model2vec"


def read_settings(folder: Path, name: str) -> dict[str, Any]:
    """A settings file of sentence-transformers, {} where there is none."""
    try:
        content = json.loads((folder / name).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
