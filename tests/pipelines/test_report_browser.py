"""The report in a real browser: no network is asked, rows are found, opened, and stay text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_runs import ATTACK, ESCAPES, page_of, records, report_run

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip("there is no Chromium")
    with sync_api.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    hostile = {"text": f"hostile words {ATTACK} {ESCAPES}", "label": "positive", "film": "drama"}
    rows = records(99)
    file = folder / "report.html"
    file.write_text(page_of(report_run(folder, [*rows, hostile])), encoding="utf-8")
    return file


@pytest.fixture
def page(browser: Any, file: Path) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.asked, page.said = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.goto(file.as_uri())
    yield page
    assert page.asked == [file.as_uri()]
    assert page.said == []
    context.close()


def shown(page: Any) -> list[str]:
    return page.locator(".rows button.row .line").all_inner_texts()


def test_the_page_opens_from_a_file_and_asks_nothing(page: Any) -> None:
    assert page.title() == "tiny · textmill report"
    assert page.locator(".status").inner_text() == "1 to 25 of 91"
    assert len(shown(page)) == 25


def test_search_filters_and_order_work_together(page: Any) -> None:
    page.fill("#search", "western 21")
    page.get_by_text("1 to 1 of 1").wait_for()
    assert shown(page)[0].startswith("western number 21 with ")
    page.get_by_role("button", name="Clear").click()
    page.get_by_label("label", exact=True).select_option("negative")
    assert page.locator(".status").inner_text().endswith("of 30")
    page.get_by_label("Show", exact=True).select_option("rejected")
    page.get_by_label("label", exact=True).select_option("")
    assert page.locator(".status").inner_text() == "1 to 9 of 9"
    assert "rejected: too_short (length)" in page.locator(".rows .pill").first.inner_text()


def test_rows_are_browsed_with_the_keyboard(page: Any) -> None:
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    place = "[...document.querySelectorAll('.rows button.row')].indexOf(document.activeElement)"
    assert page.evaluate(place) == 1
    page.keyboard.press("Enter")
    assert page.locator(".rows li").nth(1).locator(".detail").is_visible()
    assert page.evaluate(place) == 1
    page.keyboard.press("k")
    page.keyboard.press("k")
    assert page.evaluate(place) == 0
    page.keyboard.press("n")
    assert page.locator(".status").inner_text().startswith("26 to 50")
    page.keyboard.press("k")
    assert page.locator(".status").inner_text().startswith("1 to 25")
    assert page.evaluate(place) == 24


def test_hostile_text_stays_text(page: Any) -> None:
    page.fill("#search", "hostile")
    page.get_by_text("1 to 1 of 1").wait_for()
    page.locator(".rows button.row").click()
    text = page.locator(".detail .whole").all_inner_texts()[-1]
    assert ATTACK in text
    assert "\x1b" not in text
    assert page.title() == "tiny · textmill report"
    assert page.locator("img").count() == 0


def test_examples_and_points_open_their_row(page: Any) -> None:
    page.locator(".reasons summary").first.click()
    page.locator(".examples a").first.click()
    opened = page.locator(".rows .detail")
    assert opened.count() == 1
    assert "too_short" in opened.inner_text()
    page.locator("svg.map use").nth(3).dispatch_event("click")
    assert page.locator(".pill.good").count() == 25
    page.locator(".legend button").first.click()
    assert page.locator("svg.map use.faint").count() == 30


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_is_readable(browser: Any, file: Path, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto(file.as_uri())
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(LOW_CONTRAST) == []
    context.close()


LOW_CONTRAST = """() => {
  const channel = (value) => {
    const share = value / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  };
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const low = [];
  for (const element of document.querySelectorAll("main *, nav *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.getClientRects().length || element.closest("option")) continue;
    const style = getComputedStyle(element);
    const ink = numbers(element.closest("svg") ? style.fill : style.color);
    const [a, b] = [luminance(ink), luminance(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) low.push(`${element.className} ${ratio.toFixed(2)}`);
  }
  return low;
}"""
"""Texts whose contrast to what is behind them is below 4.5 (WCAG 2, level AA)."""
