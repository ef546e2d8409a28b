"""The section on texts: how long they are, how they begin, how varied they are."""

from collections.abc import Sequence

from pipelines.evaluation.intrinsic import distinct_rates
from pipelines.evaluation.sampling import places
from pipelines.evaluation.surface import compression_ratio, self_bleu, self_repetition, tokens
from pipelines.exporters.profile import Figures
from pipelines.reports.charts import Mark, bar, histogram
from pipelines.reports.gathering import MEASURED
from pipelines.reports.markup import Markup, joined, tag
from pipelines.reports.material import Material, percent, table
from pipelines.rows import Row

SAMPLE = 500
"""Texts that diversity is measured on."""

_OPENINGS = 6


def texts(material: Material) -> Markup:
    """A histogram for each column with text, and a table of diversity."""
    found = material.found
    names = [name for name in material.layout.columns if name in found.figures]
    if not names:
        return tag("p", "No column of the accepted rows holds text.", class_="note")
    parts = [_lengths(name, found.figures[name]) for name in names]
    cut = f" {found.cut:,} were measured up to {MEASURED:,} characters." if found.cut else ""
    note = f"Words are counted between spaces.{cut}"
    return joined(
        [
            tag("div", parts, class_="columns"),
            tag("p", note, class_="note"),
            tag("h3", "Diversity"),
            _diversity(found.shown, names),
        ]
    )


def _lengths(name: str, figures: Figures) -> Markup:
    low, middle, high = (figures.percentile(percent) for percent in (5, 50, 95))
    said = f"'{name}': median {middle:,} words, nine tenths have {low:,} to {high:,}"
    most = figures.openings[0][1] if figures.openings else 0
    openings = [
        tag(
            "li",
            tag("span", opening, class_="name", dir="auto"),
            bar([("kept", number)], most, f"{opening}: {number:,} of {figures.sampled:,}"),
            tag("span", percent(number / figures.sampled), class_="count"),
        )
        for opening, number in figures.openings[:_OPENINGS]
    ]
    return tag(
        "div",
        tag("h3", name),
        tag("p", f"{low:,} to {high:,} words in nine tenths of the texts", class_="note"),
        histogram(figures.lengths, [Mark(f"median {middle:,}", middle)], f"Lengths of {said}"),
        tag("h4", "How they begin"),
        tag("ul", openings, class_="bars small", role="list"),
    )


def _diversity(rows: Sequence[Row], names: Sequence[str]) -> Markup:
    head = ("Column", "Texts", "Distinct-1", "Distinct-2", "Compression", "Self-BLEU", "Repetition")
    lines = []
    for name in names:
        held = [row.data[name] for row in rows if isinstance(row.data.get(name), str)]
        chosen = [held[place] for place in places(held, SAMPLE)]
        if len(chosen) < 2:
            continue
        rates = distinct_rates(chosen)
        split = [tokens(text) for text in chosen]
        figures = (
            rates["1"],
            rates["2"],
            compression_ratio(chosen),
            self_bleu(split),
            self_repetition(split),
        )
        lines.append(
            (name, f"{len(chosen):,}", *("none" if f is None else f"{f:.3f}" for f in figures))
        )
    note = (
        "Higher is more varied: distinct-n, the share of different ones among n neighbouring words "
        "(of the first 5,000). Lower is more varied: compression, the size before gzip over the "
        "size after; self-BLEU, how far a text is made of the others' phrases; repetition, the "
        "mean of log(1 + 4-grams shared with other texts). All depend on how many texts there are "
        f"({SAMPLE:,} at most, drawn by hash)."
    )
    if not lines:
        return tag("p", "It takes two texts to measure it.", class_="note")
    return joined([table(head, lines), tag("p", note, class_="note")])
