"""Reports: size, CPU time to write, and time to open in headless Chromium, 10,000 rows."""

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import jsonlines
import yaml

from pipelines.folder import RunFolder
from pipelines.job import load_job
from pipelines.launch import Options, launch
from pipelines.reports.run_report import write_report

ROWS = 10_000
CHROMIUM = Path("/usr/bin/chromium")
JOB = {
    "name": "reviews",
    "models": {},
    "sources": [{"kind": "records", "path": "rows.jsonl"}],
    "stages": [{"kind": "length", "field": "text", "unit": "words", "min": 8}],
    "exports": [],
}
LONG_TASKS = """() => new Promise((done) => {
  let worst = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) worst = Math.max(worst, entry.duration);
  }).observe({ type: "longtask" });
  const end = document.documentElement.scrollHeight;
  let at = 0;
  const step = () => {
    at += 400;
    scrollTo({ top: at, behavior: "instant" });
    if (at < end) requestAnimationFrame(step);
    else setTimeout(() => done(Math.round(worst)), 300);
  };
  step();
})"""


def measure(rows: int = ROWS) -> Iterator[tuple[str, str]]:
    """Figures of the report of a run of `rows` records of about forty words."""
    with tempfile.TemporaryDirectory() as folder:
        run = _run(Path(folder), rows)
        file = Path(folder) / "report.html"
        start = time.process_time()
        size = write_report(run, file, Path(folder) / "ledger.sqlite")
        yield f"{rows:,} rows, CPU time to write", f"{time.process_time() - start:.1f} s"
        yield f"{rows:,} rows, size", f"{size / 1e6:.1f} MB"
        yield from _in_browser(file, rows)


def _run(folder: Path, rows: int) -> RunFolder:
    draw = random.Random(0)
    words = [f"{a}{b}{c}" for a in "bdfgklmn" for b in ("a", "ei", "o", "u") for c in "lnrst"]
    with jsonlines.open(folder / "rows.jsonl", "w") as file:
        for number in range(rows):
            text = " ".join(draw.choices(words, k=draw.randint(6, 70)))
            label = draw.choice(["positive", "negative"])
            film = draw.choice(["comedy", "western", "drama"])
            file.write({"text": f"{number} {text}", "label": label, "film": film})
    (folder / "job.yaml").write_text(yaml.safe_dump(JOB), encoding="utf-8")
    return RunFolder(launch(load_job(folder / "job.yaml"), folder / "run", Options()).folder)


def _in_browser(file: Path, rows: int) -> Iterator[tuple[str, str]]:
    """Time until the list of rows is there, the longest task of scrolling, a search."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        opened = []
        for _ in range(5):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            start = time.perf_counter()
            page.goto(file.as_uri())
            page.wait_for_selector(".rows li")
            opened.append(time.perf_counter() - start)
        yield f"{rows:,} rows, opened, median of 5", f"{sorted(opened)[2]:.2f} s"
        worst = page.evaluate(LONG_TASKS)
        yield f"{rows:,} rows, longest task over 50 ms while scrolling", f"{worst} ms"
        start = time.perf_counter()
        before = page.locator(".status").inner_text()
        page.fill("#search", "beil kon")
        changed = "(before) => document.querySelector('.status').textContent !== before"
        page.wait_for_function(changed, arg=before)
        yield f"{rows:,} rows, search", f"{time.perf_counter() - start:.2f} s"
        browser.close()


if __name__ == "__main__":
    for name, figure in measure(int(sys.argv[1]) if sys.argv[1:] else ROWS):
        print(f"  {name:<58} {figure}")
