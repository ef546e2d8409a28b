"""Where a model's files are and what identifies them, without loading anything.

found = locate(ModelSpec(model="embedded"))
found.identify()        # "sha256:b179c9523d0e..."
found.folder()          # /home/me/.cache/textmill/gguf-b179c9523d0e0a6f-bfloat16-1
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chains.models import gguf, hub
from chains.models.embedded import WRITER
from chains.models.files import hash_file, hash_folder, inspect
from chains.models.spec import ModelSpec
from prompts.errors import ModelError


@dataclass(frozen=True)
class Located:
    """A model that lies on this machine or can be fetched.

    Attributes:
        name: For people: the Hub id, the folder's or file's name, never a path.
        identify: Gives what identifies the weights, tokenizer and template; may read all of them.
        folder: Gives the folder in Hugging Face format, made or fetched where needed.
        revision: Commit of a Hub id, version of an embedded model.
        license: SPDX name, where it is known.
    """

    name: str
    identify: Callable[[], str]
    folder: Callable[[], Path]
    revision: str = ""
    license: str = ""


def locate(spec: ModelSpec, *, offline: bool = False) -> Located:
    """Find the files of a local model.

    Args:
        spec: Neither of a server nor `scripted`.
        offline: Never ask the network.

    Raises:
        ModelError: There is no such file, folder or Hub id, or its files are refused.
    """
    if spec.model == "embedded":
        identity = f"sha256:{WRITER.sha256}+gguf{gguf.VERSION}-bfloat16"

        def unpack() -> Path:
            return gguf.unpacked(WRITER.path, WRITER.sha256, "bfloat16")

        return Located(WRITER.title, lambda: identity, unpack, WRITER.version, WRITER.license)
    path = Path(spec.model).expanduser()
    if path.suffix == ".gguf":
        return _gguf_file(path, "float32" if spec.dtype == "float32" else "bfloat16")
    if path.is_dir() or _is_path(spec.model):
        files = inspect(path)
        return Located(
            path.resolve().name, lambda: f"sha256:{hash_folder(path)}", lambda: files.folder
        )
    return _hub_model(spec, offline=offline)


def _gguf_file(path: Path, dtype: str) -> Located:
    if not path.is_file():
        raise ModelError("no such GGUF file", fix="check the path", file=path)
    sha256 = hash_file(path)
    identity = f"sha256:{sha256}+gguf{gguf.VERSION}-{dtype}"
    return Located(path.name, lambda: identity, lambda: gguf.unpacked(lambda: path, sha256, dtype))


def _hub_model(spec: ModelSpec, *, offline: bool) -> Located:
    if not hub.HUB_ID.fullmatch(spec.model):
        problem = f"'{spec.model}' is neither a Hub id nor a folder nor a .gguf file"
        raise ModelError(problem, fix="write 'embedded', OWNER/NAME, ./FOLDER or FILE.gguf")
    commit = hub.resolve(spec.model, spec.revision, offline=offline)

    def fetch() -> Path:
        folder = hub.download(spec.model, commit, offline=offline)
        return inspect(folder).folder

    return Located(spec.model, lambda: f"hub:{spec.model}@{commit}", fetch, commit)


def _is_path(text: str) -> bool:
    return text.startswith((".", "/", "~")) or "\\" in text or text.count("/") > 1
