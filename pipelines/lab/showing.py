"""A comparison on the terminal: rows side by side, measures in a table, verdicts in words.

    row 1 of 3: 0 9f2c4be0a1d35c77
      topic     night trains
      current   When did night trains begin to run?
      @short    When did {+the first+} night trains [-begin to-] run?

Words that a variant has and the baseline has not stand in {+ +}, those that it lacks in [- -]. On a
terminal that is wide enough the variants stand beside each other.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import TYPE_CHECKING

from pipelines.console import detail_text, plain, show
from pipelines.lab.results import (
    Cell,
    Comparison,
    Contrast,
    OutcomeView,
    Rate,
    RowView,
    Summary,
    columns_sent,
)
from pipelines.lab.worddiff import pieces
from pipelines.rows import JSON

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_WIDE = 44  # columns that a variant needs beside others
_INPUT = 160  # characters of a row's own columns
_TEXT = 1_200  # characters of what was made
_STYLES = {"same": "", "out": "red strike", "in": "bold green"}
_MARKS = {"same": "{}", "out": "[-{}-]", "in": "{{+{}+}}"}
_LEAST_P = 0.001  # smaller ones are not told apart
_PERCENT = {"near_duplicates", "exact_duplicates"}
_TITLES = {
    "accepted": "accepted",
    "parsed": "replies that parse",
    "whole": "replies not cut",
    "refused": "refusals",
    "length": "length hit",
    "words": "words",
    "distinct_1": "distinct-1",
    "distinct_2": "distinct-2",
    "exact_duplicates": "exact duplicates",
    "near_duplicates": "near duplicates",
    "self_bleu": "self-BLEU",
    "similarity": "similarity to the row",
    "logprob": "log-probability a token",
    "tokens_per_accepted": "tokens an accepted row",
    "seconds_per_accepted": "seconds an accepted row",
}


def show_comparison(found: Comparison, *, shown: int) -> None:
    """Show rows, table and verdicts.

    Args:
        found: The comparison.
        shown: Rows to show the texts of.
    """
    for number, row in enumerate(found.rows[:shown], start=1):
        _print(*_story(found, row, number))
    left = len(found.rows) - shown
    if shown and left > 0:
        show(f"({left} more rows; -n {len(found.rows)} shows all)\n")
    show("\n".join(table(found)))
    show("")
    for contrast in found.contrasts:
        show(contrast.verdict)
        show(f"  {evidence(contrast)}")


def table(found: Comparison) -> list[str]:
    """Measures down, variants across."""
    lines = table_cells(found)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def table_cells(found: Comparison) -> list[list[str]]:
    """The same, cell by cell; the first line names the variants."""
    heads = ["", *(view.name for view in found.variants)]
    summaries = found.summaries
    rates = dict.fromkeys(name for summary in summaries for name in summary.rates)
    figures = dict.fromkeys(name for summary in summaries for name in summary.figures)
    names = [*rates, *figures]
    lines = [[_title(name), *(_entry(each, name) for each in summaries)] for name in names]
    lines = [line for line in lines if any(cell != "-" for cell in line[1:])]
    for reason in dict.fromkeys(reason for summary in summaries for reason in summary.reasons):
        counts = [str(summary.reasons.get(reason, 0)) for summary in summaries]
        lines.append([f"rejected, {reason}", *counts])
    return [heads, *lines]


def calls_line(found: Comparison) -> str:
    """What the comparison cost, such as `40 calls of 80 from the ledger, 40 paid`."""
    calls = found.calls
    text = f"{found.stage}: {calls.asked} calls, {calls.known} from the ledger, {calls.paid} paid"
    if found.before.asked:
        before = found.before
        text += f"; stages before it: {before.asked} calls, {before.known} from the ledger"
    return text


def _story(found: Comparison, row: RowView, number: int) -> Iterator["RenderableType"]:
    from rich.text import Text

    yield Text(plain(f"row {number} of {len(found.rows)}: {row.order} {row.id}"), "bold")
    count = range(len(found.variants))
    first = [found.cell(row=row.id, variant=v) for v in count]
    for column, value in columns_sent(row, first).items():
        yield Text(f"  {plain(column)} | {value_line(value, _INPUT)}", "dim")
    for repeat in range(found.repeats):
        cells = [found.cell(row=row.id, variant=v, repeat=repeat) for v in count]
        if found.repeats > 1:
            yield Text(f"  repeat {repeat + 1}", "dim")
        yield from _beside([view.name for view in found.variants], cells)
    yield Text("")


def _beside(names: Sequence[str], cells: Sequence[Cell]) -> Iterator["RenderableType"]:
    from rich.table import Table
    from rich.text import Text

    texts = [_texts(cell, cells[0]) for cell in cells]
    if _width() < _WIDE * len(cells):
        width = max(map(len, names))
        for name, text in zip(names, texts, strict=True):
            grid = Table.grid(padding=(0, 1))
            grid.add_column(width=width + 2, no_wrap=True)
            grid.add_column()
            grid.add_column(overflow="fold")
            grid.add_row(Text(f"  {plain(name)}", "cyan"), "|", text)
            yield grid
        return
    grid = Table(show_header=True, header_style="cyan", expand=True, box=None, padding=(0, 2))
    for name in names:
        grid.add_column(Text(plain(name)), ratio=1, overflow="fold")
    grid.add_row(*texts)
    yield grid


def _texts(cell: Cell, baseline: Cell) -> "Text":
    """What came of a cell, with its verdicts."""
    from rich.text import Text

    shown = Text()
    if not cell.outcomes:
        return Text("nothing", "dim")
    for place, outcome in enumerate(cell.outcomes):
        if place:
            shown.append("\n")
        other = baseline.outcomes[place : place + 1] if cell is not baseline else ()
        before = other[0].text if other else outcome.text
        _append_diff(shown, _short(before, _TEXT), _short(outcome.text, _TEXT))
        shown.append(_verdict(outcome), "green" if outcome.accepted else "red")
    return shown


def _append_diff(shown: "Text", before: str, after: str) -> None:
    found = pieces(plain(before), plain(after))
    if len(found) == 2 and {piece.sign for piece in found} == {"in", "out"}:  # little in common
        shown.append(plain(after))
        return
    for piece in found:
        shown.append(_MARKS[piece.sign].format(piece.text), _STYLES[piece.sign])


def _verdict(outcome: OutcomeView) -> str:
    scores = ", ".join(f"{name} {value:g}" for name, value in outcome.scores.items())
    if outcome.accepted:
        return plain(f"\n> accepted{f' ({scores})' if scores else ''}")
    return plain(f"\n> {outcome.stage}: {outcome.reason}{detail_text(outcome.detail)}")


def evidence(contrast: Contrast) -> str:
    """The counts behind a verdict."""
    same = contrast.rows - contrast.better - contrast.worse
    counts = f"better in {contrast.better}, worse in {contrast.worse}, the same in {same}"
    p = f"p {contrast.p:.3g}" if contrast.p >= _LEAST_P else f"p below {_LEAST_P}"
    return f"{counts} of {contrast.rows} rows; {p}"


def _title(name: str) -> str:
    if name.startswith("gate:"):
        return f"passed {name.removeprefix('gate:')}"
    return _TITLES.get(name) or f"mean {name.removeprefix('score:')}"


def _entry(summary: Summary, name: str) -> str:
    if name in summary.rates:
        return _rate(summary.rates[name])
    value = summary.figures.get(name)
    if value is None:
        return "-"
    if name in _PERCENT:
        return f"{value:.0%}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _rate(rate: Rate) -> str:
    if rate.value is None:
        return "-"
    span = f"{100 * rate.low:.0f}-{100 * rate.high:.0f}"
    return f"{rate.value:.0%} ({span}) of {rate.of}"


def value_line(value: JSON, most: int) -> str:
    """A column's value on one line, cut behind so many characters."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _short(" ".join(plain(text).split()), most)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _width() -> int:
    import shutil

    return shutil.get_terminal_size((100, 24)).columns


def _print(*parts: "RenderableType") -> None:
    from rich.console import Console

    shown = StringIO()
    console = Console(
        file=shown, force_terminal=sys.stdout.isatty(), highlight=False, width=_width(), emoji=False
    )
    for part in parts:
        console.print(part)
    for line in shown.getvalue().removesuffix("\n").split("\n"):
        sys.stdout.write(line.rstrip() + "\n")
