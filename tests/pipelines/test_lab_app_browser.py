"""The lab's page in a browser, from editing a prompt to exported preferences."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jobs import job_data, launched, write_job

from pipelines.job import load_job
from pipelines.lab.app.serving import Door, open_lab

CHROMIUM = Path("/usr/bin/chromium")
EVIL = "<script>document.title = 'owned'</script><b>bold</b>"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="there is no Chromium"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:playwright"),
]


def lab_job() -> dict[str, Any]:
    stages = [
        {"kind": "generate", "model": "writer", "prompt": "ask", "adds": "question"},
        {"kind": "length", "field": "question", "unit": "words", "min": 8, "max": 40},
    ]
    topics = {"kind": "topics", "topics": [EVIL, "tea", "rain"], "count": 30, "balance": ["topic"]}
    return {"stages": stages, "sources": [topics]}


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Any]:
    """The lab's page, with all that its console said and all that it asked for."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    launched(tmp_path, "runs/first", **lab_job())
    loaded = load_job(write_job(tmp_path, job_data(**lab_job())))
    server, worker = open_lab(loaded, Door(port=0), runs=tmp_path / "runs")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page()
        opened.said, opened.asked = [], []
        opened.on("console", lambda message: opened.said.append(message.text))
        opened.on("pageerror", lambda error: opened.said.append(str(error)))
        opened.on("request", lambda request: opened.asked.append(request.url))
        opened.goto(server.url)
        yield opened
        browser.close()
    server.shutdown()
    thread.join()
    server.server_close()
    worker.close()


def test_from_a_prompt_to_preferences(page: Any, tmp_path: Path) -> None:
    home = page.url.partition("#")[0]
    assert "#" not in page.url  # the token does not stay in the address
    second = page.locator(".variant").nth(1).locator("textarea").first
    page.locator(".variant").nth(1).wait_for()
    second.fill(second.input_value().replace("Ask about", "Ask something hard about"))
    page.click("#run")
    page.locator("#progress", has_text="done: 8 rows").wait_for(timeout=60_000)
    assert page.locator("#cells .row").count() == 8
    assert page.locator("#cells .cell").count() == 16
    assert page.locator("#cells mark").count() > 0
    assert page.locator("#verdict p").count() == 1
    assert page.title() == "textmill lab"
    assert page.locator("#cells b").count() == 0
    assert page.locator("#cells summary", has_text="<script>").count() > 0

    page.click("#tab-rate")
    page.locator(".choices").wait_for()
    for key in ("1", "j", "2", "j", "0"):
        page.keyboard.press(key)
        page.wait_for_timeout(400)
    assert page.locator(".note", has_text="3 rated now").count() == 1
    with page.expect_download() as download:
        page.get_by_role("button", name="Export preferences").click()
    lines = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert [set(json.loads(line)) for line in lines] == [{"prompt", "chosen", "rejected"}] * 2

    page.click("#tab-compare")
    page.locator(".variant").nth(1).get_by_role("button", name="Promote").click()
    page.fill("#promote-file", "hard.yaml")
    page.click("#promote-write")
    page.locator("#promote-diff", has_text="Ask something hard about").wait_for()
    page.click("#promote-close")
    assert (tmp_path / "hard.yaml").exists()

    page.click("#tab-runs")
    page.locator("#run-rows .row").first.wait_for()
    page.get_by_role("button", name="Rejected rows").click()
    page.locator("#run-rows h2", has_text="Rejected rows").wait_for()
    assert page.said == []
    assert all(url.startswith((home, "blob:")) for url in page.asked)


def test_a_fault_in_a_prompt_is_shown_where_it_is_written(page: Any) -> None:
    first = page.locator(".variant").first.locator("textarea").first
    page.locator(".variant").nth(1).wait_for()
    first.fill("messages: [{role: user, content: '{{ topik }}'}]\nvariables: {topic: x}")
    page.locator(".fault", has_text="undefined variable 'topik'").wait_for(timeout=20_000)
    page.click("#run")
    page.locator("#notice", has_text="topik").wait_for(timeout=20_000)


def test_it_fits_a_phone(page: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.locator(".variant").nth(1).wait_for()
    for tab in ("compare", "rate", "runs"):
        page.click(f"#tab-{tab}")
        page.wait_for_timeout(500)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
