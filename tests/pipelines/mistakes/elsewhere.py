"""Pages, databases and datasets that cannot be read."""

import sqlite3
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from mistakes.cases import JOB, Case
from mistakes.worlds import World, made, web
from tests.fake_site import Route, moved, page

_PAGES = JOB.replace("topic", "context")
_NUMBERS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
_SLOW = f"{_NUMBERS} SELECT max(x) AS topic FROM n"


def _endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/plain")
    handler.end_headers()
    for _ in range(200):  # ten seconds, which nobody waits for
        handler.wfile.write(b"more ")
        handler.wfile.flush()
        time.sleep(0.05)


def _page(line: str, route: Route, *, path: str = "/x", more: str = "") -> Case:
    """A page of the site, which the job allows."""
    fetch = f"fetch: {{delay: 0, cache: cache, allow_hosts: ['ADDRESS']{more}}}"
    settings = f"kind: web, urls: 'http://ADDRESS{path}', {fetch}"
    job = _PAGES.replace("kind: records, path: seeds.jsonl", settings)
    begin = "job.yaml:11: sources.0: nothing in 'http://ADDRESS/x' can be read "
    return Case(begin + line, job=job, code=3, world=web({path: route}))


def _url(line: str, url: str) -> Case:
    settings = f"kind: web, urls: '{url}', fetch: {{delay: 0, cache: cache}}"
    job = _PAGES.replace("kind: records, path: seeds.jsonl", settings)
    return Case(f"job.yaml:11: sources.0{line}", job=job, code=2 if line[0] == "." else 3)


def _shop(folder: Path) -> None:
    database = sqlite3.connect(folder / "shop.db")
    with database:
        database.execute("CREATE TABLE faq (topic TEXT)")
        database.execute("INSERT INTO faq VALUES ('Returns')")
    database.close()


def _query(line: str, query: str, *, code: int = 2, timeout: float = 5) -> Case:
    settings = f'kind: sql, url: "sqlite:///shop.db", query: "{query}", timeout: {timeout}'
    job = JOB.replace("kind: records, path: seeds.jsonl", settings)
    return Case(f"job.yaml:11: sources.0{line}", job=job, code=code, world=made(_shop))


def _dataset(line: str, settings: str, world: World) -> Case:
    job = JOB.replace("kind: records, path: seeds.jsonl", f"kind: hf_dataset, {settings}")
    return Case(f"job.yaml:11: sources.0{line}", job=job, code=3, world=world)


def _saved(folder: Path) -> None:
    (folder / "set").mkdir()
    (folder / "set/train.jsonl").write_text('{"text": "x", "label": 1}\n')


def _script(folder: Path) -> None:
    (folder / "set").mkdir()
    (folder / "set/set.py").write_text(f"open({str(folder / 'canary')!r}, 'w')\n")


ELSEWHERE = {
    "page that is gone": _page("(1 not_found); ...", (404, {}, b"")),
    "redirect into the network": _page(
        "(1 private_address); ...169.254.169.254...", moved("http://169.254.169.254/latest/")
    ),
    "page without end": _page("(1 timed_out); ...", _endless, more=", timeout: 0.5"),
    "page of another type": _page("(1 wrong_type); ...image/png...", page("x", "image/png")),
    "page that is too large": _page(
        "(1 too_large); ...", page("x" * 30_000), more=", max_mb: 0.02"
    ),
    "address of this machine": _url(": ...(1 private_address)...", "http://2130706433:9/"),
    "file as a page": _url(
        ".urls: 'file:///etc/passwd' is not http or https; ...", "file:///etc/passwd"
    ),
    "second statement": _query(".query: more than one statement; ...", "SELECT 1; DROP TABLE faq"),
    "statement that writes": _query(".query: ...; fix: ...", "DELETE FROM faq"),
    "query without end": _query(
        ".timeout: the query timed out after 0.3 seconds; ...", _SLOW, code=3, timeout=0.3
    ),
    "no such table": _query(
        ": the database says: no such table: fag; ...", "SELECT * FROM fag", code=3
    ),
    "dataset without the column": _dataset(
        ".columns: ...columns: ...label...", "path: set, columns: [topic]", made(_saved)
    ),
    "dataset with a script": _dataset(
        ": ...needs a script of its own...", "path: set", made(_script)
    ),
    "dataset that is not here": _dataset(
        ": ...cannot be reached...", "path: some/set", made(lambda f: None)
    ),
}
