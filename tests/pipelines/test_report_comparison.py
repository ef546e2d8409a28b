"""The page of a comparison."""

from dataclasses import replace

import pytest
from report_runs import ATTACK, ESCAPES

from pipelines.lab.results import (
    Calls,
    Cell,
    Comparison,
    Contrast,
    OutcomeView,
    Rate,
    RowView,
    Summary,
    VariantView,
    columns_sent,
)
from pipelines.reports import comparison
from pipelines.reports.comparison import comparison_page

VERDICT = "hot accepts 5 to 21 points fewer rows (95 %)"


def compared(rows: int) -> Comparison:
    """Two variants: what the second one makes is hostile, and is rejected."""
    good = OutcomeView("a plain reply")
    bad = OutcomeView(f"{ATTACK} {ESCAPES}", "too_long", "length")
    return Comparison(
        job="qa",
        stage="answer",
        repeats=1,
        variants=(VariantView("current", source=ATTACK), VariantView("hot", settings={"t": 1.2})),
        rows=tuple(RowView(f"r{n}", str(n), {"question": f"question {n}"}) for n in range(rows)),
        cells=tuple(
            Cell(f"r{n}", place, 0, (outcome,))
            for n in range(rows)
            for place, outcome in enumerate((good, bad))
        ),
        summaries=(
            Summary({"accepted": Rate(rows, rows, 0.7, 1.0)}, {"words": 3.0}, {}),
            Summary(
                {"accepted": Rate(0, rows, 0.0, 0.3)}, {"words": None}, {"length: too_long": 4}
            ),
        ),
        contrasts=(
            Contrast(1, "accepted", rows, -1.0, -1.0, -0.9, 0, rows, 0.01, True, None, VERDICT),
        ),
        calls=Calls(8, 6),
    )


def test_verdicts_figures_and_texts_stand_in_the_page() -> None:
    page = comparison_page(compared(4))
    assert VERDICT in page
    assert "2 model calls paid, 6 from the ledger" in page
    assert "100.0 % (70.0 % to 100.0 %)" in page
    assert page.count("a plain reply") == 4
    assert page.count("rejected: too_long (length)") == 4
    assert page == comparison_page(compared(4))


def test_words_that_differ_from_the_baseline_are_marked() -> None:
    found = compared(1)
    outcomes = ("a plain reply", "a rather plain text")
    cells = tuple(Cell("r0", place, 0, (OutcomeView(text),)) for place, text in enumerate(outcomes))
    variants = (
        VariantView("current", source="Ask about <tea>."),
        VariantView("hot", source="Ask again about <tea>."),
    )
    page = comparison_page(replace(found, cells=cells, variants=variants))
    assert "a<ins> rather</ins> plain <del>reply</del><ins>text</ins>" in page
    assert "Ask<ins> again</ins> about &lt;tea&gt;." in page
    assert "better in 0, worse in 1" in page


def test_a_row_is_shown_by_the_columns_that_were_sent() -> None:
    row = RowView("r0", "0", {"context": "Tea\nis  hot.", "document": "a.md", "start": 4})
    assert columns_sent(row, []) == row.data
    cell = Cell("r0", 0, 0, (), messages=(("user", "Text: Tea is hot.\nAsk:"),))
    assert columns_sent(row, [cell]) == {"context": "Tea\nis  hot."}


def test_texts_with_little_in_common_are_not_marked() -> None:
    page = comparison_page(compared(2))
    assert page.count("<del>") == page.count("<ins>") == 1  # those of the legend


def test_hostile_replies_and_prompts_stay_text() -> None:
    page = comparison_page(compared(2))
    assert page.count("<script") == 2
    assert "<img" not in page
    assert "\x1b" not in page


def test_rows_beyond_the_size_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "MOST_BYTES", 3_000)
    assert "further rows are not in this page" in comparison_page(compared(50))
