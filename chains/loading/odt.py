r"""OpenDocument text: headings, paragraphs, lists and tables.

read_odt(data, Limits()).text       # "# Handbook\n\nRead this first.\n\n- Badge\n- Key"
"""

from collections.abc import Iterator
from typing import Any

from chains.loading.archive import Archive, local
from chains.loading.base import Format, Limits, Reading, Unreadable
from chains.loading.joining import whole_characters
from chains.loading.office import described, table_lines

_LEFT_OUT = frozenset({"annotation", "tracked-changes", "sequence-decls", "forms", "note-citation"})


def read_odt(data: bytes, limits: Limits) -> Reading:
    """The text of an OpenDocument text.

    Raises:
        Unreadable: As `Archive`; `empty` where it holds no text.
    """
    archive = Archive(data, limits)
    if "META-INF/manifest.xml" in archive.names and b"encryption-data" in archive.read(
        "META-INF/manifest.xml"
    ):
        raise Unreadable("encrypted", "it needs a password; save a copy without one")
    root = archive.xml("content.xml")
    body = next((element for element in root.iter() if local(element) == "text"), None)
    blocks = [] if body is None else list(_blocks(body))
    text = whole_characters("\n\n".join(blocks)).strip()
    if not text:
        raise Unreadable("empty", "no text in the document")
    return Reading(text, metadata=_metadata(archive))


def _metadata(archive: Archive) -> dict[str, Any]:
    if "meta.xml" not in archive.names:
        return {}
    root = archive.xml("meta.xml")
    return described(next((child for child in root if local(child) == "meta"), ()))


def _blocks(element: Any) -> Iterator[str]:
    for child in element:
        name = local(child)
        if name == "h":
            level = next((v for k, v in child.attrib.items() if local(k) == "outline-level"), "1")
            if text := " ".join(_inline(child).split()):
                yield "#" * (min(int(level), 6) if level.isdigit() else 1) + " " + text
        elif name == "p":
            if text := _inline(child).strip():
                yield text
        elif name in {"list", "table"}:
            lines = "\n".join(_items(child)) if name == "list" else table_lines(_rows(child))
            if lines:
                yield lines
        elif name not in _LEFT_OUT:
            yield from _blocks(child)


def _items(element: Any) -> Iterator[str]:
    for item in element:
        for child in item:
            if local(child) == "list":
                yield from _items(child)
            elif text := _inline(child).strip():
                yield f"- {text}"


def _rows(table: Any) -> Iterator[list[str]]:
    for row in table.iter():
        if local(row) == "table-row":
            yield [" ".join(_blocks(cell)) for cell in row if local(cell) == "table-cell"]


def _inline(element: Any) -> str:
    """The text of a paragraph, its tabs and line breaks, and the notes that hang on it."""
    pieces = [element.text or ""]
    for child in element:
        name = local(child)
        if name == "s":
            pieces.append(" ")
        elif name == "tab":
            pieces.append("\t")
        elif name == "line-break":
            pieces.append("\n")
        elif name == "note":
            pieces.append(f" ({' '.join(_inline(child).split())})")
        elif name not in _LEFT_OUT:
            pieces.append(_inline(child))
        pieces.append(child.tail or "")
    return "".join(pieces)


ODT = Format("odt", (".odt",), read_odt, binary=True)
