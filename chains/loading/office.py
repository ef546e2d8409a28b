r"""What Office formats share: where the document lies in the archive, who wrote it, its tables.

table_lines([["Day", "Hours"], ["Monday", "8"], ["", ""]])      # "Day | Hours\nMonday | 8"
"""

from collections.abc import Iterable
from typing import Any

from chains.loading.archive import Archive, local
from chains.loading.base import Unreadable

_SAID = {"title": "title", "creator": "author", "created": "date", "date": "date"}


def main_part(archive: Archive, usual: str) -> str:
    """The member that holds the document.

    Raises:
        Unreadable: `malformed` where there is none.
    """
    named = [name for kind, name in archive.relations("").values() if kind == "officeDocument"]
    for name in [*named, usual]:
        if name in archive.names:
            return name
    raise Unreadable("malformed", f"the archive lacks '{usual}'")


def core_properties(archive: Archive) -> dict[str, Any]:
    """Title, author and date of creation, as far as the file has them."""
    name = "docProps/core.xml"
    return described(archive.xml(name)) if name in archive.names else {}


def described(element: Any) -> dict[str, Any]:
    """Title, author and date from Dublin Core elements; dates are cut to the day."""
    said: dict[str, Any] = {}
    for child in element:
        key = _SAID.get(local(child))
        text = " ".join("".join(child.itertext()).split())
        if key and text and key not in said:
            said[key] = text[:10] if key == "date" else text
    return said


def table_lines(rows: Iterable[Iterable[str]]) -> str:
    """A table, a row a line, without empty rows and empty cells at the end of a row."""
    lines = (" | ".join(" ".join(cell.split()) for cell in row).rstrip(" |") for row in rows)
    return "\n".join(line for line in lines if line)
