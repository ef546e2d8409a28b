"""How many equal seeds came before one, for any number of seeds, in memory that does not grow.

occurrences.next("9f2c...")     # 0
occurrences.next("41aa...")     # 0
occurrences.next("9f2c...")     # 1

The first hashes are held in memory. Those beyond them are in a temporary database, which SQLite
deletes by itself, also where the process is killed.
"""

import sqlite3

from prompts.errors import ResourceError

IN_MEMORY = 1 << 15  # hashes: some 3 MiB
_SIGNED = 1 << 63
_COUNT = """
INSERT INTO seen VALUES (?, 0) ON CONFLICT (hash) DO UPDATE SET again = again + 1 RETURNING again
"""


class Occurrences:
    """Counts equal hashes; close it in the end."""

    def __init__(self) -> None:
        self._first: dict[int, int] = {}
        self._further: sqlite3.Connection | None = None

    def next(self, content: str) -> int:
        """How often the hash, 16 hex digits, was asked for before.

        Raises:
            ResourceError: The disk of temporary files is full.
        """
        short = int(content, 16)
        before = self._first.get(short)
        if before is None and len(self._first) >= IN_MEMORY:
            return self._next_further(short)
        count = 0 if before is None else before + 1
        self._first[short] = count
        return count

    def close(self) -> None:
        """Delete what is on disk."""
        if self._further is not None:
            self._further.close()

    def _next_further(self, short: int) -> int:
        try:
            if self._further is None:
                self._further = _database()
            return int(self._further.execute(_COUNT, (short - _SIGNED,)).fetchall()[0][0])
        except sqlite3.Error as exc:
            fix = "free some space in the folder of temporary files (TMPDIR), then resume"
            raise ResourceError(f"cannot count equal seeds: {exc}", fix=fix) from exc


def _database() -> sqlite3.Connection:
    """A database without a name, which is deleted when it is closed."""
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    database.execute("PRAGMA journal_mode=OFF")
    database.execute("PRAGMA synchronous=OFF")
    database.execute("CREATE TABLE seen (hash INTEGER PRIMARY KEY, again INTEGER NOT NULL)")
    return database
