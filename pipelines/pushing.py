"""Sends a run's dataset, card and job to a dataset repository on the Hugging Face Hub.

    pushed = push(dataset_of(run), Target("ada/support-qa"))
    pushed.sent         # ("README.md", "data/train-00000-of-00001.parquet", "job.yaml", ...)
    pushed.unchanged    # 0; on the second time all of them, and nothing is sent

Files that the repository holds with the same hash are not sent. Large files are sent one by one,
and then everything appears in one commit: a push that is broken off leaves the repository as it
was, and the next one does not send again what has arrived. The local files are only read.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.exporters.layout import DATA, IMAGES, LINEAGE_CONFIG
from pipelines.exporters.public import public_jobs
from pipelines.folder import RunFolder
from pipelines.launch import finished_manifest, reopen
from prompts.errors import ModelError, UsageError

_PIECE = 1 << 20
_LATER = "push again later; what has arrived is not sent again"
_NO_NAME = (
    "the Hub takes no such name",
    "write it as user/name, with letters, digits, '-', '_' and '.'",
)
_KIND = "dataset"
_OWNED = tuple(f"{folder}/" for folder in (DATA, LINEAGE_CONFIG, IMAGES))


@dataclass(frozen=True, slots=True)
class Target:
    """Where to push.

    Attributes:
        name: `user/name` or `organisation/name`.
        private: Whether a repository that is made new is private; an old one stays as it is.
        revision: A branch, made where there is none; empty for the main one.
    """

    name: str
    private: bool = True
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push came to.

    Attributes:
        url: The repository's page.
        commit: The commit; empty where there was nothing to send.
        sent: Paths of the files that were new or had changed.
        deleted: Paths of the dataset's files that are no longer in it.
        unchanged: Files that were there already.
    """

    url: str
    commit: str
    sent: tuple[str, ...]
    deleted: tuple[str, ...]
    unchanged: int


def files_to_push(folder: RunFolder) -> dict[str, Path | bytes]:
    """What of a finished run belongs on the Hub, by path there: dataset, card, job.

    Raises:
        UsageError: The run is not finished, or has no export of kind `hf_dataset`.
        CorruptRunError: It is damaged.
    """
    manifest = finished_manifest(folder)
    kinds = [entry["path"] for entry in manifest["exports"] if entry["kind"] == "hf_dataset"]
    dataset = folder.path / kinds[0] if kinds else folder.dataset
    if not (dataset / "README.md").is_file():
        fix = "add {kind: hf_dataset} to the exports of its job and resume it"
        raise UsageError("the run has no dataset to push", fix=fix, file=folder.path)
    found: dict[str, Path | bytes] = {
        path.relative_to(dataset).as_posix(): path
        for path in sorted(dataset.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }
    jobs = public_jobs(manifest, reopen(folder).job.as_data())
    return {**found, **{name: text.encode("utf-8") for name, text in jobs.items()}}


def push(
    files: Mapping[str, Path | bytes],
    target: Target,
    on_file: Callable[[str, int], None] = lambda path, size: None,
) -> Pushed:
    """Send files to a repository on the Hub, which is made where there is none.

    Args:
        files: Path in the repository -> a local file, or its content.
        target: The repository.
        on_file: Told of every large file that is about to be sent, with its size in bytes.

    Raises:
        ModelError: There is no token, or the Hub cannot be reached, or it refuses.
    """
    from huggingface_hub import HfApi, get_token
    from huggingface_hub.utils import disable_progress_bars

    if target.name.count("/") != 1:
        problem, fix = _NO_NAME
        raise ModelError(problem, fix=fix, key=target.name)
    token = get_token()
    if token is None:
        fix = "set HF_TOKEN to a token with write access, or log in with: hf auth login"
        raise ModelError("there is no token for the Hub", fix=fix, key=target.name)
    disable_progress_bars()
    with _explained(target, token):
        api = HfApi(token=token)
        return _push(api, files, target, on_file)


def _push(
    api: Any,
    files: Mapping[str, Path | bytes],
    target: Target,
    on_file: Callable[[str, int], None],
) -> Pushed:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    where = {"repo_id": target.name, "repo_type": _KIND}
    revision = target.revision or None
    url = api.create_repo(**where, private=target.private, exist_ok=True)
    if revision:
        api.create_branch(**where, branch=revision, exist_ok=True)
    there = {
        entry.path: entry
        for entry in api.list_repo_tree(**where, revision=revision, recursive=True)
        if hasattr(entry, "blob_id")
    }
    changed = [path for path, content in files.items() if not _same(content, there.get(path))]
    gone = [path for path in there if path.startswith(_OWNED) and path not in files]
    additions = [CommitOperationAdd(path, files[path]) for path in changed]
    for addition in additions:
        on_file(addition.path_in_repo, addition.upload_info.size)
        api.preupload_lfs_files(**where, additions=[addition], revision=revision, free_memory=False)
    commit = ""
    if changed or gone:
        operations = [*additions, *(CommitOperationDelete(path) for path in gone)]
        message = "Add the dataset" if not there.keys() & files.keys() else "Update the dataset"
        info = api.create_commit(
            **where, operations=operations, commit_message=message, revision=revision
        )
        commit = info.oid
    return Pushed(str(url), commit, tuple(changed), tuple(gone), len(files) - len(changed))


def _same(content: Path | bytes, entry: Any) -> bool:
    """Whether the repository's file holds these bytes, by the hash that it has of them."""
    if entry is None:
        return False
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    if entry.size != size:
        return False
    if entry.lfs is not None:
        return bool(entry.lfs.sha256 == _hash(content, hashlib.sha256()))
    # As git names a file's content: SHA-1 over a head and the bytes.
    head = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    return bool(entry.blob_id == _hash(content, head))


def _hash(content: Path | bytes, running: Any) -> str:
    if isinstance(content, bytes):
        running.update(content)
    else:
        with content.open("rb") as file:
            while piece := file.read(_PIECE):
                running.update(piece)
    return str(running.hexdigest())


@contextmanager
def _explained(target: Target, token: str) -> Iterator[None]:
    """What goes wrong on the way to the Hub as one line, in which the token is not."""
    from httpx import HTTPError

    try:
        yield
    # ValueError: a name or card that it does not take; RuntimeError: an upload, for what it names.
    except (HTTPError, ConnectionError, TimeoutError, ValueError, RuntimeError) as exc:
        cause = exc.__cause__ if isinstance(exc, RuntimeError) and exc.__cause__ else exc
        problem, fix = _told(cause, target)
        raise ModelError(problem.replace(token, "..."), fix=fix, key=target.name) from exc


def _told(exc: BaseException, target: Target) -> tuple[str, str]:
    """What went wrong, and how to mend it."""
    from httpx import HTTPError
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    if isinstance(exc, HFValidationError):
        return _NO_NAME
    if isinstance(exc, OfflineModeIsEnabled):
        return "the Hub is switched off by HF_HUB_OFFLINE", "unset it, and push again"
    if isinstance(exc, HfHubHTTPError):
        return _refusal(exc, target)
    if isinstance(exc, HTTPError | ConnectionError | TimeoutError):
        return f"the Hub cannot be reached: {exc}", _LATER
    return f"the Hub refused: {exc}", "mend that, and push again"


def _refusal(exc: Any, target: Target) -> tuple[str, str]:
    status = exc.response.status_code
    said = f": {exc.server_message}" if exc.server_message else ""
    owner = target.name.split("/")[0]
    if status == 401:
        fix = "set HF_TOKEN to a valid token with write access, or log in with: hf auth login"
        return "the Hub does not accept the token", fix
    if status == 403:
        fix = f"use a token that may write to repositories of {owner}, or push to one of your own"
        return f"the token may not do that{said}", fix
    if status >= 500 or status == 429:
        return f"the Hub answered {status}{said}", _LATER
    return f"the Hub refused with {status}{said}", "mend that, and push again"
