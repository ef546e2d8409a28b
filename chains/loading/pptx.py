r"""PowerPoint: the text of each slide, its tables and its notes.

reading = read_pptx(data, Limits())
reading.parts[1]        # Part(start=57, end=212, kind="slide", label="2")
# "# Opening hours\n\nMonday to Friday\n\nNotes: say that Friday is short"
"""

from collections.abc import Iterator
from typing import Any

from chains.loading.archive import Archive, local
from chains.loading.base import Fault, Format, Limits, Reading, Unreadable
from chains.loading.joining import joined
from chains.loading.office import core_properties, main_part, table_lines

_TITLES = frozenset({"title", "ctrTitle"})
_NO_NOTES = frozenset({"sldNum", "dt", "ftr", "hdr", "sldImg"})
"""Placeholders that every page repeats."""


def read_pptx(data: bytes, limits: Limits) -> Reading:
    """The text of all slides, in the order they are shown.

    Raises:
        Unreadable: As `Archive`; `empty` where they hold no text.
    """
    archive = Archive(data, limits)
    slides = _slides(archive)
    texts: list[tuple[str, str]] = []
    faults: list[Fault] = []
    for number, name in enumerate(slides[: limits.pages], start=1):
        try:
            texts.append((str(number), _slide_text(archive, name)))
        except Unreadable as bad:
            faults.append(Fault(f"slide {number}", bad.reason, bad.detail))
    if len(slides) > limits.pages:
        detail = f"{len(slides)} slides, the first {limits.pages} are read"
        faults.append(Fault(f"slide {limits.pages + 1}", "too_many_pages", detail))
    text, parts = joined(texts, "slide")
    if not text:
        reason = faults[0].reason if faults else "empty"
        raise Unreadable(reason, f"no text on {len(slides)} slides")
    metadata = {**core_properties(archive), "page_count": len(slides)}
    return Reading(text, parts, metadata, tuple(faults))


def _slides(archive: Archive) -> list[str]:
    main = main_part(archive, "ppt/presentation.xml")
    relations = archive.relations(main)
    ids = [
        next((v for k, v in slide.attrib.items() if k.endswith("}id")), "")
        for slide in archive.xml(main).iter()
        if local(slide) == "sldId"
    ]
    return [relations[identity][1] for identity in ids if identity in relations]


def _slide_text(archive: Archive, name: str) -> str:
    blocks = list(_blocks(archive.xml(name)))
    for kind, notes in archive.relations(name).values():
        if kind == "notesSlide" and notes in archive.names:
            said = "\n".join(_blocks(archive.xml(notes)))
            blocks += [f"Notes: {said}"] if said else []
    return "\n\n".join(blocks)


def _blocks(element: Any) -> Iterator[str]:
    """The text of shapes, groups and tables, in the order of the file."""
    for child in element:
        name = local(child)
        if name == "sp":
            yield from _shape(child)
        elif name == "tbl":
            rows = [row for row in child if local(row) == "tr"]
            cells = [[_paragraphs(c) for c in row if local(c) == "tc"] for row in rows]
            if lines := table_lines(cells):
                yield lines
        elif name != "Fallback":
            yield from _blocks(child)


def _shape(element: Any) -> Iterator[str]:
    kind = next((p.get("type", "") for p in element.iter() if local(p) == "ph"), "")
    text = _paragraphs(element)
    if text and kind not in _NO_NOTES:
        yield "# " + " ".join(text.split()) if kind in _TITLES else text


def _paragraphs(element: Any) -> str:
    lines = [_line(paragraph) for paragraph in element.iter() if local(paragraph) == "p"]
    return "\n".join(line for line in lines if line)


def _line(paragraph: Any) -> str:
    pieces = []
    for element in paragraph.iter():
        if local(element) == "t":
            pieces.append(element.text or "")
        elif local(element) in {"br", "tab"}:
            pieces.append(" ")
    return "".join(pieces).strip()


PPTX = Format("pptx", (".pptx",), read_pptx, binary=True)
