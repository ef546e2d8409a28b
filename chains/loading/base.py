"""What a format is: the bytes of a file in, text that knows its pages out.

    reading = read_bytes(data, "report.pdf")
    page = reading.parts[2]
    reading.text[page.start : page.end]                 # what stands on page 3

A new format is one file beside this one with a `Format`, and one line in the catalogue. Nothing
heavy is imported here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from prompts.errors import shorten

LONGEST_DETAIL = 500  # characters


class Unreadable(Exception):
    """Raised where a file, or a record of it, cannot become text or a row.

    Attributes:
        reason: A short name to count by: `not_utf8`, `empty`, `encrypted`, `scanned`.
        detail: What was found, in words; of a longer text, which may quote the file, the beginning.
    """

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = shorten(detail, LONGEST_DETAIL)
        super().__init__(f"{reason}: {self.detail}")


@dataclass(frozen=True, slots=True)
class Part:
    """A page, slide, sheet, chapter or message: characters `start` to `end` of its document.

    Attributes:
        start: Its first character.
        end: The one behind its last.
        kind: What it is: `page`, `slide`, `sheet`, `chapter`, `message`.
        label: Its number or name there, such as "3" or "Sales 2024".
    """

    start: int
    end: int
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A part of a document that gave no text, such as a scanned page.

    Attributes:
        place: Which part: "page 4".
        reason: As of `Unreadable`.
        detail: What was found, in words.
    """

    place: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A document as it was read.

    Attributes:
        text: Its text; all offsets count its characters.
        parts: Its parts in order, none overlapping; empty where the format has none.
        metadata: What the file says of itself, plain JSON values: `title`, `author`, `date`.
        faults: Parts that gave no text.
    """

    text: str
    parts: tuple[Part, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one file may take of time, memory and pages.

    Attributes:
        seconds: Of wall clock, and as many of a processor.
        memory: Bytes of address space of the process that reads it.
        pages: Pages, slides, sheets or chapters; those behind them are faults.
        unpacked: Bytes that the members of an archive, such as a .docx, may come to.
        members: Members that an archive may have.
    """

    seconds: float = 60.0
    memory: int = 2 << 30
    pages: int = 5000
    unpacked: int = 512 << 20
    members: int = 20_000


@dataclass(frozen=True, slots=True)
class Format:
    """How files with certain endings are read.

    Attributes:
        name: What rows and messages call it: `text`, `pdf`.
        suffixes: The endings, lower case with their dot.
        read: Takes the bytes of a file to its text, within limits; raises Unreadable.
        binary: Whether it is parsed by code that the file might trick, so that it is read in a
            process of its own with limits on time and memory.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[bytes, Limits], Reading]
    binary: bool = False
