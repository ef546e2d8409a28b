"""The ledger: one SQLite file that remembers every model call, so that none is paid twice.

    key = call_key(model.fingerprint, call)     # 32 bytes
    ledger.put([(key, [Reply("Blue.", "stop")])])
    ledger.get([key])                           # {key: [Reply("Blue.", "stop")]}

Keys are hashes of all that decides a reply and of nothing else, so the same mechanism gives resume
after a crash, regeneration of only the rows an edit touches, and reruns that cost nothing.
Embeddings lie in the same file as float16: one file, one transaction, no second index that could
tear. What is compared later is always the stored value, so a vector read back and one just computed
are the same.
"""

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from chains.calls import Call, Reply
from pipelines.failpoints import reach
from pipelines.files import disk_errors
from pipelines.rows import canonical
from prompts.errors import CorruptRunError, ResourceError

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1
_FIELDS = tuple(field.name for field in fields(Reply))
_CHUNK = 500  # bound parameters a query, under SQLite's oldest limit of 999

# The keys have an index apart: they are random, so a table sorted by them would be written all
# over, and would keep whatever is longer than a quarter of a page on a page of its own.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls
    (key BLOB PRIMARY KEY NOT NULL, replies TEXT NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS vectors
    (key BLOB PRIMARY KEY NOT NULL, vector BLOB NOT NULL, crc INTEGER NOT NULL);
"""
_SORTED = "SELECT count(*) FROM sqlite_schema WHERE name = 'calls' AND sql LIKE '%WITHOUT ROWID%'"


def call_key(fingerprint: str, call: Call) -> bytes:
    """SHA-256 over the model, the decoding settings, the rendered messages and the seed.

    A deterministic strategy leaves the seed out: the same prompt is paid once whatever row asks.
    """
    seed = None if call.decoding.deterministic else call.seed
    messages = [list(message) for message in call.messages]
    parts: list[Any] = [FORMAT, fingerprint, call.decoding.key(), messages, seed]
    if call.guides:
        parts.append([guide.key() for guide in call.guides])
    text = canonical(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def vector_key(fingerprint: str, text: str) -> bytes:
    """SHA-256 over the embedder and the text."""
    return hashlib.sha256(
        canonical([FORMAT, fingerprint, text]).encode("utf-8", "surrogatepass")
    ).digest()


def _record(reply: Reply) -> dict[str, Any]:
    """A reply's fields, which are plain values: `asdict` would copy each of them deeply."""
    return {name: getattr(reply, name) for name in _FIELDS}


class Ledger:
    """A memo of model calls and embeddings, safe for several processes and for being killed.

    Args:
        path: The SQLite file; made when missing.

    Raises:
        CorruptRunError: The file is not a ledger or is damaged.
        ResourceError: The disk is full or the folder cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = sqlite3.connect(path, timeout=60, isolation_level=None)
            self._db.text_factory = bytes  # so that a damaged text is read, and its checksum fails
            with ExitStack() as undoing:
                undoing.callback(self._db.close)
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=FULL")
                self._db.executescript(_SCHEMA)
                # Earlier ledgers hold keys and values together, and go on like that.
                self._together = bool(self._db.execute(_SORTED).fetchone()[0])
                undoing.pop_all()
        except sqlite3.Error as exc:
            raise self._wrapped(exc) from exc

    def get(self, keys: Sequence[bytes]) -> dict[bytes, list[Reply]]:
        """The replies of those keys that are known."""
        found = self._select("calls", "replies", keys)
        return {key: [Reply(**reply) for reply in json.loads(text)] for key, text in found.items()}

    def put(self, entries: Iterable[tuple[bytes, list[Reply]]]) -> None:
        """Remember calls, in one commit."""
        texts = ((key, canonical([_record(r) for r in replies])) for key, replies in entries)
        self._insert("calls", [(k, text, self._checksum(k, text.encode())) for k, text in texts])

    def get_vectors(
        self, keys: Sequence[bytes]
    ) -> "dict[bytes, np.ndarray[Any, np.dtype[np.float32]]]":
        """The stored vectors of those keys that are known, as float32."""
        import numpy as np

        found = self._select("vectors", "vector", keys)
        return {k: np.frombuffer(v, dtype="<f2").astype(np.float32) for k, v in found.items()}

    def put_vectors(
        self, entries: "Iterable[tuple[bytes, np.ndarray[Any, np.dtype[np.float32]]]]"
    ) -> None:
        """Remember vectors as float16, in one commit."""
        blobs = ((key, vector.astype("<f2").tobytes()) for key, vector in entries)
        self._insert("vectors", [(k, blob, self._checksum(k, blob)) for k, blob in blobs])

    def count(self) -> int:
        """How many calls are remembered."""
        return int(self._db.execute("SELECT count(*) FROM calls").fetchone()[0])

    def keys(self) -> set[bytes]:
        """The keys of all remembered calls."""
        return {key for (key,) in self._db.execute("SELECT key FROM calls")}

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _select(self, table: str, column: str, keys: Sequence[bytes]) -> dict[bytes, Any]:
        found: dict[bytes, Any] = {}
        for start in range(0, len(keys), _CHUNK):
            part = keys[start : start + _CHUNK]
            marks = ",".join("?" * len(part))
            query = f"SELECT key, {column}, crc FROM {table} WHERE key IN ({marks})"
            try:
                rows = self._db.execute(query, part).fetchall()
            except sqlite3.Error as exc:
                raise self._wrapped(exc) from exc
            for key, value, crc in rows:
                # A damaged entry is as good as none: it is paid again.
                if crc == self._checksum(key, value):
                    found[key] = value
        return found

    def _checksum(self, key: bytes, value: bytes) -> int:
        """Of the key too, which a damaged index may lead to the value of another."""
        return zlib.crc32(value, 0 if self._together else zlib.crc32(key))

    def _insert(self, table: str, records: list[tuple[bytes, Any, int]]) -> None:
        try:
            with disk_errors(self.path):
                reach("ledger.before_insert")
                with self._transaction():
                    query = f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)"
                    self._db.executemany(query, records)
                reach("ledger.after_commit")
        except sqlite3.Error as exc:
            raise self._wrapped(exc) from exc

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All that is written in the block or none of it; the connection can go on either way."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            reach("ledger.before_commit")
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _wrapped(self, exc: sqlite3.Error) -> CorruptRunError | ResourceError:
        if "full" in str(exc) or "disk I/O" in str(exc) or "readonly" in str(exc):
            fix = "free some space and resume; what was paid for is kept"
            return ResourceError(f"cannot write the ledger: {exc}", fix=fix, file=self.path)
        fix = "move the file away; its calls are then paid again"
        return CorruptRunError(f"the ledger cannot be used: {exc}", fix=fix, file=self.path)
