"""The section on stages: what went in, came out and was rejected, why, and examples of it."""

from typing import Any

from pipelines.reports.charts import bar
from pipelines.reports.gathering import Refused
from pipelines.reports.markup import Markup, joined, tag
from pipelines.reports.material import Material, short
from pipelines.rows import canonical

EXAMPLES = 3
"""Examples of each reason."""


def funnel(material: Material) -> Markup:
    """A row for each stage, its reasons to be opened below it."""
    stages = material.manifest["stages"]
    whole = max((_reached(entry) for entry in stages), default=0)
    examples: dict[tuple[str, str], list[Refused]] = {}
    for item in material.found.refused:
        kept = examples.setdefault(item.verdict, [])
        if len(kept) < EXAMPLES:
            kept.append(item)
    key = tag(
        "p",
        tag("span", class_="swatch kept"),
        " passed on ",
        tag("span", class_="swatch lost"),
        " rejected. For every stage, in + created = out + rejected. Open a reason for examples.",
        class_="note",
    )
    rows = [tag("li", _stage(material, entry, whole, examples)) for entry in stages]
    return joined([key, tag("ol", rows, class_="funnel", role="list")])


def _reached(entry: dict[str, Any]) -> int:
    return int(entry["in"] + entry["created"])


def _stage(
    material: Material,
    entry: dict[str, Any],
    whole: int,
    examples: dict[tuple[str, str], list[Refused]],
) -> list[Markup]:
    name, kind, rejected = entry["stage"], entry["kind"], sum(entry["rejected"].values())
    said = f"{entry['in']:,} in"
    said += f", {entry['created']:,} created" if entry["created"] else ""
    numbers = [tag("b", f"{entry['out']:,}"), tag("span", said, class_="note")]
    title = [tag("span", name, class_="name")]
    if kind not in (name, name.partition(":")[0]):
        title.append(tag("span", kind, class_="kind"))
    drawn = bar(
        [("kept", entry["out"]), ("lost", rejected)],
        whole,
        f"{name}: {said}, {entry['out']:,} passed on, {rejected:,} rejected",
    )
    reasons = [
        _reason(material, reason, count, examples.get((name, reason), []))
        for reason, count in sorted(entry["rejected"].items(), key=lambda item: -item[1])
    ]
    return [
        tag("div", title, class_="stage"),
        tag("div", drawn, class_="track"),
        tag("div", numbers, class_="count"),
        tag("div", reasons, class_="reasons") if reasons else Markup(),
    ]


def _reason(material: Material, reason: str, count: int, examples: list[Refused]) -> Markup:
    head = tag("summary", tag("span", reason, class_="name"), " ", tag("b", f"{count:,}"))
    shown = [tag("li", _example(material, item)) for item in examples]
    return tag("details", head, tag("ul", shown, class_="examples", role="list"))


def _example(material: Material, item: Refused) -> list[Markup]:
    leads = [str(item.row.data[n]) for n in material.layout.leads if item.row.data.get(n)]
    texts = leads or [str(value) for value in item.row.data.values()][:1]
    evidence = ", ".join(f"{key}: {short(_plain(v), 120)}" for key, v in item.detail.items())
    return [
        *(tag("p", short(text), dir="auto", class_="text") for text in texts),
        tag(
            "p",
            tag("span", evidence) if evidence else Markup(),
            " " if evidence else Markup(),
            material.link(item.row.id, "open row"),
            class_="note",
        ),
    ]


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value)
