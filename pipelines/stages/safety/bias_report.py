"""How often groups of people are named, and with which labels.

    bias_report(rows, ("text",), label="sentiment")
    ->  {"rows": 200, "labels": {"negative": 100, "positive": 100},
         "groups": [{"category": "gender", "group": "female", "rows": 40,
                     "labels": {"negative": 26, "positive": 14}}, ...],
         "gaps": [{"category": "gender", "label": "negative", "most": "female", "least": "male",
                   "gap": 0.21, "p": 0.04}, ...]}

Words are counted, not meant: a text that names a group need not be about it, and one that is about
a group need not name it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from pipelines.rows import JSON, Row
from pipelines.stages.columns import strings
from pipelines.stages.safety.group_terms import categories, mentions

FEWEST = 5  # rows that name a group, for its shares of labels to be compared

Terms = Mapping[str, Mapping[str, Sequence[str]]]


def bias_report(
    rows: Iterable[Row],
    fields: Sequence[str] = (),
    *,
    label: str = "",
    terms: Terms | None = None,
    ignore: Sequence[str] = (),
) -> dict[str, JSON]:
    """Rows that name each group, by label, and the largest gap between groups for each label.

    A gap is the difference between the shares that a label has among the rows of two groups of one
    category; groups of fewer than five rows are left out of it. `p` is that of Fisher's exact test
    on the two groups, and not corrected for looking at many.

    Args:
        rows: The rows.
        fields: The columns with text; empty for all but `label`.
        label: The column with the label; empty counts groups alone.
        terms: Category -> group -> words, besides those that are known.
        ignore: Columns that are not looked at where `fields` is empty.
    """
    labels: Counter[str] = Counter()
    counts: dict[tuple[str, str], Counter[str]] = {}
    total = 0
    for row in rows:
        total += 1
        value = str(row.data.get(label, "")) if label else ""
        labels[value] += 1
        found = mentions(text_of(row, fields, ignore=(label, *ignore)), terms)
        for category, groups in found.items():
            for group in groups:
                counts.setdefault((category, group), Counter())[value] += 1
    order = [*categories(), *(terms or {})]
    places = sorted(counts, key=lambda place: (order.index(place[0]), place[1]))
    report: dict[str, JSON] = {"rows": total}
    if label:
        report["labels"] = dict(sorted(labels.items()))
    report["groups"] = [_entry(place, counts[place], bool(label)) for place in places]
    if label:
        report["gaps"] = [
            gap
            for _, group in groupby(places, key=lambda place: place[0])
            for gap in _gaps([(place, counts[place]) for place in group], sorted(labels))
        ]
    return report


def text_of(row: Row, fields: Sequence[str], *, ignore: Sequence[str]) -> str:
    """The text of some columns, or of all but `ignore`."""
    columns = fields or [column for column in row.data if column not in ignore]
    return "\n".join(text for column in columns for text in strings(row.data.get(column, "")))


def _entry(place: tuple[str, str], found: Counter[str], labelled: bool) -> dict[str, JSON]:
    entry: dict[str, JSON] = {"category": place[0], "group": place[1], "rows": found.total()}
    return {**entry, "labels": dict(sorted(found.items()))} if labelled else entry


def _gaps(
    groups: Sequence[tuple[tuple[str, str], Counter[str]]], labels: Sequence[str]
) -> list[dict[str, JSON]]:
    """For each label the two groups of a category whose shares of it differ most."""
    enough = [(place, found) for place, found in groups if found.total() >= FEWEST]
    if len(enough) < 2:
        return []
    gaps: list[dict[str, JSON]] = []
    for label in labels:
        ranked = sorted(enough, key=lambda entry: entry[1][label] / entry[1].total())
        (low_place, low), (high_place, high) = ranked[0], ranked[-1]
        gap = high[label] / high.total() - low[label] / low.total()
        gaps.append(
            {
                "category": low_place[0],
                "label": label,
                "most": high_place[1],
                "least": low_place[1],
                "gap": round(gap, 4),
                "p": _fisher(high[label], high.total(), low[label], low.total()),
            }
        )
    return gaps


def _fisher(hits: int, rows: int, other_hits: int, other_rows: int) -> float:
    from scipy.stats import fisher_exact

    table = [[hits, rows - hits], [other_hits, other_rows - other_hits]]
    return round(float(fisher_exact(table).pvalue), 6)
