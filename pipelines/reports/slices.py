"""The section on slices: how many rows each value of a column has, beside how many were wanted."""

from collections.abc import Mapping
from typing import Any

from pipelines.reports.charts import bar
from pipelines.reports.gathering import Gathered, slice_of
from pipelines.reports.layout import Layout
from pipelines.reports.markup import Markup, tag
from pipelines.reports.material import Material, percent

MOST = 6
"""Columns that are shown."""


def telling(found: Gathered, layout: Layout, job: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that divide the rows: the label, what sources draw, then those of few values."""
    drawn = [name for source in job["sources"] for name in source.get("attributes", {})]
    first = [name for name in (layout.label, *drawn) if name in found.values]
    rest = sorted(set(found.values) - set(first), key=lambda name: (len(found.values[name]), name))
    kept = [name for name in rest if not all(_is_number(value) for value in found.values[name])]
    return tuple(dict.fromkeys([*first, *kept]))[:MOST]


def slices(material: Material) -> Markup:
    """A list of bars for each column, and the cells of stages that balance."""
    parts = [_column(material, name) for name in material.slices]
    reports: Mapping[str, Any] = material.manifest.get("reports", {})
    parts += [_cells(name, said["cells"]) for name, said in reports.items() if said.get("cells")]
    if not parts:
        return tag("p", "No column divides the rows into slices.", class_="note")
    return tag("div", parts, class_="columns")


def _column(material: Material, name: str) -> Markup:
    counts = dict(material.found.values[name].most_common())
    wanted = _wanted(material.job, name)
    for value in wanted:
        counts.setdefault(value, 0)
    rows = sum(counts.values())
    most = max([*counts.values(), *(share * rows for share in wanted.values())])
    lines = []
    for value, count in counts.items():
        share = wanted.get(value)
        said = f"{count:,}, {percent(count / rows)}"
        if share is not None:
            said += f", {percent(share)} drawn"
        drawn = bar([("kept", count)], most, f"{value}: {said}", _of(share, rows))
        lines.append(_line(value, drawn, f"{count:,}", percent(count / rows)))
    note = "The line marks the share that the source draws." if wanted else None
    title = f"{name} (label)" if name == material.layout.label and name != "label" else name
    return _figure(title, lines, note)


def _cells(stage: str, cells: list[dict[str, Any]]) -> Markup:
    most = max(max(cell["wanted"], cell["rows"]) for cell in cells)
    lines = []
    for cell in cells:
        said = f"{cell['rows']:,} of {cell['wanted']:,}"
        drawn = bar([("kept", cell["rows"])], most, f"{cell['cell']}: {said}", cell["wanted"])
        missing = cell["wanted"] - cell["rows"]
        lines.append(_line(cell["cell"], drawn, said, f"{missing:,} short" if missing > 0 else ""))
    return _figure(f"Wanted by '{stage}'", lines, "The line marks the rows wanted.")


def _line(value: str, drawn: Markup, count: str, note: str) -> Markup:
    return tag(
        "li",
        tag("span", value or "(empty)", class_="name", dir="auto"),
        drawn,
        tag("span", tag("b", count), " ", tag("span", note, class_="note"), class_="count"),
    )


def _figure(title: str, lines: list[Markup], note: str | None) -> Markup:
    return tag(
        "div",
        tag("h3", title),
        tag("ul", lines, class_="bars", role="list"),
        tag("p", note, class_="note") if note else Markup(),
    )


def _wanted(job: Mapping[str, Any], name: str) -> dict[str, float]:
    """The share of each value that a single source draws; empty where that is not known."""
    drawn = [s["attributes"][name] for s in job["sources"] if name in s.get("attributes", {})]
    if len(drawn) != 1 or len(job["sources"]) != 1:
        return {}
    values = drawn[0]
    weights = (
        dict(values)
        if isinstance(values, Mapping)
        else dict.fromkeys(map(str, map(slice_of, values)), 1)
    )
    whole = sum(weights.values())
    return {value: weight / whole for value, weight in weights.items()}


def _of(share: float | None, rows: int) -> float | None:
    return None if share is None else share * rows


def _is_number(value: str) -> bool:
    return value.lstrip("-").isdigit()
