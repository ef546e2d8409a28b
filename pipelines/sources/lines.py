"""Lines of a file that may hold one line of any length.

    for line in CappedLines(file):      # file opened in binary or, for CSV, in text mode
        ...

Unlike a loop over the file, it never holds more than `LONGEST` of a line.
"""

from collections.abc import Iterator
from typing import IO, AnyStr, Generic

LONGEST = 16 * 1024 * 1024
"""Bytes, or characters of a text file, that a line may have."""


class LineTooLong(Exception):
    """A line was passed over; reading can go on with the next one."""


class CappedLines(Iterator[AnyStr], Generic[AnyStr]):
    """The lines of `file` with their ends, split where the file's own `readline` does.

    A line over `longest` raises `LineTooLong` in its turn, after which iteration goes on.

    Attributes:
        number: The number of the line that came last, from 1.
    """

    def __init__(self, file: IO[AnyStr], longest: int = LONGEST) -> None:
        self._file: IO[AnyStr] = file
        self._longest = longest
        self.number = 0

    def __next__(self) -> AnyStr:
        line: AnyStr = self._file.readline(self._longest + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) <= self._longest:
            return line
        while line and not self._ends(line):
            line = self._file.readline(1 << 20)
        raise LineTooLong(f"longer than {self._longest}")

    @staticmethod
    def _ends(line: AnyStr) -> bool:
        return line.endswith(("\n", "\r")) if isinstance(line, str) else line.endswith(b"\n")
