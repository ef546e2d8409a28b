"""What the sections of a report are made of.

A `Material` has the manifest and the job as they are in the run folder, what was gathered from the
rows, and how the rows were packed into the page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.reports.gathering import Gathered
from pipelines.reports.layout import Layout
from pipelines.reports.markup import Markup, tag
from pipelines.reports.packing import Packed
from pipelines.rows import JSON
from pipelines.timing import Timing


@dataclass(frozen=True, slots=True)
class Material:
    """A run, read and measured.

    Attributes:
        manifest: `manifest.json`, parsed.
        job: The resolved job as plain data.
        found: Counts and rows.
        layout: The order of columns.
        packed: The data of the page, and where in it each row is.
        slices: Columns that divide the rows, the most telling first.
        evaluation: `evaluation.json`, parsed; empty where there is none.
        timings: What each block took; empty where that is not known.
    """

    manifest: Mapping[str, Any]
    job: Mapping[str, Any]
    found: Gathered
    layout: Layout
    packed: Packed
    slices: tuple[str, ...]
    evaluation: Mapping[str, JSON]
    timings: tuple[Timing, ...] = ()

    def rejected(self, *, quota: bool = False) -> int:
        """Rejected rows, those over the quota only where asked for."""
        return sum(
            count
            for entry in self.manifest["stages"]
            for reason, count in entry["rejected"].items()
            if quota or reason != "over_quota"
        )

    def link(self, row_id: str, said: str) -> Markup:
        """A link that opens a row in the page's list; the text alone where the row is not there."""
        place = self.packed.places.get(row_id)
        if place is None:
            return tag("span", said)
        return tag("a", said, href="#rows", data_open=place)


def percent(share: float) -> str:
    """A share as `12.3 %`; what is not none is never shown as none."""
    if 0 < share < 0.0005:
        return "<0.1 %"
    return f"{100 * share:.1f} %"


def short(text: str, most: int = 200) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most else f"{line[: most - 1]}\u2026"


def table(head: tuple[str, ...], rows: list[tuple[Any, ...]], numbers: int = 1) -> Markup:
    """A table that scrolls on its own where the page is narrow.

    Args:
        head: Titles of the columns.
        rows: Cells.
        numbers: Columns from this place on are aligned to the right.
    """
    titles = [
        tag("th", name, scope="col", class_="number" if place >= numbers else None)
        for place, name in enumerate(head)
    ]
    lines = [
        tag(
            "tr",
            [
                tag("th", cell, scope="row")
                if place == 0
                else tag("td", cell, class_="number" if place >= numbers else None)
                for place, cell in enumerate(row)
            ],
        )
        for row in rows
    ]
    inside = tag("table", tag("thead", tag("tr", titles)), tag("tbody", lines))
    return tag("div", inside, class_="wide", tabindex=0, role="region", aria_label=head[0])
