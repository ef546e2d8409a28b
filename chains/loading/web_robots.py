"""Manners towards web servers: what robots.txt forbids is not read, and requests leave a pause.

    manners = Manners(read_robots, delay=1.0)
    manners.check(parse_url("https://example.org/private/x"))   # Unreadable("robots", ...)
    manners.wait(address)       # until a second has passed since the last request to this host

robots.txt is read as RFC 9309 says: the longest rule that fits decides, a site without the file
allows all, and one that answers with a server's error allows nothing.
"""

import time
from collections.abc import Callable
from typing import Any

from chains.loading.base import Unreadable
from chains.loading.web_addresses import Address

AGENT = "textmill"
"""The name that groups of rules in a robots.txt may use."""

_LONGEST_DELAY = 120.0  # seconds; a site that asks for more does not want to be read


class Manners:
    """What is known of each site while sources read it.

    Args:
        read_robots: Gives the text of a robots.txt by its URL; raises Unreadable.
        delay: Seconds between two requests to a host; a site's `Crawl-delay` may ask for more.
        clock: Seconds, only ever compared with each other.
        pause: Waits.
    """

    def __init__(
        self,
        read_robots: Callable[[str], str],
        delay: float,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._read_robots = read_robots
        self._delay = delay
        self._clock = clock
        self._pause = pause
        self._rules: dict[str, Any] = {}
        self._delays: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def check(self, address: Address) -> None:
        """Look an address up in the rules of its site.

        Raises:
            Unreadable: `robots`; or why robots.txt cannot be had from that server at all.
        """
        rules = self._rules_of(address.origin)
        if not rules.can_fetch(address.url, AGENT):
            raise Unreadable("robots", f"{address.origin}/robots.txt forbids it")
        asked = float(rules.crawl_delay(AGENT) or 0)
        if asked > _LONGEST_DELAY:
            detail = f"{address.origin}/robots.txt asks for {asked:g} seconds between pages"
            raise Unreadable("robots", detail)
        self._delays[address.host] = asked

    def wait(self, address: Address) -> None:
        """Wait until the host may be asked again, and count from now on."""
        host = address.host
        if host in self._last:
            delay = max(self._delay, self._delays.get(host, 0.0))
            left = self._last[host] + delay - self._clock()
            if left > 0:
                self._pause(left)
        self._last[host] = self._clock()

    def _rules_of(self, origin: str) -> Any:
        from protego import Protego

        if origin not in self._rules:
            self._rules[origin] = Protego.parse(self._text(origin))
        return self._rules[origin]

    def _text(self, origin: str) -> str:
        try:
            return self._read_robots(f"{origin}/robots.txt")
        except Unreadable as bad:
            unavailable = bad.reason == "http_error" and bad.detail.startswith("status 4")
            if unavailable or bad.reason in {"not_found", "redirects"}:
                return ""
            if bad.reason == "http_error":
                raise Unreadable("robots", f"{origin}/robots.txt: {bad.detail}") from bad
            raise
