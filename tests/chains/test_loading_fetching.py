import gzip
import ssl
import subprocess
import time
import tracemalloc
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from fake_site import Route, moved, page, site

from chains.loading import Unreadable
from chains.loading import fetching as module
from chains.loading.fetching import Answer, Fetcher, RequestLimits
from chains.loading.web_addresses import is_public, parse_url, reachable, resolve

TEXT = {"text/plain": ".txt", "text/html": ".html"}
HERE = frozenset({"127.0.0.1"})


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def fetched(
    routes: dict[str, Route], path: str = "/", *, allow: frozenset[str] = HERE, **limits: float
) -> Answer:
    settings = {"max_bytes": 100_000, "seconds": 5.0, **limits}
    with site(routes) as here:
        wanted = RequestLimits(allow_hosts=allow, **settings)  # type: ignore[arg-type]
        return Fetcher(wanted, pause=lambda seconds: None).get(here.url + path, TEXT)


def reason(routes: dict[str, Route], path: str = "/", **limits: float) -> str:
    with pytest.raises(Unreadable) as caught:
        fetched(routes, path, **limits)
    return caught.value.reason


# Addresses.

PRIVATE = """
0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.255.255.254 169.254.169.254 172.16.0.1 172.31.255.255
192.0.0.8 192.0.2.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.9 224.0.0.1 239.255.255.250
240.0.0.1 255.255.255.255
:: ::1 ::ffff:127.0.0.1 ::ffff:a00:1 ::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 2001:db8::1
2002:7f00:1::1 2001:0:7f00:1::80ff:fffe 3fff::1 fc00::1 fd12:3456::1 fe80::1 fec0::1 ff02::1
not-an-address
"""
PUBLIC = """
1.1.1.1 8.8.8.8 93.184.215.14 172.15.0.1 172.32.0.1 100.63.255.255 100.128.0.1 223.255.255.1
2606:4700:4700::1111 2a00:1450:4001::1 ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1
"""


@pytest.mark.parametrize("address", PRIVATE.split())
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC.split())
def test_addresses_that_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        *["2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "localhost", "[::1]", "0"],
        *["[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "127.0.0.1."],
    ],
)
def test_every_way_to_write_this_machine_is_refused(host: str) -> None:
    with pytest.raises(Unreadable) as caught:
        reachable(parse_url(f"http://{host}/"), frozenset())
    assert caught.value.reason in {"private_address", "unknown_host"}
    if host not in {"127.0.0.1.", "[::1]"}:
        assert caught.value.reason == "private_address"


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    address = parse_url("http://mixed.example/")
    with pytest.raises(Unreadable, match=r"10\.0\.0\.1.*allow_hosts"):
        reachable(address, frozenset(), lambda host, port: ["8.8.8.8", "10.0.0.1"])
    assert reachable(address, frozenset(), lambda host, port: ["8.8.8.8"]) == ["8.8.8.8"]


@pytest.mark.parametrize("allowed", ["wiki.local", "wiki.local:8080"])
def test_a_host_that_is_named_may_be_private(allowed: str) -> None:
    def found(host: str, port: int) -> list[str]:
        return ["10.0.0.1"]

    address = parse_url("http://wiki.local:8080/")
    assert reachable(address, frozenset({allowed}), found) == ["10.0.0.1"]
    for other in ("http://wiki.local.example:8080/", "http://example/"):
        with pytest.raises(Unreadable):
            reachable(parse_url(other), frozenset({allowed}), found)


@pytest.mark.parametrize(
    "url",
    [
        *["file:///etc/passwd", "ftp://example.org/", "gopher://x", "javascript:alert(1)", "//x/y"],
        *["", "http://", "http://user:pw@example.org/", "http://a b/", "http://exa\nmple.org/"],
        *["http://example.org:99999/", "http://127.0.0.1\\@example.org/", "http://[::1"],
        *["x" * 9000, "http://example.org/\r\nX-Header: 1"],
    ],
)
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(Unreadable) as caught:
        parse_url(url)
    assert caught.value.reason == "bad_url"


def test_urls_are_written_one_way() -> None:
    assert parse_url("HTTP://Example.ORG:80/a b?q=ü#top").url == "http://example.org/a%20b?q=%C3%BC"
    assert parse_url("https://bücher.example").url == "https://xn--bcher-kva.example/"
    assert parse_url("../c?x=[1]", parse_url("https://e.org:8443/a/b")).url == (
        "https://e.org:8443/c?x=[1]"
    )


def test_the_system_resolves_names() -> None:
    assert "127.0.0.1" in resolve("localhost", 80)


# Requests.


def test_a_page_is_read_with_its_type_and_encoding() -> None:
    packed = gzip.compress(b"hello") + gzip.compress(b" you")
    head = {"Content-Type": "text/plain; charset=latin-1", "Content-Encoding": "gzip"}
    answer = fetched({"/": (200, head, packed)})
    assert (answer.body, answer.suffix) == (b"hello you", ".txt")


def test_a_host_that_is_not_allowed_is_never_asked() -> None:
    with site({"/": page("secret")}) as here:
        with pytest.raises(Unreadable) as caught:
            Fetcher(RequestLimits()).get(here.url, TEXT)
        assert caught.value.reason == "private_address"
        assert here.asked == []


def test_redirects_are_followed_and_counted() -> None:
    routes: dict[str, Route] = {f"/{n}": moved(f"/{n + 1}", 301 + n % 2) for n in range(5)}
    answer = fetched({**routes, "/5": page("end")}, "/0")
    assert (answer.body, answer.url.rpartition("/")[2]) == (b"end", "5")
    routes["/5"] = moved("/6")
    assert reason({**routes, "/6": page("end")}, "/0") == "redirects"
    assert reason({"/": moved("/")}) == "redirects"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("http://169.254.169.254/latest/meta-data/", "private_address"),
        ("http://[::1]/", "private_address"),
        ("http://2852039166/", "private_address"),
        ("//10.0.0.1/", "private_address"),
        ("file:///etc/passwd", "bad_url"),
        ("gopher://127.0.0.1/", "bad_url"),
    ],
)
def test_a_redirect_is_checked_like_the_first_address(target: str, expected: str) -> None:
    assert reason({"/": moved(target)}) == expected


def test_a_name_is_looked_up_once_so_that_it_cannot_change_its_mind() -> None:
    looked_up: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        """Public at first, then this machine."""
        looked_up.append(host)
        return ["192.0.43.10"] if len(looked_up) == 1 else ["127.0.0.1"]

    with site({"/": page("secret")}) as here:
        port = here.url.rpartition(":")[2]
        limits = RequestLimits(seconds=0.4)
        with pytest.raises(Unreadable) as caught:
            Fetcher(limits, resolver=rebinding).get(f"http://rebind.example:{port}/", TEXT)
        assert here.asked == []
    assert looked_up == ["rebind.example"]
    assert caught.value.reason in {"timed_out", "unreachable"}  # of 192.0.43.10, not of here


def test_the_connection_goes_to_the_checked_address_and_names_the_host() -> None:
    with site({"/": page("here")}) as here:
        port = here.url.rpartition(":")[2]
        limits = RequestLimits(allow_hosts=frozenset({"nowhere.invalid"}))
        fetcher = Fetcher(limits, resolver=lambda host, port: ["127.0.0.1"])
        assert fetcher.get(f"http://nowhere.invalid:{port}/", TEXT).body == b"here"
        assert here.headers[0]["host"] == f"nowhere.invalid:{port}"
        assert here.headers[0]["user-agent"] == "textmill"


def test_a_body_over_the_limit_is_refused_by_its_length_and_by_counting() -> None:
    assert len(fetched({"/": page("x" * 1000)}, max_bytes=1000).body) == 1000
    assert reason({"/": page("x" * 1001)}, max_bytes=1000) == "too_large"

    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/plain")
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 65536)

    assert reason({"/": endless}) == "too_large"


def test_a_gzip_bomb_is_not_unpacked() -> None:
    once = gzip.compress(bytes(50_000_000))  # 50 MB in 50 KB
    head = {"Content-Type": "text/plain", "Content-Encoding": "gzip"}
    tracemalloc.start()
    try:
        assert reason({"/": (200, head, once)}, max_bytes=1_000_000) == "too_large"
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("cut", [1, 5, 12])
def test_gzip_that_is_cut_or_damaged_is_no_page(cut: int) -> None:
    head = {"Content-Type": "text/plain", "Content-Encoding": "gzip"}
    packed = gzip.compress(b"hello you")
    assert reason({"/": (200, head, packed[:-cut])}) == "http_error"
    assert reason({"/": (200, head, b"\x1f\x8b" + packed[cut:])}) == "http_error"


def test_an_answer_that_never_ends_is_left_when_its_time_is_up() -> None:
    def dripping(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/plain")
        handler.end_headers()
        while True:
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    def dripping_head(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    for slow in (dripping, dripping_head):
        began = time.monotonic()
        assert reason({"/": slow}, seconds=0.5) == "timed_out"
        assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ((404, {}, b""), "not_found"),
        ((410, {}, b""), "not_found"),
        ((403, {}, b""), "http_error"),
        ((418, {}, b""), "http_error"),
        ((302, {}, b""), "http_error"),
        (page("x", "image/png"), "wrong_type"),
        ((200, {}, b"x"), "wrong_type"),
        ((200, {"Content-Type": "text/plain", "Content-Encoding": "br"}, b"x"), "http_error"),
        ((200, {"Content-Type": "text/plain", "Content-Length": "90"}, b"x"), "http_error"),
    ],
)
def test_answers_that_are_no_page(reply: Route, expected: str) -> None:
    assert reason({"/": reply}) == expected


def test_a_type_that_is_not_told_is_known_by_the_ending() -> None:
    assert fetched({"/a.txt": (200, {}, b"x")}, "/a.txt").suffix == ".txt"
    head = {"Content-Type": "application/octet-stream"}
    assert fetched({"/a.html?v=1": (200, head, b"x")}, "/a.html?v=1").suffix == ".html"


def test_what_is_not_http_is_said() -> None:
    def other(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"220 mail.example ESMTP\r\n")

    assert reason({"/": other}) == "http_error"
    with pytest.raises(Unreadable) as caught:
        Fetcher(RequestLimits(allow_hosts=HERE)).get("http://127.0.0.1:1/", TEXT)
    assert caught.value.reason == "unreachable"


def test_a_busy_server_is_asked_again_after_the_time_it_names() -> None:
    replies: list[Route] = [(429, {"Retry-After": "7"}, b""), (503, {}, b""), page("now")]
    waits: list[float] = []
    with site({}) as here:
        here.routes["/"] = lambda handler: replies[len(here.asked) - 1]  # type: ignore[return-value]
        fetcher = Fetcher(RequestLimits(allow_hosts=HERE), pause=waits.append)
        assert fetcher.get(here.url, TEXT).body == b"now"
        here.routes["/"] = (503, {"Retry-After": "99999"}, b"")
        with pytest.raises(Unreadable, match="http_error: status 503"):
            fetcher.get(here.url, TEXT)
        assert len(here.asked) == 6
    assert waits == [7, 2, 30, 30]


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    """A server's side of TLS with a certificate of its own for `name`."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    extra = ["-subj", "/CN=x", "-addext", f"subjectAltName=DNS:{name}"]
    subprocess.run([*command, *files, *extra], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_tls_is_checked_against_the_name_of_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server_side = certificate(tmp_path, "right.example")
    ours = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    hosts = frozenset({"right.example", "wrong.example"})
    with site({"/": page("safe")}, server_side) as here:
        port = here.url.rpartition(":")[2]
        fetcher = Fetcher(RequestLimits(allow_hosts=hosts), resolver=lambda h, p: ["127.0.0.1"])
        with pytest.raises(Unreadable, match=r"tls: right.example.*self-signed"):
            fetcher.get(f"https://right.example:{port}/", TEXT)
        monkeypatch.setattr(module, "_trusted", lambda: ours)
        assert fetcher.get(f"https://right.example:{port}/", TEXT).body == b"safe"
        with pytest.raises(Unreadable, match=r"tls: wrong.example.*not valid for 'wrong.example'"):
            fetcher.get(f"https://wrong.example:{port}/", TEXT)


def test_a_proxy_of_the_environment_is_used_and_private_targets_still_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with site({"http://93.184.215.14:80/x": page("through the proxy")}) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        fetcher = Fetcher(RequestLimits())
        assert fetcher.get("http://93.184.215.14/x", TEXT).body == b"through the proxy"
        with pytest.raises(Unreadable, match="private_address"):
            fetcher.get("http://169.254.169.254/", TEXT)
        assert len(proxy.asked) == 1
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with site({"/": page("direct")}) as here:
            assert Fetcher(RequestLimits(allow_hosts=HERE)).get(here.url, TEXT).body == b"direct"
