r"""Word: paragraphs, headings, lists, tables, text boxes and notes, in the order they are read.

    read_docx(data, Limits()).text
    # "# Handbook\n\nRead this first.\n\n- Badge\n- Key\n\nDay | Hours\nMonday | 8"

Deleted and moved-away text, comments, page headers and footers are left out. Word settles where
pages end when it shows a file, so there are no parts.
"""

from collections.abc import Iterator
from typing import Any

from chains.loading.archive import Archive, local
from chains.loading.base import Format, Limits, Reading, Unreadable
from chains.loading.joining import whole_characters
from chains.loading.office import core_properties, main_part, table_lines

_LEFT_OUT = frozenset({"del", "moveFrom", "Fallback", "pPr", "rPr", "instrText", "delText"})
_SPACES = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "\u2011"}
_WRAPPERS = frozenset({"sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag", "body"})


def read_docx(data: bytes, limits: Limits) -> Reading:
    """The text of a Word document.

    Raises:
        Unreadable: As `Archive`; `empty` where it holds no text.
    """
    archive = Archive(data, limits)
    main = main_part(archive, "word/document.xml")
    root = archive.xml(main)
    relations = archive.relations(main).values()
    levels = _levels(archive, [name for kind, name in relations if kind == "styles"])
    blocks = list(_blocks(root, levels))
    for kind, name in sorted(relations):
        if kind in {"footnotes", "endnotes"} and name in archive.names:
            blocks += _blocks(archive.xml(name), levels)
    text = whole_characters(_together(blocks))
    if not text:
        raise Unreadable("empty", "no text in the document")
    return Reading(text, metadata=core_properties(archive))


Block = tuple[str, str]
"""What it is, `item` or another kind, and its text."""


def _together(blocks: list[Block]) -> str:
    """The blocks with an empty line between them, but none between the items of a list."""
    text, before = "", ""
    for kind, block in blocks:
        between = "\n" if kind == before == "item" else "\n\n"
        text += f"{between}{block}" if text else block
        before = kind
    return text


def _blocks(element: Any, levels: dict[str, int]) -> Iterator[Block]:
    for child in element:
        name = local(child)
        if name == "p":
            yield from _paragraph(child, levels)
        elif name == "tbl":
            yield from _table(child, levels)
        elif name in _WRAPPERS or name in {"footnote", "endnote"}:
            yield from _blocks(child, levels)


def _paragraph(element: Any, levels: dict[str, int]) -> Iterator[Block]:
    pieces: list[str] = []
    boxes: list[Any] = []
    _gather(element, pieces, boxes)
    text = "".join(pieces).strip()
    if text:
        style, listed = _properties(element)
        level = levels.get(style, 0)
        if level:
            yield "heading", "#" * level + " " + " ".join(text.split())
        else:
            yield ("item", f"- {text}") if listed else ("paragraph", text)
    for box in boxes:
        yield from _blocks(box, levels)


def _gather(element: Any, pieces: list[str], boxes: list[Any]) -> None:
    """Collect the text of a paragraph, and the text boxes that hang on it."""
    for child in element:
        name = local(child)
        if name == "t":
            pieces.append(child.text or "")
        elif name in _SPACES:
            pieces.append(_SPACES[name])
        elif name == "txbxContent":
            boxes.append(child)
        elif name not in _LEFT_OUT:
            _gather(child, pieces, boxes)


def _table(element: Any, levels: dict[str, int]) -> Iterator[Block]:
    rows = []
    for row in _below(element, "tr"):
        cells = []
        for cell in _below(row, "tc"):
            cells.append(" ".join(" ".join(text.split()) for _, text in _blocks(cell, levels)))
        rows.append(cells)
    lines = table_lines(rows)
    if lines:
        yield "table", lines


def _below(element: Any, name: str) -> Iterator[Any]:
    """Children of that name, those in wrappers too."""
    for child in element:
        if local(child) == name:
            yield child
        elif local(child) in _WRAPPERS:
            yield from _below(child, name)


def _properties(paragraph: Any) -> tuple[str, bool]:
    """The id of a paragraph's style, and whether it is an item of a list."""
    style, listed = "", False
    for properties in paragraph:
        if local(properties) != "pPr":
            continue
        for child in properties:
            listed = listed or local(child) == "numPr"
            if local(child) == "pStyle":
                style = next((v for k, v in child.attrib.items() if local(k) == "val"), "")
    return style, listed


def _levels(archive: Archive, files: list[str]) -> dict[str, int]:
    """Style id -> level of heading; ids are translated, their names are not."""
    levels = {"Title": 1}
    for file in files:
        for style in archive.xml(file) if file in archive.names else ():
            if local(style) != "style":
                continue
            identity = next((v for k, v in style.attrib.items() if local(k) == "styleId"), "")
            name = _style_name(style)
            if name == "title":
                levels[identity] = 1
            elif name.startswith("heading ") and name[8:].isdigit():
                levels[identity] = min(max(int(name[8:]), 1), 6)
    return levels


def _style_name(style: Any) -> str:
    for child in style:
        if local(child) == "name":
            return next((v for k, v in child.attrib.items() if local(k) == "val"), "").lower()
    return ""


DOCX = Format("docx", (".docx",), read_docx, binary=True)
