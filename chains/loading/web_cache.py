"""Pages on disk: what a URL gave, kept so that a job that is run again reads the same bytes.

    cache = WebCache(folder)
    cache.store(key, Entry(url="https://example.org/", sha256=...), body)
    entry = cache.load(key)         # None where it is not there, or not whole
    cache.body(entry)

Bodies lie under their SHA-256, so that two URLs with one content share a file, and a file whose
bytes are not those of its name counts as missing. Faults are kept as well: a page that was not
there when the job began is not there when it is resumed.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from prompts.errors import ResourceError


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a URL.

    Attributes:
        url: Where it stands, after redirects.
        sha256: Of its body; empty for a fault.
        suffix: The ending that files of its type have.
        charset: What the server says its encoding is, or nothing.
        etag: To ask whether it has changed.
        modified: The same, and when it last did, as the server writes it.
        reason: Of a fault.
        detail: Of a fault.
    """

    url: str
    sha256: str = ""
    suffix: str = ""
    charset: str = ""
    etag: str = ""
    modified: str = ""
    reason: str = ""
    detail: str = ""


class WebCache:
    """A folder of pages; several processes may use it at once.

    Args:
        folder: It need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, key: str) -> Entry | None:
        """The entry of that key, if it is there and its body is whole."""
        try:
            entry = Entry(**json.loads(self._entry(key).read_bytes()))
            if entry.sha256:
                self._checked(entry)
        except (OSError, ValueError, TypeError):
            return None
        return entry

    def body(self, entry: Entry) -> bytes:
        """The bytes of a page.

        Raises:
            ResourceError: They have gone since the entry was loaded.
        """
        try:
            return self._checked(entry)
        except (OSError, ValueError) as exc:
            fix = "run the job again; the page is then fetched once more"
            raise ResourceError(f"the web cache lost a page: {exc}", fix=fix) from exc

    def store(self, key: str, entry: Entry, body: bytes = b"") -> None:
        """Keep an entry and its body.

        Raises:
            ResourceError: The folder cannot be written.
        """
        try:
            if entry.sha256:
                _write(self._body(entry.sha256), body)
            _write(self._entry(key), json.dumps(asdict(entry)).encode())
        except OSError as exc:
            fix = "free space there, or name another folder in 'fetch.cache'"
            problem = f"the web cache cannot be written: {exc.strerror}"
            raise ResourceError(problem, fix=fix, file=self._folder) from exc

    def forget(self, key: str) -> None:
        """Drop an entry; its body stays for others."""
        self._entry(key).unlink(missing_ok=True)

    def _checked(self, entry: Entry) -> bytes:
        data = self._body(entry.sha256).read_bytes()
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise ValueError("a damaged file")
        return data

    def _entry(self, key: str) -> Path:
        return self._folder / "entries" / key[:2] / f"{key}.json"

    def _body(self, sha256: str) -> Path:
        return self._folder / "bodies" / sha256[:2] / sha256


def _write(path: Path, data: bytes) -> None:
    """A whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
