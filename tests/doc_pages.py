"""Pages of documentation, taken apart: sections, tables, fenced blocks, links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"

_HEADING = re.compile(r"(#+) (.+)")
_FENCE = re.compile(r"^(?:`([\w.]+)`:\n\n)?```(\w+)\n(.*?)^```$", re.M | re.S)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block; `name` is that of the file it shows, if the line before it says one."""

    language: str
    text: str
    name: str = ""


@dataclass(frozen=True)
class Section:
    """The text under one heading, up to the next one; `place` are the headings it stands under."""

    page: Path
    place: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.page.name} {' > '.join(self.place)}"

    def blocks(self) -> list[Block]:
        return [Block(found[2], found[3], found[1] or "") for found in _FENCE.finditer(self.text)]

    def table(self) -> list[dict[str, str]]:
        """The first table: one dict a row, by the header's words; empty where there is none."""
        lines = [line for line in prose(self.text).split("\n") if line.startswith("|")]
        cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
        return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]

    def column(self, name: str) -> list[str]:
        """The code in a column of the table, one entry a row."""
        return [uncoded(row[name]) for row in self.table()]


def pages() -> list[Path]:
    return sorted([*REPOSITORY.glob("*.md"), *DOCS.glob("*.md")])


def sections(page: Path) -> list[Section]:
    text = page.read_text(encoding="utf-8")
    found: list[Section] = []
    place: list[str] = []
    lines: list[str] = []
    fenced = False
    for line in [*text.split("\n"), "# end"]:
        heading = None if fenced else _HEADING.fullmatch(line)
        fenced ^= line.startswith("```")
        if heading is None:
            lines.append(line)
            continue
        found.append(Section(page, tuple(place), "\n".join(lines)))
        place = [*place[: len(heading[1]) - 1], heading[2]]
        lines = []
    return found[1:]


def section(page: str, *place: str) -> Section:
    """The section under these headings, below the page's title."""
    found = [s for s in sections(DOCS / page) if s.place[1:] == place]
    assert found, f"docs/{page} has no section {' > '.join(place)}"
    return found[0]


def prose(text: str) -> str:
    """`text` without its fenced blocks."""
    return _FENCE.sub("", text)


def links(page: Path) -> Iterator[str]:
    text = _CODE.sub("", prose(page.read_text(encoding="utf-8")))
    return (found[1] for found in _LINK.finditer(text))


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings."""
    titles = [part.place[-1].lower() for part in sections(page)]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


def codes(text: str) -> list[str]:
    """All code spans outside of fenced blocks."""
    return _CODE.findall(prose(text))


def uncoded(cell: str) -> str:
    """A cell without its backticks; an empty text as it is."""
    return cell[1:-1] if cell.startswith("`") and cell.endswith("`") else cell
