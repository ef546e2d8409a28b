"""The cache folder: things that are made once, checked on every use, and made again when damaged.

    folder = cached("gguf-b179c952", make)     # make(empty_folder) fills it, once a machine

A folder appears under its final name only when it is complete (a rename), with the SHA-256 of all
its files in it. Two processes that need the same one at once wait for each other at a lock file.
"""

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from chains.models.files import hash_file
from prompts.errors import ResourceError

SUMS = "textmill-sums.json"
ENV = "TEXTMILL_CACHE"

logger = logging.getLogger("textmill.models")


def cache_root() -> Path:
    """$TEXTMILL_CACHE, or `textmill` in the user's cache folder."""
    chosen = os.environ.get(ENV)
    return Path(chosen) if chosen else platformdirs.user_cache_path("textmill")


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """The cached folder of that name, made by `make` where it is missing or damaged.

    Raises:
        ResourceError: The cache cannot be written.
    """
    target = cache_root() / name
    if is_whole(target):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.with_name(f"{name}.lock")):
            if not is_whole(target):
                _remake(target, make)
    except OSError as exc:
        fix = f"free space there, or set {ENV} to another folder"
        raise ResourceError(f"cannot write the cache: {exc}", fix=fix, file=target) from exc
    return target


def is_whole(folder: Path) -> bool:
    """Whether a cached folder holds the very bytes it was made with."""
    try:
        sums = json.loads((folder / SUMS).read_bytes())
        return all(hash_file(folder / name) == digest for name, digest in sums.items())
    except (OSError, ValueError, AttributeError):
        return False


def _remake(target: Path, make: Callable[[Path], None]) -> None:
    fresh = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        make(fresh)
        sums = {path.name: hash_file(path) for path in sorted(fresh.iterdir())}
        (fresh / SUMS).write_text(json.dumps(sums, indent=1))
        if target.exists():
            logger.warning("the cached %s was damaged and is made again", target.name)
            shutil.rmtree(target)
        fresh.chmod(0o755)
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock file; the system frees it when the process ends, however it ends."""
    import fcntl

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
