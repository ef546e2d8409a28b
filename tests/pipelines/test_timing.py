"""The speed of a run: measured by block, of no weight for its bytes, drawn in the report."""

import json
import time
from pathlib import Path

import pytest
from jobs import files_of, launched
from report_runs import page_of, records, report_run

from pipelines.folder import open_run
from pipelines.launch import Options
from pipelines.reports.charts import Span, rates
from pipelines.reports.throughput import BARS
from pipelines.timing import NAME, Timing, read_timings
from pipelines.verifying import verifiable, verify

BLOCK = {"seconds": 2.0, "accepted": 8, "rejected": 0}


def write_timings(run: Path, *lines: str) -> None:
    (run / NAME).write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_blocks_add_up_to_the_run(tmp_path: Path) -> None:
    start = time.monotonic()
    done = launched(tmp_path)
    passed = time.monotonic() - start
    timings = read_timings(done.folder)
    assert [timing.accepted for timing in timings] == [8, 16, 24, 32, 40, 40]
    assert sum(timing.calls for timing in timings) == done.meter.calls == 80
    assert sum(timing.tokens for timing in timings) == done.meter.tokens > 0
    assert 0 < sum(timing.seconds for timing in timings) <= passed
    again = launched(tmp_path, "again")
    assert [timing.known for timing in read_timings(again.folder)] == [16, 16, 16, 16, 16, 0]
    assert files_of(again.folder) == files_of(done.folder)


def test_verifying_looks_at_no_time(tmp_path: Path) -> None:
    folder = open_run(launched(tmp_path).folder)
    write_timings(folder.path, json.dumps({**BLOCK, "seconds": 9.9}))
    report = verify(folder, verifiable(folder), Options(), None)
    assert report.differences == []


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "7",
        '{"seconds": 1}',
        '{"seconds": "1", "accepted": 1, "rejected": 0}',
        '{"seconds": -1, "accepted": 1, "rejected": 0}',
        '{"seconds": NaN, "accepted": 1, "rejected": 0}',
        '{"seconds": 1, "accepted": 1, "rejected": 0, "more": 1}',
    ],
)
def test_a_torn_line_is_passed_over(tmp_path: Path, line: str) -> None:
    write_timings(tmp_path, json.dumps(BLOCK), line)
    assert read_timings(tmp_path) == [Timing(2.0, 8, 0)]


def test_the_report_shows_rates_by_block_and_of_the_whole(tmp_path: Path) -> None:
    folder = report_run(tmp_path, records(20))
    one = {**BLOCK, "accepted": 12, "calls": 12, "tokens": 300, "model_seconds": 1.5}
    two = {**BLOCK, "seconds": 1.0, "accepted": 18, "calls": 9, "known": 3, "model_seconds": 0.0}
    write_timings(folder.path, json.dumps(one), json.dumps(two))
    page = page_of(folder)
    assert "block 1, 2.0 s: 12 rows, 360.0 a minute" in page
    assert "block 2, 1.0 s: 6 rows, 360.0 a minute" in page
    assert "block 1: 300 tokens, 150.0 a second" in page
    assert "21, 3 of them from the ledger" in page
    assert "200.0" in page  # 300 tokens in the 1.5 seconds that were spent in models
    assert page == page_of(folder)


def test_a_run_without_timings_has_no_such_section(tmp_path: Path) -> None:
    folder = report_run(tmp_path, records(20))
    (folder.path / NAME).unlink()
    assert 'id="throughput"' not in page_of(folder)


def test_long_runs_are_drawn_with_several_blocks_a_bar(tmp_path: Path) -> None:
    folder = report_run(tmp_path, records(20))
    lines = [json.dumps({**BLOCK, "accepted": 8 * n}) for n in range(1, 2 * BARS + 2)]
    write_timings(folder.path, *lines)
    page = page_of(folder)
    assert "blocks 1 to 3, 6.0 s: 24 rows, 240.0 a minute" in page
    assert page.count(" a minute</title>") == 41


@pytest.mark.parametrize(
    ("seconds", "ticks"),
    [
        (0.4, ["0", "0.1 s", "0.2 s", "0.3 s"]),
        (50, ["0", "10 s", "20 s", "30 s", "40 s"]),
        (600, ["0", "2 min", "4 min", "6 min", "8 min"]),
        (3 * 86_400, ["0", "1 days", "2 days"]),
    ],
)
def test_the_axis_of_time_has_round_steps(seconds: float, ticks: list[str]) -> None:
    drawn = rates([Span(seconds, 1.0, "all")], "rates")
    found = [part.partition("<")[0] for part in drawn.split('class="tick"')[1:]]
    assert [tick.partition(">")[2] for tick in found] == ticks


def test_a_run_that_goes_on_appends(tmp_path: Path) -> None:
    done = launched(tmp_path)
    before = len(read_timings(done.folder))
    (done.folder / "manifest.json").unlink()
    launched(tmp_path)  # nothing is left to be done but the manifest
    assert len(read_timings(done.folder)) == before
