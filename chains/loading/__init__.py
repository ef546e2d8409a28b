"""Loading: files of many formats become text that knows its pages. One file a format, listed here.

reading = read_bytes(Path("leave.md").read_bytes(), "leave.md")
reading.text, reading.parts, reading.metadata

The LangChain face is imported by its module.
"""

from pathlib import PurePath

from chains.loading.base import Fault, Format, Limits, Part, Reading, Unreadable
from chains.loading.docx import DOCX
from chains.loading.eml import EML
from chains.loading.epub import EPUB
from chains.loading.html import HTML
from chains.loading.msg import MSG
from chains.loading.odt import ODT
from chains.loading.pdf import PDF
from chains.loading.pptx import PPTX
from chains.loading.rtf import RTF
from chains.loading.text import TEXT
from chains.loading.xlsx import XLSX
from chains.loading.xml import XML

FORMATS = (
    TEXT,
    HTML,
    PDF,
    DOCX,
    PPTX,
    XLSX,
    ODT,
    RTF,
    EPUB,
    EML,
    MSG,
    XML,
)

SUFFIXES = {suffix: found for found in FORMATS for suffix in found.suffixes}
"""Ending -> format."""

USUAL = Limits()

__all__ = [
    "FORMATS",
    "SUFFIXES",
    "Fault",
    "Format",
    "Limits",
    "Part",
    "Reading",
    "Unreadable",
    "read_bytes",
]


def read_bytes(data: bytes, name: str, limits: Limits = USUAL) -> Reading:
    """The document that `data` holds, read as the ending of `name` says.

    Raises:
        Unreadable: With the format's reasons; `unsupported_type` for an ending that none has.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise Unreadable("unsupported_type", f"'{suffix}'; read are {', '.join(sorted(SUFFIXES))}")
    return SUFFIXES[suffix].read(data, limits)
