"""What a run began with: versions and machine, and whether it may go on with others.

    {"versions": {"torch": "2.13.0", ...}, "machine": "x86_64 avx2"}       `.environment` of a run
    begun with torch 2.12.0, now 2.13.0: ...                              the error of a resume

Torch and the class of processor decide the last bits of every sum, so a run goes on with others of
them only where the user allows it; other packages are told of.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipelines.files import write_atomically
from pipelines.folder import RunFolder
from pipelines.manifest import dump, environment_changes
from prompts.errors import UsageError

ENVIRONMENT = ".environment"
"""In a run folder: the versions and the machine that the run began with."""
_ALLOWED = "changed"
"""In that file: the changes with which the run was allowed to go on."""
DECIDING = ("torch ", "machine ")
"""How changes begin that can change the bytes of what is made."""


def changes_since_start(path: Path) -> list[str]:
    """How versions and machine differ from those that an unfinished run began with.

    Empty where there is no such run, or it is not known what it began with.
    """
    folder = RunFolder(path)
    if not folder.begun() or folder.manifest_file.exists():
        return []
    return environment_changes(_began(path))


def check_environment(path: Path) -> None:
    """Refuse to go on with another torch or on another class of processor.

    Raises:
        UsageError: One of them changed since the unfinished run at `path` began.
    """
    if changes := _deciding_changes(path):
        problem = f"begun with {'; '.join(changes)}: what is made now may differ in its bytes"
        fix = "go on where it began, or give --allow-changes"
        raise UsageError(problem, fix=fix, file=path)


def note_changes(path: Path) -> None:
    """Keep in the run that it went on with another torch or on another class of processor."""
    if changes := _deciding_changes(path):
        allowed = sorted({*allowed_changes(path), *changes})
        write_atomically(path / ENVIRONMENT, dump({**_began(path), _ALLOWED: allowed}))


def allowed_changes(path: Path) -> list[str]:
    """The changes with which a run went on, in all processes together."""
    return [str(change) for change in _began(path).get(_ALLOWED, [])]


def joint_changes(manifests: Iterable[Mapping[str, Any]]) -> list[str]:
    """The changes with which any of several runs went on, for the run that they become."""
    return sorted({change for manifest in manifests for change in manifest.get("changed", [])})


def _deciding_changes(path: Path) -> list[str]:
    return [change for change in changes_since_start(path) if change.startswith(DECIDING)]


def _began(path: Path) -> dict[str, Any]:
    """What the run began with; nothing where the file is missing or damaged."""
    try:
        began = json.loads((path / ENVIRONMENT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(began, dict):
        return {}
    kinds = {"versions": dict, "machine": str, _ALLOWED: list}
    return {key: value for key, value in began.items() if isinstance(value, kinds.get(key, ()))}
