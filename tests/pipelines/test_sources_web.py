import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from command_line import textmill
from fake_site import Route, Site, moved, page, site
from source_views import View, build, parted

from pipelines.sources import BadSeed, Seed
from pipelines.sources.fetched import OFFLINE
from prompts.errors import SourceError, UsageError

LEAVE = (
    "Everyone who works here has twenty days of leave a year. Ask your lead two weeks before you "
    "go, and write it into the calendar of the team so that nobody waits for you."
)
HTML = f"""<!doctype html><html lang="en"><head><title>Leave</title>
<meta name="author" content="Ada"><meta property="article:published_time" content="2024-03-01">
</head><body><nav><a href="/">Home</a></nav><main><article><h1>Leave</h1><p>{LEAVE}</p><p>{LEAVE}
</p></article></main><script>track()</script></body></html>"""
SITEMAP = "<urlset>{}</urlset>"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv(OFFLINE, "")


def fetch(folder: Path, **settings: Any) -> dict[str, Any]:
    return {"cache": str(folder / "web"), "allow_hosts": ["127.0.0.1"], "delay": 0, **settings}


def read(folder: Path, kind: str = "web", **settings: Any) -> tuple[list[Seed], list[BadSeed]]:
    settings.setdefault("fetch", fetch(folder))
    source = build(kind, split="none", **settings)
    return parted(source.read(View(folder)))


def test_a_page_becomes_rows_like_those_of_documents(tmp_path: Path) -> None:
    with site({"/leave": moved("/leave.html"), "/leave.html": page(HTML, "text/html")}) as here:
        rows, bad = read(tmp_path, urls=f"{here.url}/leave")
        assert here.asked == ["/robots.txt", "/leave", "/leave.html"]
    assert bad == []
    data = rows[0].data
    assert data["document"] == rows[0].key == f"{here.url}/leave"
    assert LEAVE in data["context"]
    assert "Home" not in data["context"]
    assert (data["start"], data["end"]) == (0, len(data["context"]))
    metadata = data["metadata"]
    assert (metadata["url"], metadata["format"]) == (f"{here.url}/leave.html", "html")
    assert (metadata["title"], metadata["language"]) == ("Leave", "en")
    assert metadata["date"] == "2024-03-01"
    assert len(metadata["sha256"]) == 64


def test_each_page_that_fails_is_one_entry_and_the_others_are_read(tmp_path: Path) -> None:
    routes: dict[str, Route] = {
        "/robots.txt": page("User-agent: *\nDisallow: /closed"),
        "/good.txt": page(LEAVE),
        "/empty.txt": page("  \n"),
        "/picture": page("x", "image/png"),
        "/large": page("x" * 30_000),
        "/inside": moved("http://169.254.169.254/latest/meta-data/"),
        "/loop": moved("/loop"),
    }
    paths = ["gone", "closed", "picture", "large", "inside", "loop", "empty.txt", "good.txt"]
    with site(routes) as here:
        urls = [f"{here.url}/{path}" for path in paths] + [f"{here.url}/good.txt#twice"]
        settings = fetch(tmp_path, max_mb=0.02)
        rows, bad = read(tmp_path, urls=urls, fetch=settings)
    assert [row.data["context"] for row in rows] == [LEAVE]
    assert [(each.key.rpartition("/")[2], each.reason) for each in bad] == [
        ("gone", "not_found"),
        ("closed", "robots"),
        ("picture", "wrong_type"),
        ("large", "too_large"),
        ("inside", "private_address"),
        ("loop", "redirects"),
        ("empty.txt", "empty"),
    ]


def test_a_sitemap_is_read_with_its_parts_patterns_and_limit(tmp_path: Path) -> None:
    with site({f"/docs/{n}": page(f"{n}. {LEAVE}") for n in range(6)}) as here:

        def listed(*paths: str) -> Route:
            entries = "".join(f"<url><loc>{here.url}{path}</loc></url>" for path in paths)
            return page(SITEMAP.format(entries), "application/xml")

        inner = "".join(f"<sitemap><loc>{here.url}/{n}.xml</loc></sitemap>" for n in "abca")
        here.routes |= {
            "/sitemap.xml": page(f"<sitemapindex>{inner}</sitemapindex>", "text/xml"),
            "/a.xml": listed("/docs/0", "/docs/1", "/about", "/docs/0"),
            "/b.xml": page("<urlset><url>", "text/xml"),
            "/c.xml": listed("/docs/2", "/docs/3", "/docs/4", "/docs/5"),
        }
        settings: dict[str, Any] = {"sitemap": f"{here.url}/sitemap.xml"}
        settings |= {"include": ["*/docs/*"], "exclude": ["*/2"]}
        rows, bad = read(tmp_path, **settings)
        assert [row.data["context"][0] for row in rows] == ["0", "1", "3", "4", "5"]
        assert [(each.key, each.reason) for each in bad] == [(f"{here.url}/b.xml", "malformed")]
        assert "/about" not in here.asked
        rows, _ = read(tmp_path, **settings, max_pages=2)
        assert [row.data["context"][0] for row in rows] == ["0", "1"]


def test_sitemaps_that_list_each_other_end(tmp_path: Path) -> None:
    with site({}) as here:
        for number in range(6):
            loc = f"<sitemap><loc>{here.url}/{number + 1}.xml</loc></sitemap>"
            loc += f"<sitemap><loc>{here.url}/{number}.xml</loc></sitemap>"
            text = f"<sitemapindex>{loc}</sitemapindex>"
            here.routes[f"/{number}.xml"] = page(text, "text/xml")
        with pytest.raises(SourceError, match=r"1 malformed.*a sitemap below 3 others"):
            read(tmp_path, sitemap=f"{here.url}/0.xml")
        assert len(here.asked) == 4


def test_items_of_a_feed_are_read_with_its_titles_and_dates(tmp_path: Path) -> None:
    feed = """<rss><channel><item><title>News</title><link>/1</link>
    <pubDate>Fri, 01 Mar 2024 08:00:00 GMT</pubDate></item>
    <item><link>http://10.0.0.1/</link></item><item><link>ftp://x/</link></item></channel></rss>"""
    routes = {"/feed": page(feed, "application/rss+xml"), "/1": page(LEAVE)}
    with site(routes) as here:
        rows, bad = read(tmp_path, feed=f"{here.url}/feed")
    assert rows[0].data["metadata"]["title"] == "News"
    assert rows[0].data["metadata"]["date"] == "2024-03-01"
    assert [each.reason for each in bad] == ["private_address", "bad_url"]


@pytest.mark.parametrize("body", ["<rss>", "<!DOCTYPE x [<!ENTITY a 'b'>]><rss>&a;</rss>"])
def test_a_bad_feed_is_said(tmp_path: Path, body: str) -> None:
    reason = r"1 (malformed|xml_entities)"
    with site({"/feed": page(body, "text/xml")}) as here, pytest.raises(SourceError, match=reason):
        read(tmp_path, feed=f"{here.url}/feed")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({}, "give 'urls', a 'sitemap' or a 'feed'"),
        ({"urls": "file:///etc/passwd"}, "is not http or https"),
        ({"urls": "https://user:secret@example.org/"}, "a user name or password"),
        ({"urls": "https://example.org/", "fetch": {"refresh": "always"}}, "true, false or failed"),
        ({"urls": "https://example.org/", "fetch": {"contact": "a\r\nb: c"}}, "contact"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        build("web", **settings)
    assert problem in str(caught.value)
    assert "secret" not in str(caught.value)


def test_nothing_is_fetched_to_check_a_job_and_a_fingerprint_fetches_once(tmp_path: Path) -> None:
    with site({"/": page(LEAVE)}) as here:
        source = build("web", urls=here.url, split="none", fetch=fetch(tmp_path))
        assert source.columns(View(tmp_path)) == {
            *("context", "document", "start", "end", "metadata")
        }
        assert here.asked == []
        first = source.fingerprint(View(tmp_path))
        rows, _ = parted(source.read(View(tmp_path)))
        assert (len(rows), here.asked) == (1, ["/robots.txt", "/"])
        again = build("web", urls=here.url, split="none", fetch=fetch(tmp_path))
        assert again.fingerprint(View(tmp_path)) == first
        here.routes["/"] = page(LEAVE + "!")
        fresh = build("web", urls=here.url, split="none", fetch=fetch(tmp_path, refresh=True))
        assert fresh.fingerprint(View(tmp_path)) != first


def test_where_nothing_could_be_reached_the_next_run_tries_again(tmp_path: Path) -> None:
    with site({"/": (403, {}, b"")}) as here:
        with pytest.raises(SourceError, match="1 http_error"):
            read(tmp_path, urls=here.url)
        here.routes["/"] = page(LEAVE)
        assert len(read(tmp_path, urls=here.url)[0]) == 1


# Through the command line.

JOB = """\
name: web
seed: 3
models: {{writer: {{model: scripted}}}}
prompts:
  ask: |
    variables: {{context: A text.}}
    messages:
      - {{role: user, content: "Ask about {{{{ context }}}}."}}
sources:
  - kind: web
    urls: [{urls}]
    split: none
    fetch: {{allow_hosts: [127.0.0.1], delay: 0, cache: web}}
stages:
  - {{kind: generate, model: writer, prompt: ask, adds: question}}
exports:
  - {{kind: jsonl}}
"""


def run(folder: Path, here: Site, name: str, *words: str) -> Any:
    urls = ", ".join(f'"{here.url}/{path}"' for path in "abc")
    (folder / "job.yaml").write_text(JOB.format(urls=urls), encoding="utf-8")
    return textmill(folder, "run", "job.yaml", "--out", name, "--ledger", "ledger.sqlite", *words)


def test_a_second_run_makes_the_same_bytes_from_the_cache_without_the_site(tmp_path: Path) -> None:
    with site({"/a": page(LEAVE), "/c": page(HTML, "text/html")}) as here:
        assert run(tmp_path, here, "one").code == 0
        asked = len(here.asked)
        here.routes.clear()
        assert run(tmp_path, here, "two").code == 0
        assert len(here.asked) == asked
    ended = run(tmp_path, here, "three", "--offline")
    assert ended.code == 0, ended.err
    files = ("rows.jsonl", "rejected.jsonl")
    first = [(tmp_path / "one" / name).read_bytes() for name in files]
    for other in ("two", "three"):
        assert [(tmp_path / other / name).read_bytes() for name in files] == first
    rejected = json.loads(first[1])
    assert (rejected["reason"], rejected["data"]["key"]) == ("not_found", f"{here.url}/b")
    assert len(first[0].splitlines()) == 2


@pytest.mark.parametrize("more", [(), ("--dry-run",)], ids=" ".join)
def test_offline_and_without_a_copy_the_run_ends_with_what_to_do(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    with site({"/a": page(LEAVE)}) as here:
        ended = run(tmp_path, here, "one", "--offline", *more)
        assert here.asked == []
    assert ended.code == 3
    assert ended.err.startswith("error: job.yaml:")
    assert "3 offline" in ended.err


# Wikipedia.


def wiki(articles: dict[str, str]) -> Route:
    """The part of MediaWiki's interface that is used, as its own documentation describes it."""

    def answer(handler: Any) -> Route:
        query = {name: values[0] for name, values in parse_qs(urlsplit(handler.path).query).items()}
        assert (query["action"], query["format"], query["formatversion"]) == ("query", "json", "2")
        if query.get("list") == "search":
            names = [name for name in articles if query["srsearch"] in articles[name]]
            begin = int(query["sroffset"])
            found = names[begin : begin + 2]
            reply: dict[str, Any] = {"query": {"search": [{"title": name} for name in found]}}
            if begin + 2 < len(names):
                reply["continue"] = {"sroffset": begin + 2}
        elif query["titles"] == "Broken":
            reply = {"error": {"code": "internal", "info": "it broke"}}
        else:
            reply = {"query": {"pages": [article(query["titles"])]}}
        return page(json.dumps(reply), "application/json")

    def article(title: str) -> dict[str, Any]:
        if title not in articles:
            return {"title": title, "missing": True}
        url = f"https://en.wikipedia.org/wiki/{title.replace(' ', '_')}"
        revisions = [{"revid": len(title), "timestamp": "2024-03-01T08:00:00Z"}]
        found = {"title": title, "extract": articles[title], "fullurl": url}
        return {**found, "pagelanguage": "en", "revisions": revisions}

    return answer  # type: ignore[return-value]


def wikipedia(folder: Path, here: Site, **settings: Any) -> tuple[list[Seed], list[BadSeed]]:
    return read(folder, "wikipedia", api=f"{here.url}/w/api.php", **settings)


class _Anywhere(dict[str, Route]):
    """One route for all paths."""

    def get(self, key: str, default: Any = None) -> Any:
        return self["*"]


def test_articles_come_by_title_and_by_search(tmp_path: Path) -> None:
    articles = {f"Leave {n}": f"{n}. {LEAVE}" for n in range(5)} | {"Other": "Nothing here."}
    with site({}) as here:
        here.routes = _Anywhere({"*": wiki(articles)})
        rows, bad = wikipedia(
            tmp_path, here, titles=["Leave 3", "Nowhere", "Broken"], search="twenty", max_pages=4
        )
    documents = [str(row.data["document"]).rpartition("/")[2] for row in rows]
    assert documents == ["Leave_3", "Leave_0", "Leave_1", "Leave_2"]  # each once
    assert [(each.key, each.reason) for each in bad] == [
        ("Nowhere", "not_found"),
        ("Broken", "http_error"),
    ]
    metadata = rows[0].data["metadata"]
    expected = ("Leave 3", "2024-03-01", "en", 7)
    assert tuple(metadata[n] for n in ("title", "date", "language", "revision")) == expected
    assert metadata["url"] == rows[0].data["document"]


@pytest.mark.parametrize("body", ["<html>", "[]", "{}", '{"query": {"pages": [{"title": "A"}]}}'])
def test_answers_that_are_none_of_a_wiki_are_malformed(tmp_path: Path, body: str) -> None:
    with site({}) as here:
        here.routes = _Anywhere({"*": page(body, "application/json")})
        with pytest.raises(SourceError, match="2 malformed"):
            wikipedia(tmp_path, here, titles="A", search="x")


# arXiv.

PAPER = """<entry><id>http://arxiv.org/abs/{number}v2</id><title>A paper
  of {number}</title><summary>  We show that {number} is a number and that papers are written
 about such things every day of the year. </summary><published>2017-06-12T17:57:34Z</published>
<author><name>Ada L.</name></author><author><name>Alan T.</name></author>
<link href="{pdf}" rel="related" title="pdf" type="application/pdf"/>
<category term="cs.CL"/><category term="cs.LG"/></entry>"""
ERROR = """<entry><id>http://arxiv.org/api/errors#incorrect_id_format</id><title>Error</title>
<summary>incorrect id format</summary></entry>"""


def arxiv(numbers: list[str], pdf: str = "") -> Route:
    def answer(handler: Any) -> Route:
        query = {name: values[0] for name, values in parse_qs(urlsplit(handler.path).query).items()}
        if "id_list" in query:
            found = [n for n in numbers if n in query["id_list"]]
        else:
            begin = int(query["start"])
            found = numbers[begin : begin + int(query["max_results"])]
        entries = "".join(PAPER.format(number=number, pdf=pdf) for number in found)
        feed = f'<feed xmlns="http://www.w3.org/2005/Atom">{entries}</feed>'
        return page(feed, "application/atom+xml")

    return answer  # type: ignore[return-value]


def test_abstracts_come_by_number_and_by_query(tmp_path: Path) -> None:
    numbers = [f"1706.{n:05}" for n in range(150)]
    with site({}) as here:
        here.routes = _Anywhere({"*": arxiv(numbers)})
        api = {"api": f"{here.url}/api/query", "max_papers": 120}
        ids = ["1706.00149", "9999.00001", "1706.00001v2", "1706.00002v1"]
        rows, bad = read(tmp_path, "arxiv", **api, ids=ids, query="cat:cs.CL")
        assert len(here.asked) == 3
    assert len(rows) == 121  # three by number; of the 120 found, two more times the same
    assert [(each.key, each.reason) for each in bad] == [
        ("9999.00001", "not_found"),
        ("1706.00002v1", "not_found"),
    ]
    data = rows[0].data
    assert data["document"] == "http://arxiv.org/abs/1706.00001v2"
    assert str(data["context"]).startswith("We show that 1706.00001 is a number and that papers")
    metadata = data["metadata"]
    assert metadata["title"] == "A paper of 1706.00001"
    assert metadata["authors"] == ["Ada L.", "Alan T."]
    assert metadata["categories"] == ["cs.CL", "cs.LG"]
    assert metadata["date"] == "2017-06-12"


def test_errors_of_arxiv_are_passed_on(tmp_path: Path) -> None:
    with site({}) as here:
        here.routes = _Anywhere({"*": page(f"<feed>{ERROR}</feed>", "application/atom+xml")})
        with pytest.raises(SourceError, match=r"1 http_error.*incorrect id format"):
            read(tmp_path, "arxiv", api=f"{here.url}/api/query", ids="1706.03762")


def pdf(text: str) -> bytes:
    """A page that shows `text`."""
    show = f"BT /F 12 Tf 72 700 Td ({text}) Tj ET"
    font = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
    parts = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        f"<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F {font}>>>>>>",
        f"<</Length {len(show)}>>stream\n{show}\nendstream",
    ]
    body = "%PDF-1.4\n"
    places = []
    for number, part in enumerate(parts, 1):
        places.append(f"{len(body):010} 00000 n \n")
        body += f"{number} 0 obj{part}endobj\n"
    table = f"xref\n0 5\n0000000000 65535 f \n{''.join(places)}"
    return f"{body}{table}trailer<</Size 5/Root 1 0 R>>\nstartxref\n{len(body)}\n%%EOF".encode()


def test_the_pdf_of_a_paper_is_read_where_the_full_text_is_wanted(tmp_path: Path) -> None:
    with site({}) as here:
        here.routes |= {"/paper.pdf": (200, {"Content-Type": "application/pdf"}, pdf(LEAVE))}
        api = "/api/query?id_list=1706.03762&max_results=1"
        here.routes[api] = arxiv(["1706.03762"], f"{here.url}/paper.pdf")
        settings = {"api": f"{here.url}/api/query", "ids": "1706.03762", "full": True}
        rows, _ = read(tmp_path, "arxiv", **settings)
    assert "twenty days of leave" in str(rows[0].data["context"])
    assert rows[0].data["metadata"]["format"] == "pdf"
    assert rows[0].data["metadata"]["title"] == "A paper of 1706.03762"


@pytest.mark.parametrize("kind", ["arxiv", "wikipedia"])
def test_a_source_that_names_nothing_is_refused(kind: str) -> None:
    with pytest.raises(UsageError, match="give '"):
        build(kind)
    with pytest.raises(UsageError, match="no number of arXiv"):
        build("arxiv", ids="attention")
