import itertools
import json
from pathlib import Path

import pytest
from fake_site import Route, Site, moved, page, site

from chains.loading import Unreadable
from chains.loading.fetching import RequestLimits
from chains.loading.web import PAGES, Refresh, Web, read_page
from chains.loading.web_addresses import parse_url
from chains.loading.web_cache import WebCache
from chains.loading.web_feeds import FeedItem, read_feed, read_sitemap
from chains.loading.web_robots import Manners

DATE = "Fri, 01 Mar 2024 08:00:00 GMT"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def web(folder: Path, *, delay: float = 0, refresh: Refresh = False, offline: bool = False) -> Web:
    limits = RequestLimits(max_bytes=100_000, seconds=5, allow_hosts=frozenset({"127.0.0.1"}))
    return Web(limits, WebCache(folder), delay=delay, refresh=refresh, offline=offline)


def reason(found: Web, url: str, *, robots: bool = False) -> str:
    with pytest.raises(Unreadable) as caught:
        found.fetch(url, PAGES, robots=robots)
    return caught.value.reason


# The cache.


def test_a_page_is_asked_for_once_and_then_read_from_the_cache(tmp_path: Path) -> None:
    with site({"/": page("one", Last_Modified=DATE)}) as here:
        first = web(tmp_path).fetch(here.url, PAGES, robots=False)
        here.routes["/"] = page("two")
        again = web(tmp_path).fetch(here.url, PAGES, robots=False)
        assert (first.body, first.modified) == (b"one", "2024-03-01")
        assert again == first
        assert here.asked == ["/"]
    assert web(tmp_path, offline=True).fetch(here.url, PAGES, robots=False) == first


def test_faults_are_kept_too_until_they_are_tried_again(tmp_path: Path) -> None:
    with site({}) as here:
        assert reason(web(tmp_path), here.url) == "not_found"
        here.routes["/"] = page("now")
        assert reason(web(tmp_path), here.url) == "not_found"
        assert here.asked == ["/"]
        assert web(tmp_path, refresh="failed").fetch(here.url, PAGES, robots=False).body == b"now"
        here.routes["/"] = page("later")
        assert web(tmp_path, refresh="failed").fetch(here.url, PAGES, robots=False).body == b"now"
        assert here.asked == ["/", "/"]


def test_what_failed_for_a_while_can_be_forgotten(tmp_path: Path) -> None:
    with site({"/": (403, {}, b"")}) as here:
        first = web(tmp_path)
        assert reason(first, here.url) == "http_error"
        assert reason(first, here.url + "/gone") == "not_found"
        first.forget_faults()
        here.routes |= {"/": page("now"), "/gone": page("back")}
        assert web(tmp_path).fetch(here.url, PAGES, robots=False).body == b"now"
        assert reason(web(tmp_path), here.url + "/gone") == "not_found"


def test_a_refresh_asks_once_a_run_and_with_what_the_copy_is_known_by(tmp_path: Path) -> None:
    with site({"/": page("one", ETag='"7"', Last_Modified=DATE)}) as here:
        web(tmp_path).fetch(here.url, PAGES, robots=False)
        here.routes["/"] = (304, {}, b"")
        fresh = web(tmp_path, refresh=True)
        assert [fresh.fetch(here.url, PAGES, robots=False).body for _ in "ab"] == [b"one"] * 2
        assert len(here.asked) == 2
        assert here.headers[1]["if-none-match"] == '"7"'
        assert here.headers[1]["if-modified-since"] == DATE
        here.routes["/"] = page("two")
        assert web(tmp_path, refresh=True).fetch(here.url, PAGES, robots=False).body == b"two"
        here.routes["/"] = (404, {}, b"")
        assert reason(web(tmp_path, refresh=True), here.url) == "not_found"
        assert web(tmp_path).fetch(here.url, PAGES, robots=False).body == b"two"


def test_without_a_network_only_the_cache_is_used(tmp_path: Path) -> None:
    with site({"/": page("one")}) as here:
        assert reason(web(tmp_path, offline=True, refresh=True), here.url) == "offline"
        assert here.asked == []
        assert web(tmp_path).fetch(here.url, PAGES, robots=False).body == b"one"


def test_a_damaged_copy_counts_as_none(tmp_path: Path) -> None:
    with site({"/": page("one")}) as here:
        sha = web(tmp_path).fetch(here.url, PAGES, robots=False).sha256
        (tmp_path / "bodies" / sha[:2] / sha).write_bytes(b"eno")
        assert web(tmp_path).fetch(here.url, PAGES, robots=False).body == b"one"
        entry = next((tmp_path / "entries").rglob("*.json"))
        for damaged in ("", "{}", "[]", json.dumps({"url": "x", "sha": 1})):
            entry.write_text(damaged, encoding="utf-8")
            assert web(tmp_path).fetch(here.url, PAGES, robots=False).body == b"one"
        assert len(here.asked) == 6


def test_a_copy_made_under_other_rules_is_not_taken(tmp_path: Path) -> None:
    with site({"/": page("inside")}) as here:
        web(tmp_path).fetch(here.url, PAGES, robots=False)
        strict = Web(RequestLimits(max_bytes=100_000), WebCache(tmp_path), delay=0)
        assert reason(strict, here.url) == "private_address"


@pytest.mark.parametrize(
    ("media", "body", "expected"),
    [
        ("text/plain; charset=latin-1", "größer".encode("latin-1"), "größer"),
        ("text/plain; charset=latin-1", b"\xef\xbb\xbf" + "größer".encode(), "größer"),
        ("text/plain; charset=utf-16", "größer".encode("utf-16"), "größer"),
        ("text/plain; charset=klingon", "größer".encode(), "größer"),
        ("text/plain; charset=utf-8", "größer und schöner".encode("latin-1"), "größer und schöner"),
    ],
)
def test_the_server_s_encoding_is_believed_where_it_fits(
    tmp_path: Path, media: str, body: bytes, expected: str
) -> None:
    with site({"/": (200, {"Content-Type": media}, body)}) as here:
        found = read_page(web(tmp_path).fetch(here.url, PAGES, robots=False))
    assert found.text == expected


# robots.txt.

RULES = """\
User-agent: *
Disallow: /

User-agent: textmill
Disallow: /private
Allow: /private/open
Disallow: /*.cgi$
"""


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/", True),
        ("/private/x", False),
        ("/private/open", True),
        ("/a.cgi", False),
        ("/a.cgi?x", True),
    ],
)
def test_robots_txt_is_obeyed_by_the_longest_rule(tmp_path: Path, path: str, allowed: bool) -> None:
    with site({"/robots.txt": page(RULES), path: page("text")}) as here:
        if allowed:
            assert web(tmp_path).fetch(here.url + path, PAGES, robots=True).body == b"text"
        else:
            assert reason(web(tmp_path), here.url + path, robots=True) == "robots"
            assert path not in here.asked
            assert web(tmp_path).fetch(here.url + path, PAGES, robots=False).body == b"text"


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ((404, {}, b""), ""),
        ((403, {}, b""), ""),
        ((500, {}, b""), "robots"),
        (moved("/robots.txt"), ""),
        (page(RULES), ""),
    ],
)
def test_a_site_without_rules_allows_all_and_a_broken_one_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reply: Route, expected: str
) -> None:
    monkeypatch.setattr("chains.loading.fetching._TRIES", 1)
    with site({"/robots.txt": reply, "/": page("text")}) as here:
        if expected:
            assert reason(web(tmp_path), here.url, robots=True) == expected
        else:
            assert web(tmp_path).fetch(here.url, PAGES, robots=True).body == b"text"


def test_the_target_of_a_redirect_is_looked_up_in_its_own_site_s_rules(tmp_path: Path) -> None:
    there = {"/robots.txt": page(RULES), "/private": page("text")}
    with site(there) as other, site({"/": moved(f"{other.url}/private")}) as here:
        assert reason(web(tmp_path), here.url, robots=True) == "robots"
        assert other.asked == ["/robots.txt"]


# Pauses.


def test_requests_to_a_host_leave_a_pause(tmp_path: Path) -> None:
    with site({f"/{n}": page(str(n)) for n in range(3)}) as here:
        polite = web(tmp_path, delay=0.15)
        for number in range(3):
            polite.fetch(f"{here.url}/{number}", PAGES, robots=True)
        gaps = [after - before for before, after in itertools.pairwise(here.times)]
    assert len(gaps) == 3
    assert min(gaps) > 0.14


def test_a_crawl_delay_is_kept_and_other_hosts_need_not_wait() -> None:
    now = [100.0]
    waits: list[float] = []

    def pause(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    texts = {"http://slow.example/robots.txt": "User-agent: *\nCrawl-delay: 10"}
    manners = Manners(lambda url: texts.get(url, ""), 1.0, lambda: now[0], pause)
    slow, quick = parse_url("http://slow.example/"), parse_url("http://quick.example/")
    for address in (slow, quick, slow, quick, quick):
        manners.check(address)
        manners.wait(address)
    assert waits == [10.0, 1.0]
    texts["http://never.example/robots.txt"] = "User-agent: *\nCrawl-delay: 9999"
    with pytest.raises(Unreadable, match=r"robots: .*9999 seconds"):
        manners.check(parse_url("http://never.example/"))


# Sitemaps and feeds.

URLSET = """<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:i="http://www.google.com/i">
  <url><loc> https://e.org/a?x=1&amp;y=2 </loc><i:image><i:loc>https://e.org/p.png</i:loc></i:image>
  </url><url><lastmod>2024-01-01</lastmod></url><url><loc>https://e.org/b</loc></url>
</urlset>"""
INDEX = """<sitemapindex><sitemap><loc>https://e.org/1.xml</loc></sitemap></sitemapindex>"""
RSS = """<rss version="2.0"><channel><title>News</title><link>https://e.org/</link>
<item><title>One &amp; two</title><link>https://e.org/1</link>
<pubDate>Fri, 01 Mar 2024 08:00:00 GMT</pubDate></item>
<item><title>No page</title></item>
<item><link>/2</link><pubDate>yesterday</pubDate></item></channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title>
<entry><title type="html">A <b>title</b></title><link rel="self" href="https://e.org/self"/>
<link href="https://e.org/3"/><published>2024-03-01T08:00:00Z</published></entry></feed>"""
RDF = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<item><title>T</title><link>https://e.org/4</link><dc:date>2024-03-02T00:00:00Z</dc:date></item>
</rdf:RDF>"""
LAUGHS = """<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><urlset><url><loc>&c;</loc></url></urlset>"""
OUTSIDE = """<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>
<rss><item><link>&a;</link></item></rss>"""


def test_sitemaps_of_all_forms() -> None:
    assert read_sitemap(URLSET.encode()).pages == ["https://e.org/a?x=1&y=2", "https://e.org/b"]
    assert read_sitemap(INDEX.encode()).sitemaps == ["https://e.org/1.xml"]
    text = "\ufeffhttps://e.org/a\r\n\nhttps://e.org/b\n"
    assert read_sitemap(text.encode()).pages == ["https://e.org/a", "https://e.org/b"]


def test_feeds_of_all_forms() -> None:
    assert read_feed(RSS.encode()) == [
        FeedItem("https://e.org/1", "One & two", "2024-03-01"),
        FeedItem("/2", "", ""),
    ]
    assert read_feed(ATOM.encode()) == [FeedItem("https://e.org/3", "A title", "2024-03-01")]
    assert read_feed(RDF.encode()) == [FeedItem("https://e.org/4", "T", "2024-03-02")]


@pytest.mark.parametrize("text", [LAUGHS, OUTSIDE, '<!DOCTYPE rss SYSTEM "x.dtd"><rss></rss>'])
def test_document_types_and_entities_are_refused_unexpanded(text: str) -> None:
    for read in (read_sitemap, read_feed):
        with pytest.raises(Unreadable, match="xml_entities"):
            read(text.encode())


UNKNOWN = '<?xml version="1.0" encoding="nonsense"?><rss/>'
DEEP = "<rss><item><link>" + "<a>" * 50_000 + "x" + "</a>" * 50_000 + "</link></item></rss>"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        RSS[:-9],
        "<rss>&nbsp;</rss>",
        "<html></html>",
        INDEX,
        "<rss\x00/>",
        '<?xml version="1.0" encoding="nonsense"?><rss/>',
    ],
)
def test_what_is_no_feed_is_said(text: str) -> None:
    with pytest.raises(Unreadable, match="malformed"):
        read_feed(text.encode())


def test_nesting_without_end_does_not_end_the_process() -> None:
    assert read_feed(DEEP.encode()) == []
    titled = DEEP.replace("link>", "title>").replace("</item>", "<link>u</link></item>")
    assert read_feed(titled.encode()) == [FeedItem("u", "x", "")]


def test_a_packed_sitemap_is_unpacked_within_the_limit(tmp_path: Path) -> None:
    import gzip

    def packed(text: str) -> Route:
        return 200, {"Content-Type": "application/gzip"}, gzip.compress(text.encode())

    def listing(here: Site, path: str) -> bytes:
        return web(tmp_path).listing(here.url + path, {"application/gzip": ".gz"}, robots=False)

    with site({"/s.gz": packed(URLSET), "/bomb.gz": packed("x" * 200_000)}) as here:
        assert listing(here, "/s.gz") == URLSET.encode()
        with pytest.raises(Unreadable, match="too_large"):
            listing(here, "/bomb.gz")
