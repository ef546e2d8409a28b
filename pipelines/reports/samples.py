"""The section on samples: of each slice rows drawn by hash, and the one that measures worst."""

from collections.abc import Sequence

from pipelines.evaluation.sampling import ranked
from pipelines.reports.gathering import slice_of
from pipelines.reports.markup import Markup, joined, tag
from pipelines.reports.material import Material, short
from pipelines.reports.scores import LIKELIHOOD, measures
from pipelines.rows import Row

DRAWN = 2
"""Rows of each slice that are drawn."""

MOST_SLICES = 8
"""Slices that samples are shown of."""


def samples(material: Material) -> Markup:
    """Rows of each value of the first slice; of all rows where there is none."""
    rows = material.found.shown
    if not rows:
        return tag("p", "No row was accepted.", class_="note")
    by = material.layout.score if _has(rows, material.layout.score) else LIKELIHOOD
    by = by if _has(rows, by) else ""
    column = material.slices[0] if material.slices else ""
    drawn = "Drawn by hash" + (f", and the row with the lowest {by}." if by else ".")
    names = (
        [value for value, _ in material.found.values[column].most_common(MOST_SLICES)]
        if column
        else [""]
    )
    parts = [_slice(material, _of(rows, column, name), column, name, by) for name in names]
    return joined([tag("p", drawn, class_="note"), *parts])


def _has(rows: Sequence[Row], measure: str) -> bool:
    return bool(measure) and any(measure in measures(row) for row in rows)


def _of(rows: Sequence[Row], column: str, value: str) -> list[Row]:
    if not column:
        return list(rows)
    return [row for row in rows if column in row.data and slice_of(row.data[column]) == value]


def _slice(material: Material, rows: list[Row], column: str, value: str, by: str) -> Markup:
    scored = [(measures(row)[by], row) for row in rows if by in measures(row)] if by else []
    worst = min(scored, key=lambda pair: (pair[0], pair[1].order), default=None)
    chosen = [rows[place] for place in ranked([row.id for row in rows], 0)]
    chosen = [row for row in chosen if worst is None or row.id != worst[1].id][:DRAWN]
    cards = [_card(material, row, "") for row in chosen]
    if worst is not None:
        cards.append(_card(material, worst[1], f"lowest {by}: {worst[0]:g}"))
    title = tag("h3", f"{column}: {value or '(empty)'}") if column else Markup()
    return joined([title, tag("div", cards, class_="cards")])


def _card(material: Material, row: Row, note: str) -> Markup:
    texts = [
        joined(
            [
                tag("p", name, class_="column"),
                tag("p", short(str(row.data[name]), 320), dir="auto", class_="text"),
            ]
        )
        for name in material.layout.leads
        if row.data.get(name) is not None
    ]
    foot = tag(
        "p",
        tag("span", note, class_="worst"),
        " ",
        material.link(row.id, "open row"),
        class_="note",
    )
    return tag("article", texts, foot, class_="card low" if note else "card")
