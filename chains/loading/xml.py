r"""XML: what stands between the tags, an element a line; DocBook, feeds, TEI and the like.

read_xml(b"<book><title>Leave</title><p>Ask <b>first</b>.</p></book>", Limits()).text
# "Leave\nAsk first."
"""

from typing import Any

from chains.loading.archive import parse_xml
from chains.loading.base import Format, Limits, Reading, Unreadable
from chains.loading.declarations import decode_markup
from chains.loading.joining import whole_characters


def read_xml(data: bytes, limits: Limits) -> Reading:
    """The text of an XML document; attributes and comments are left out.

    Raises:
        Unreadable: `binary`, `undecodable`, `empty`, `malformed` or `xml_entities`.
    """
    page, encoding = decode_markup(data)
    root = parse_xml(_undeclared(page), "the file", doctype=True)
    text = whole_characters("\n".join(_lines(root)))
    if not text:
        raise Unreadable("empty", "no text between its tags")
    return Reading(text, metadata={"encoding": encoding})


def _undeclared(page: str) -> str:
    """`page` without `<?xml ... ?>`, whose encoding is no longer that of the text."""
    page = page.lstrip("\ufeff \t\r\n")
    return page[page.index("?>") + 2 :] if page.startswith("<?xml") and "?>" in page else page


def _lines(element: Any) -> list[str]:
    """The text of an element: one line where it holds words beside its children, else one a child.

    An element deeper than the interpreter can follow raises RecursionError, which the caller takes
    for malformed.
    """
    children = list(element)
    mixed = any((child.tail or "").strip() for child in children)
    if mixed or (children and (element.text or "").strip()) or not children:
        line = " ".join("".join(element.itertext()).split())
        return [line] if line else []
    return [line for child in children for line in _lines(child)]


XML = Format("xml", (".xml",), read_xml, binary=True)
