"""The sections on likeness: the map of the texts, and groups that are nearly alike."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pipelines.evaluation.sampling import places
from pipelines.exporters.near import LIKE
from pipelines.exporters.profile import SAMPLE
from pipelines.reports.charts import SHAPES, points, shape
from pipelines.reports.gathering import slice_of
from pipelines.reports.likeness import alike
from pipelines.reports.markup import Markup, joined, tag
from pipelines.reports.material import Material, percent, short
from pipelines.reports.projection import neighbourhoods, of_words, project, stored
from pipelines.rows import Row

MOST_POINTS = 1_500
"""Texts on the map."""

MOST_GROUPS = 8
"""Groups of nearly alike rows that are shown."""

_MEMBERS = 6  # rows of a group that are shown
_FEWEST = 3  # points of a map


def duplicates(material: Material) -> Markup:
    """The largest groups of rows that are nearly alike."""
    column = material.layout.leads[0] if material.layout.leads else ""
    shown = material.found.shown
    drawn = [shown[place] for place in places([row.id for row in shown], SAMPLE)]
    rows = {row.id: row for row in drawn}
    groups = alike(drawn, column)
    spare = sum(len(group) - 1 for group in groups)
    said = f"Rows whose '{column}' is like another's (Jaccard of character 5-grams >= {LIKE:g}): "
    if not groups:
        return tag("p", f"{said}none among {len(rows):,}.", class_="note")
    number = f"{len(groups):,} groups" if len(groups) > 1 else "1 group"
    note = (
        f"{said}{number} among {len(rows):,}; {percent(spare / len(rows))} of the rows would go if "
        "one of each stayed."
    )
    largest = [
        tag("li", _group(material, [rows[row_id] for row_id in group], column))
        for group in groups[:MOST_GROUPS]
    ]
    return joined([tag("p", note, class_="note"), tag("ol", largest, class_="groups", role="list")])


def _group(material: Material, rows: Sequence[Row], column: str) -> list[Markup]:
    families = len({row.family for row in rows})
    origin = "one source row" if families == 1 else f"{families:,} source rows"
    items = [
        tag("li", short(str(row.data[column]), 160), " ", material.link(row.id, "open"), dir="auto")
        for row in rows[:_MEMBERS]
    ]
    more = len(rows) - len(items)
    return [
        tag("p", tag("b", f"{len(rows):,} rows"), f" from {origin}"),
        tag("ul", items, role="list"),
        tag("p", f"and {more:,} more", class_="note") if more else Markup(),
    ]


Way = Literal["pca", "umap"]
"""How vectors become points: by principal components, or by UMAP."""


def text_map(material: Material, ledger: Path, way: Way = "pca") -> Markup:
    """The texts as points, coloured by the first slice.

    Raises:
        UsageError: UMAP is asked for and not installed.
    """
    rows = material.found.shown
    rows = [rows[place] for place in places([row.id for row in rows], MOST_POINTS)]
    vectors, held, origin = _vectors(material, rows, ledger)
    if len(held) < _FEWEST:
        return tag("p", "There are too few texts for a map.", class_="note")
    where, said = _placed(vectors, way)
    column = material.slices[0] if material.slices else ""
    values, groups = _groups(held, column)
    drawn = points(
        [(float(x), float(y)) for x, y in where],
        groups,
        [material.packed.places.get(row.id, -1) for row in held],
        f"Map of {len(held):,} texts by {origin}",
    )
    note = f"{len(held):,} texts by {origin}: {said}. A click opens the row."
    return joined(
        [
            tag("p", note, class_="note"),
            _legend(column, values, groups) if column else Markup(),
            tag("div", drawn, class_="plot"),
            tag("p", "Point at a text to read it.", class_="caption", id="caption"),
        ]
    )


def _placed(vectors: Any, way: Way) -> tuple[Any, str]:
    """Points in 0 to 1, and what their places mean."""
    if way == "umap":
        said = "UMAP, which keeps neighbours together, so that near is alike and distances between"
        return neighbourhoods(vectors), f"{said} groups, and their sizes, mean nothing"
    where, kept = project(vectors)
    said = f"principal components that keep {percent(kept)} of the variance"
    return where, f"{said}, so that near is alike and far may be anything"


def _vectors(material: Material, rows: Sequence[Row], ledger: Path) -> tuple[Any, list[Row], str]:
    """Vectors, the rows that have one, and what they are of."""
    known = (material.manifest.get("embedder") or {}).get("fingerprint", "")
    for column in (*material.layout.leads, *material.layout.columns):
        held = [row for row in rows if isinstance(row.data.get(column), str)]
        if known and held and column in material.found.figures:
            found = stored([row.data[column] for row in held], known, ledger)
            if found is not None:
                return found, held, f"the meaning of '{column}' (stored vectors)"
    leads = material.layout.leads
    held = [row for row in rows if any(isinstance(row.data.get(name), str) for name in leads)]
    texts = [" ".join(str(row.data.get(name, "")) for name in leads) for row in held]
    names = " and ".join(f"'{name}'" for name in leads)
    return of_words(texts), held, f"the words of {names}"


def _groups(rows: Sequence[Row], column: str) -> tuple[list[str], list[int]]:
    """Values of a slice, the most frequent first, and the place of each row among them."""
    own = [slice_of(row.data.get(column)) or "" for row in rows]
    ranked = sorted(set(own), key=lambda value: (-own.count(value), value))
    if len(ranked) > SHAPES:
        ranked = [*ranked[: SHAPES - 1], "others"]
    at = {value: place for place, value in enumerate(ranked)}
    return ranked, [at.get(value, len(ranked) - 1) for value in own]


def _legend(column: str, values: Sequence[str], groups: Sequence[int]) -> Markup:
    buttons = [
        tag(
            "button",
            shape(place),
            f" {value or '(empty)'} ",
            tag("span", f"{groups.count(place):,}", class_="note"),
            type="button",
            data_group=place,
            aria_pressed="false",
        )
        for place, value in enumerate(values)
    ]
    return tag(
        "div", tag("span", column, class_="name"), buttons, class_="legend", role="group",
        aria_label=f"Show one value of '{column}'",
    )  # fmt: skip
