"""Indexes on disk: arrays as .npy and a description in JSON, in a folder named by their content.

    key = content_key("vectors", embedder, texts)           # "3f9a..."
    save(folder, key, {"vectors": vectors}, {"texts": 1000})
    stored = load(folder, key)
    stored.arrays["vectors"]                                # mapped into memory, read-only

A folder is written beside its place and then renamed, so that it is whole or not there. One that is
damaged counts as none. Nothing is pickled; the folders can be deleted at any time.
"""

import errno
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]

FORMAT = 1
_ABOUT = "about.json"
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG}
_TAKEN = {errno.ENOTEMPTY, errno.EEXIST}


class Stored(NamedTuple):
    """What was kept.

    Attributes:
        arrays: By name.
        about: What was said of them.
    """

    arrays: "dict[str, Array]"
    about: dict[str, Any]


def content_key(*settings: object, texts: Iterable[str]) -> str:
    """32 hex digits from the settings and the texts, in their order."""
    found = hashlib.sha256(json.dumps([FORMAT, *settings], default=str).encode())
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        found.update(len(data).to_bytes(8, "little"))
        found.update(data)
    return found.hexdigest()[:32]


def load(folder: Path | None, key: str) -> Stored | None:
    """What lies under `key`; None where there is nothing, or it is damaged."""
    if folder is None:
        return None
    import numpy as np

    place = folder / key
    try:
        content = json.loads((place / _ABOUT).read_bytes())
        arrays: dict[str, Array] = {}
        for name, crc in content["arrays"].items():
            array = np.load(place / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            if _crc(array) != crc:
                return None
            arrays[name] = array
        return Stored(arrays, dict(content["about"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError):
        return None


def save(
    folder: Path | None, key: str, arrays: "Mapping[str, Array]", about: Mapping[str, Any]
) -> None:
    """Keep arrays and a description of JSON values under `key`, in the place of what is there.

    A disk that is full or cannot be written keeps nothing: an index can always be made again.
    """
    if folder is None:
        return
    temporary = folder / f".{key}.{os.getpid()}"
    try:
        temporary.mkdir(parents=True, exist_ok=True)
        _write(temporary, arrays, about)
        _move(temporary, folder / key)
    except OSError as exc:
        if exc.errno not in _UNWRITABLE | _TAKEN:
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write(folder: Path, arrays: "Mapping[str, Array]", about: Mapping[str, Any]) -> None:
    import numpy as np

    for name, array in arrays.items():
        with (folder / f"{name}.npy").open("wb") as file:
            np.save(file, array, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
    content = {"about": dict(about), "arrays": {n: _crc(a) for n, a in arrays.items()}}
    with (folder / _ABOUT).open("w", encoding="utf-8") as text:
        json.dump(content, text, ensure_ascii=True)
        text.flush()
        os.fsync(text.fileno())


def _move(temporary: Path, place: Path) -> None:
    try:
        temporary.rename(place)
    except OSError as exc:
        if exc.errno not in _TAKEN:
            raise
        shutil.rmtree(place, ignore_errors=True)  # damaged, or another process was quicker
        temporary.rename(place)


def _crc(array: "Array") -> int:
    import numpy as np

    return zlib.crc32(np.ascontiguousarray(array).data) if array.size else 0
