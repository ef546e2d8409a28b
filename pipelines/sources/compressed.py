r"""Compressed files as streams: `.gz` and `.zst`, unpacked as they are read and within a limit.

    with open_file(Path("rows.jsonl.gz")) as file:
        expanded(file, ".gz").readline()        # b'{"id": 7, ...}\n'

A file may unpack to `RATIO` times its size; text is rarely packed tighter than 30 to 1, a bomb is
a thousand to one and more.
"""

import os
from io import BufferedReader, RawIOBase
from typing import Any

from chains.loading.base import Unreadable

CODECS = {".gz": "gzip", ".zst": "zstd"}
"""Endings, and what pyarrow calls their methods."""

RATIO = 200
_FREE = 64 << 20  # bytes that any file may unpack to
_BUFFER = 1 << 20


def expanded(file: BufferedReader, suffix: str) -> BufferedReader:
    """What a compressed file holds; it can be read again from `seek(0)`.

    Reading raises Unreadable: `zip_bomb`, or `malformed` for damaged or cut data.
    """
    return BufferedReader(_Expanding(file, CODECS[suffix]), _BUFFER)


class _Expanding(RawIOBase):
    def __init__(self, file: BufferedReader, codec: str) -> None:
        self._file = file
        self._codec = codec
        self._most = max(_FREE, RATIO * os.fstat(file.fileno()).st_size)
        self._begin()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if offset == 0 and whence == os.SEEK_SET:
            self._file.seek(0)
            self._begin()
        elif not (offset == 0 and whence == os.SEEK_CUR):
            raise OSError("a compressed stream goes back to its beginning alone")
        return self._place

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._stream.read(len(buffer))
        except OSError as exc:
            raise Unreadable("malformed", f"damaged {self._codec} data: {exc}") from exc
        self._place += len(data)
        if self._place > self._most:
            raise Unreadable("zip_bomb", f"unpacks to more than {self._most} bytes")
        buffer[: len(data)] = data
        return len(data)

    def _begin(self) -> None:
        import pyarrow as pa

        source = pa.PythonFile(_Unclosed(self._file), "r")
        self._stream = pa.CompressedInputStream(source, self._codec)
        self._place = 0


class _Unclosed:
    """A file that stays open when the stream over it is dropped."""

    closed = False

    def __init__(self, file: BufferedReader) -> None:
        self.read = file.read

    def close(self) -> None:
        """Leave it open."""
