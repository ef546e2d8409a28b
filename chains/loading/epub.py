r"""EPUB: the chapters of a book in the order they are read.

reading = read_epub(data, Limits())
reading.parts[4]        # Part(start=81240, end=101533, kind="chapter", label="Down the Hole")
"""

import re
from typing import Any
from urllib.parse import unquote

from chains.loading.archive import Archive, local, resolved
from chains.loading.base import Fault, Format, Limits, Reading, Unreadable
from chains.loading.declarations import decode_markup
from chains.loading.html import shown_text
from chains.loading.joining import joined
from chains.loading.office import described

_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_PAGES = frozenset({"application/xhtml+xml", "text/html"})


def read_epub(data: bytes, limits: Limits) -> Reading:
    """The text of all chapters; each is labelled by its first heading, else by its number.

    Raises:
        Unreadable: As `Archive`; `empty` where they hold no text.
    """
    archive = Archive(data, limits)
    if "META-INF/encryption.xml" in archive.names and _locked(archive):
        raise Unreadable("encrypted", "the book is protected against copying")
    package = _package(archive)
    root = archive.xml(package)
    chapters = _spine(root, package)
    texts: list[tuple[str, str]] = []
    faults: list[Fault] = []
    for number, name in enumerate(chapters[: limits.pages], start=1):
        try:
            text = shown_text(decode_markup(archive.read(name))[0])
        except Unreadable as bad:
            faults.append(Fault(f"chapter {number}", bad.reason, bad.detail))
            continue
        heading = _HEADING.search(text)
        texts.append((heading.group(1) if heading else str(number), text))
    if len(chapters) > limits.pages:
        detail = f"{len(chapters)} chapters, the first {limits.pages} are read"
        faults.append(Fault(f"chapter {limits.pages + 1}", "too_many_pages", detail))
    text, parts = joined(texts, "chapter")
    if not text:
        reason = faults[0].reason if faults else "empty"
        raise Unreadable(reason, f"no text in {len(chapters)} chapters")
    return Reading(text, parts, {**_metadata(root), "page_count": len(chapters)}, tuple(faults))


def _locked(archive: Archive) -> bool:
    """Whether more than fonts is encrypted."""
    root = archive.xml("META-INF/encryption.xml")
    uris = [e.get("URI", "") for e in root.iter() if local(e) == "CipherReference"]
    return any(not uri.lower().endswith((".otf", ".ttf", ".woff", ".woff2")) for uri in uris)


def _package(archive: Archive) -> str:
    for element in archive.xml("META-INF/container.xml").iter():
        if local(element) == "rootfile" and element.get("full-path"):
            return str(element.get("full-path"))
    raise Unreadable("malformed", "its container names no book")


def _spine(root: Any, package: str) -> list[str]:
    """The members that hold the chapters, in order."""
    folder = package.rpartition("/")[0]
    items = {
        element.get("id"): resolved(unquote(element.get("href", "")), folder)
        for element in root.iter()
        if local(element) == "item" and element.get("media-type") in _PAGES
    }
    ids = [element.get("idref") for element in root.iter() if local(element) == "itemref"]
    return [items[identity] for identity in ids if identity in items]


def _metadata(root: Any) -> dict[str, Any]:
    found = next((element for element in root if local(element) == "metadata"), ())
    said = described(found)
    tongue = [e.text for e in found if local(e) == "language" and e.text]
    return {**said, "language": tongue[0].strip()} if tongue else said


EPUB = Format("epub", (".epub",), read_epub, binary=True)
