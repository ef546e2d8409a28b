"""Plain text and its markup: read as it stands, so that offsets are those of the file."""

from chains.loading.base import Format, Reading
from chains.loading.encodings import decode


def read_text(data: bytes) -> Reading:
    """The text of a file, whatever its encoding.

    Raises:
        Unreadable: `binary` or `undecodable`.
    """
    return Reading(decode(data))


TEXT = Format("text", (".markdown", ".md", ".rst", ".text", ".txt"), read_text)
