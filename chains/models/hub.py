"""Models of the Hugging Face Hub: an id becomes a commit, and a commit a folder of safe files.

commit = resolve("HuggingFaceTB/SmolLM2-1.7B-Instruct", "main")     # "31b70e2e869a..."
folder = download("HuggingFaceTB/SmolLM2-1.7B-Instruct", commit)
"""

import re
from functools import lru_cache
from pathlib import Path

from chains.models.files import DECIDING
from prompts.errors import ModelError

HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
SECOND_COPIES = ["consolidated*", "original/*", "onnx/*", "openvino/*"]
"""The same weights again, in formats of other programs."""

COMMIT = re.compile(r"[0-9a-f]{40}")


@lru_cache(maxsize=256)
def resolve(model: str, revision: str = "", *, offline: bool = False) -> str:
    """The commit that a branch or tag of a Hub id means now; once asked, it stays for this process.

    Without a network, or with `offline`, it is the commit that was downloaded last.

    Raises:
        ModelError: The Hub does not know it, or cannot be asked and nothing was downloaded before.
    """
    if COMMIT.fullmatch(revision):
        return revision
    known = _downloaded(model, revision or "main")
    if offline or _hub_is_off():
        if known is None:
            raise _missing(model, "and the run is offline")
        return known
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        found = HfApi().model_info(model, revision=revision or None).sha
    except RevisionNotFoundError as exc:
        fix = "name an existing branch, tag or commit"
        raise ModelError(f"{model} has no revision '{revision}'", fix=fix) from exc
    except RepositoryNotFoundError as exc:
        problem = f"the Hub knows no model '{model}', or it is private"
        fix = "check the id (a local folder is written ./NAME), or log in with 'hf auth login'"
        raise ModelError(problem, fix=fix) from exc
    except Exception as exc:
        if known is None:
            raise _missing(model, f"and the Hub cannot be reached ({type(exc).__name__})") from exc
        return known
    if found is None:
        raise ModelError(f"the Hub names no commit of {model}", fix="give a revision")
    return str(found)


def download(model: str, commit: str, *, offline: bool = False) -> Path:
    """The folder of that commit, with weights as safetensors alone; fetched where it is missing.

    Raises:
        ModelError: It is not here and cannot be fetched.
    """
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(
            model,
            revision=commit,
            local_files_only=offline or _hub_is_off(),
            allow_patterns=[*DECIDING, "*.safetensors.index.json", "README.md"],
            ignore_patterns=SECOND_COPIES,
        )
    except Exception as exc:
        raise _missing(model, f"and cannot be fetched ({type(exc).__name__})") from exc
    return Path(folder)


def _downloaded(model: str, revision: str) -> str | None:
    """The commit of a branch or tag at the time of the last download."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(constants.HF_HUB_CACHE, repo_folder_name(repo_id=model, repo_type="model"))
    try:
        return (folder / "refs" / revision).read_text().strip()
    except OSError:
        return None


def _hub_is_off() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def _missing(model: str, why: str) -> ModelError:
    fix = f"run 'hf download {model}' once with a network, or name a local folder as ./NAME"
    return ModelError(f"the model '{model}' is not on this machine, {why}", fix=fix)
