"""The head of a report: what the run came to in one sentence and a few figures."""

from pipelines.reports.markup import Markup, joined, tag
from pipelines.reports.material import Material, percent

_STOPS = {
    "quota": "the rows asked for are there",
    "sources": "the sources are used up",
    "passes": "the sources were gone through as often as the job allows",
    "budget: calls": "the budget of calls is used up",
    "budget: minutes": "the budget of minutes is used up",
    "budget: seeds": "the budget of source rows is used up",
}


def head(material: Material) -> Markup:
    """The sentence, and the figures below it."""
    figures = tag("dl", _figures(material), class_="key")
    return joined([tag("p", _sentence(material), class_="lede"), figures])


def _sentence(material: Material) -> list[str | Markup]:
    manifest = material.manifest
    wanted = manifest["job"]["rows"]
    rows = f"{manifest['rows']:,} rows" if manifest["rows"] != 1 else "1 row"
    reach = f" of {wanted:,} asked for" if wanted else ""
    taken = sum(entry["out"] for entry in manifest["stages"] if _is_source(entry["stage"]))
    stop = _STOPS.get(manifest["stop"], manifest["stop"])
    return [
        tag("strong", f"{rows}{reach}"),
        f" were accepted, made from {taken:,} source rows. The run ended because {stop}.",
    ]


def _is_source(stage: str) -> bool:
    return stage.startswith(("source:", "run:"))


def _figures(material: Material) -> list[Markup]:
    found, manifest = material.found, material.manifest
    accepted, rejected = manifest["rows"], material.rejected()
    share = accepted / (accepted + rejected) if accepted + rejected else 0.0
    shown = [
        ("Yield", percent(share), f"{accepted:,} accepted, {rejected:,} rejected"),
        ("Sources used", f"{found.families:,}", _families(accepted, found.families)),
    ]
    if sum(found.tokens):
        cost = f"{found.tokens[1] / accepted:,.0f}" if accepted else "none accepted"
        said = f"generated for each accepted one; {found.tokens[1]:,} in all"
        shown.append(("Tokens a row", cost, said))
    leads = [name for name in material.layout.leads if name in found.figures]
    if leads:
        figures = found.figures[leads[0]]
        said = f"of '{leads[0]}' resemble another by 0.8 or more"
        shown.append(("Near-duplicates", percent(figures.near_duplicates), said))
        said = f"different word pairs of '{leads[0]}'"
        shown.append(("Distinct-2", f"{figures.distinct_2:.2f}", said))
    return [
        tag("div", tag("dt", name), tag("dd", value), tag("dd", said, class_="note"))
        for name, value, said in shown
    ]


def _families(rows: int, families: int) -> str:
    return f"source rows, {rows / families:.1f} rows of each" if families else "no row was accepted"
