"""Documents that cannot be read: alone they end a run, among others each is one rejected row."""

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mistakes.cases import JOB, Case, write
from tests.made_files import docx, pdf, zipped

JOB_OF_DOCUMENTS = JOB.replace("topic", "context").replace(
    "{kind: records, path: seeds.jsonl}", "{kind: documents, path: docs}"
)
Make = Callable[[Path], object]


@dataclass(frozen=True)
class BadDocument:
    """A file in the folder `docs`.

    Attributes:
        name: Of the file.
        make: Its bytes, or what makes it.
        reason: The reason of its rejection.
        detail: What the error says of it; "..." stands for anything.
    """

    name: str
    make: bytes | Make
    reason: str
    detail: str

    def put(self, folder: Path) -> None:
        path = folder / "docs" / self.name
        path.parent.mkdir(exist_ok=True)
        if isinstance(self.make, bytes):
            path.write_bytes(self.make)
        else:
            self.make(path)


def _sparse(path: Path) -> None:
    """Five billion bytes in one line that take no room on the disk."""
    path.touch()
    os.truncate(path, 5_000_000_000)


def _shut(path: Path) -> None:
    path.write_text("secret")
    path.chmod(0)


_ENTITIES = b'<!DOCTYPE d [<!ENTITY a SYSTEM "file:///etc/passwd">]><d>&a;</d>'
_BOMB = {"word/document.xml": b"<d>" + b" " * 40_000_000 + b"</d>"}

BAD_DOCUMENTS = {
    "no bytes": BadDocument("a.txt", b"", "empty", "no bytes"),
    "scanned PDF": BadDocument("a.pdf", pdf(None, None), "scanned", "...'.[ocr]'..."),
    "encrypted PDF": BadDocument("a.pdf", pdf("x", password="y"), "encrypted", "..."),
    "truncated PDF": BadDocument("a.pdf", pdf("One.")[:300], "truncated", "..."),
    "truncated archive": BadDocument("a.docx", docx("Text.")[:-200], "truncated", "..."),
    "zip bomb": BadDocument("a.docx", zipped(_BOMB), "zip_bomb", "..."),
    "member that climbs": BadDocument(
        "a.docx", zipped({"../../evil": b"x", "word/document.xml": b"<d/>"}), "unsafe_member", "..."
    ),
    "entities": BadDocument("a.xml", _ENTITIES, "xml_entities", "..."),
    "binary named .txt": BadDocument("a.txt", b"%PDF-1.4\n...", "binary", "begins like a PDF file"),
    "line of 5 GB": BadDocument("a.txt", _sparse, "too_large", "5000000000 bytes..."),
    "loop of links": BadDocument("a.txt", lambda p: p.symlink_to(p.name), "symlink_loop", "..."),
    "link to a device": BadDocument(
        "a.txt", lambda p: p.symlink_to("/dev/zero"), "outside_folder", "..."
    ),
    "FIFO": BadDocument("a.txt", lambda p: os.mkfifo(p), "not_a_file", "a FIFO..."),
    "unreadable": BadDocument("a.txt", _shut, "permission_denied", "..."),
}


@contextmanager
def rights_of_others() -> Iterator[None]:
    """The superuser may read and write all; meanwhile this thread may not."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # the version with 64 bits; this thread
    held = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, held) == 0
    fewer = (ctypes.c_uint32 * 6)(*held)
    fewer[0] &= ~0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
    assert libc.capset(header, fewer) == 0
    try:
        yield
    finally:
        assert libc.capset(header, held) == 0


def _case(bad: BadDocument) -> Case:
    @contextmanager
    def world(case: Case, folder: Path) -> Iterator[str]:
        write(folder, case.all_files())
        bad.put(folder)
        with rights_of_others():
            yield ""

    line = f"job.yaml:11: sources.0: nothing in 'docs' can be read (1 {bad.reason}); "
    line += f"first '{bad.name}': {bad.detail}; fix: mend that, or give another path"
    return Case(line, job=JOB_OF_DOCUMENTS, code=3, world=world)


DOCUMENTS = {name: _case(bad) for name, bad in BAD_DOCUMENTS.items()}
