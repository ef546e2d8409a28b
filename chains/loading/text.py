"""Plain text and its markup: read as it stands, so that offsets are those of the file."""

from chains.loading.base import Format, Limits, Reading
from chains.loading.encodings import decode_named, detect


def read_text(data: bytes, limits: Limits) -> Reading:
    """The text of a file, whatever its encoding.

    Raises:
        Unreadable: `binary` or `undecodable`.
    """
    encoding = detect(data)
    return Reading(decode_named(data, encoding), metadata={"encoding": encoding})


TEXT = Format("text", (".markdown", ".md", ".org", ".rst", ".text", ".txt"), read_text)
