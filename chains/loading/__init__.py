"""Loading: files of many formats become text that knows its pages. One file a format, listed here.

reading = read_bytes(Path("leave.md").read_bytes(), "leave.md")
reading.text, reading.parts, reading.metadata

The LangChain face is imported by its module.
"""

from pathlib import PurePath

from chains.loading.base import Fault, Format, Part, Reading, Unreadable
from chains.loading.text import TEXT

FORMATS = (TEXT,)

SUFFIXES = {suffix: found for found in FORMATS for suffix in found.suffixes}
"""Ending -> format."""

__all__ = ["FORMATS", "SUFFIXES", "Fault", "Format", "Part", "Reading", "Unreadable", "read_bytes"]


def read_bytes(data: bytes, name: str) -> Reading:
    """The document that `data` holds, read as the ending of `name` says.

    Raises:
        Unreadable: With the format's reasons; `unsupported_type` for an ending that none has.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise Unreadable("unsupported_type", f"'{suffix}'; read are {', '.join(sorted(SUFFIXES))}")
    return SUFFIXES[suffix].read(data)
