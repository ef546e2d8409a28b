"""The page of a comparison: verdicts, figures of each variant, and texts side by side.

write_atomically(path, comparison_page(found))     # what `compare --html FILE` does
"""

from collections import Counter

from pipelines.lab.results import Cell, Comparison, OutcomeView, columns_sent
from pipelines.lab.showing import evidence
from pipelines.reports.charts import bar, definitions
from pipelines.reports.marking import legend, marked_up
from pipelines.reports.markup import Markup, joined, tag
from pipelines.reports.material import percent, short, table
from pipelines.reports.page import Part, page
from pipelines.rows import JSON

MOST_BYTES = 4_000_000
"""Of the texts side by side; further rows are counted."""

_TEXT = 2_000  # characters of a text that is shown


def comparison_page(found: Comparison) -> str:
    """The whole file, of the kind that a run's report is."""
    names = ", ".join(f"'{variant.name}'" for variant in found.variants)
    paid = f"{found.calls.paid:,} model calls paid, {found.calls.known:,} from the ledger"
    times = f", each {found.repeats} times" if found.repeats > 1 else ""
    head = tag(
        "p",
        tag("strong", f"{len(found.variants)} variants of '{found.stage}'"),
        f" on {len(found.rows):,} rows{times}: {names}. {paid}.",
        class_="lede",
    )
    parts = [
        Part("verdict", "Verdict", _verdicts(found)),
        Part("figures", "Figures", _figures(found)),
        Part("reasons", "Reasons", _reasons(found)),
        Part("texts", "Side by side", _texts(found)),
        Part("variants", "Variants", _variants(found)),
    ]
    return page(f"{found.job}: compare", joined([definitions(), head]), parts, EMPTY)


EMPTY: dict[str, JSON] = {
    "columns": [],
    "leads": [],
    "slices": [],
    "measures": [],
    "verdicts": [],
    "events": [],
    "rows": [],
}
"""The data of a page that has no list of rows."""


def _verdicts(found: Comparison) -> Markup:
    bars = []
    for variant, summary in zip(found.variants, found.summaries, strict=True):
        rate = summary.rates.get("accepted")
        if rate is None or rate.value is None:
            continue
        said = f"{percent(rate.value)} ({percent(rate.low)} to {percent(rate.high)})"
        drawn = bar([("kept", rate.value)], 1, f"{variant.name}: accepted {said}")
        count = tag("span", tag("b", percent(rate.value)), class_="count")
        name = tag("span", variant.name, class_="name")
        bars.append(tag("li", name, drawn, count))
    verdicts = [
        tag("li", contrast.verdict, tag("p", evidence(contrast), class_="note"))
        for contrast in found.contrasts
    ]
    return joined(
        [
            tag("ul", verdicts, class_="verdicts") if verdicts else Markup(),
            tag("h3", "Accepted rows, of all that were made"),
            tag("ul", bars, class_="bars", role="list"),
        ]
    )


def _figures(found: Comparison) -> Markup:
    names = list(dict.fromkeys(name for each in found.summaries for name in each.rates))
    lines = []
    for name in names:
        rates = [each.rates.get(name) for each in found.summaries]
        cells = [
            "none"
            if rate is None or rate.value is None
            else f"{percent(rate.value)} ({percent(rate.low)} to {percent(rate.high)})"
            for rate in rates
        ]
        lines.append((name, *cells))
    for name in dict.fromkeys(name for each in found.summaries for name in each.figures):
        values = [each.figures.get(name) for each in found.summaries]
        lines.append((name, *("none" if v is None else f"{v:,.4g}" for v in values)))
    note = "Rates have their Wilson interval at 95 %."
    head = ("Measure", *(variant.name for variant in found.variants))
    return joined([table(head, lines), tag("p", note, class_="note")])


def _reasons(found: Comparison) -> Markup:
    whole = sum((Counter(each.reasons) for each in found.summaries), Counter[str]())
    if not whole:
        return tag("p", "No row was rejected.", class_="note")
    head = ("Reason", *(variant.name for variant in found.variants))
    lines = [
        (reason, *(f"{each.reasons.get(reason, 0):,}" for each in found.summaries))
        for reason, _ in whole.most_common()
    ]
    return table(head, lines)


def _texts(found: Comparison) -> Markup:
    cells: dict[str, list[Cell]] = {}
    for cell in found.cells:
        cells.setdefault(cell.row, []).append(cell)
    shown: list[Markup] = []
    size = 0
    for row in found.rows:
        own = cells.get(row.id, [])
        given = "; ".join(f"{key}: {value}" for key, value in columns_sent(row, own).items())
        first = {cell.repeat: cell for cell in own if cell.variant == 0}
        cards = [_card(found, cell, first[cell.repeat]) for cell in own]
        head = tag("p", tag("span", row.order, class_="name"), f" {short(given, 300)}", dir="auto")
        part = tag("div", head, tag("div", cards, class_="cards beside"), class_="given")
        size += len(part)
        if size > MOST_BYTES:
            break
        shown.append(part)
    left = len(found.rows) - len(shown)
    more = tag("p", f"{left:,} further rows are not in this page.", class_="note")
    return joined([legend(found.variants[0].name), shown, more if left else Markup()])


def _card(found: Comparison, cell: Cell, baseline: Cell) -> Markup:
    """What came of a cell, each text marked against the baseline's in the same place."""
    title = found.variants[cell.variant].name
    title += f", repeat {cell.repeat + 1}" if found.repeats > 1 else ""
    parts = [tag("p", title, class_="column")]
    for place, outcome in enumerate(cell.outcomes):
        other = baseline.outcomes[place] if place < len(baseline.outcomes) else outcome
        parts += _outcome(outcome, short(other.text, _TEXT))
    if not cell.outcomes:
        parts.append(tag("p", "A later row took its place.", class_="note"))
    return tag("article", parts, class_="card")


def _outcome(outcome: OutcomeView, before: str) -> list[Markup]:
    text = marked_up(before, short(outcome.text, _TEXT))
    said = "accepted" if outcome.accepted else f"rejected: {outcome.reason} ({outcome.stage})"
    kind = "pill good" if outcome.accepted else "pill bad"
    return [
        tag("p", text, dir="auto", class_="text"),
        tag("p", tag("span", said, class_=kind), class_="note"),
    ]


def _variants(found: Comparison) -> Markup:
    shown = []
    baseline = found.variants[0]
    for variant in found.variants:
        settings = ", ".join(f"{key}: {value}" for key, value in variant.settings.items())
        facts = "; ".join(filter(None, (variant.prompt, variant.model, settings)))
        shown += [tag("h3", variant.name), tag("p", facts or "as the job has it", class_="note")]
        if variant.source:
            differs = variant.source != baseline.source and bool(baseline.source)
            title = f"prompt, marked against '{baseline.name}'" if differs else "prompt"
            text = marked_up(baseline.source, variant.source) if differs else variant.source
            shown.append(_opened(title, text, is_open=differs))
    return joined(shown)


def _opened(title: str, text: str | Markup, *, is_open: bool) -> Markup:
    source = tag("pre", tag("code", text), tabindex=0)
    return tag("details", tag("summary", title), source, open=is_open)
