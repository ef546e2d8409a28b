"""Addresses of the web: what a URL says, and whether a job may ask the machine that it leads to.

    address = parse_url("https://example.org/a page#top")
    address.url                     # "https://example.org/a%20page"
    reachable(address, frozenset()) # ["93.184.215.14"]: connect to these, and resolve no more

    parse_url("file:///etc/passwd")                            # Unreadable("bad_url", ...)
    reachable(parse_url("http://2130706433/"), frozenset())    # Unreadable("private_address", ...)

A name is looked up once and the connection made to what was found then: a name that answers with
another address the second time (DNS rebinding) gains nothing.
"""

import ipaddress
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from chains.loading.base import Unreadable

Resolver = Callable[[str, int], list[str]]
"""Takes a host and a port to IP addresses in the order to try; raises OSError."""

_PORTS = {"http": 80, "https": 443}
_SAFE = "/%:@!$&'()*+,;=~-._"
_LONGEST = 4000  # characters

_UNICAST = ipaddress.ip_network("2000::/3")  # all of IPv6 that is given out to be reached
_DOCUMENTATION = ipaddress.ip_network("3fff::/20")  # RFC 9637; older Pythons call it global
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SPECIAL = [
    ipaddress.ip_network(text)
    for text in (
        "100.64.0.0/10",  # carrier-grade NAT
        "192.0.0.0/24",  # protocol assignments, which Pythons do not agree about
        "192.88.99.0/24",  # once the relays of 6to4
    )
]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a request goes.

    Attributes:
        scheme: `http` or `https`.
        host: Lower case, in ASCII; an IPv6 address without brackets.
        port: Of the host.
        target: Path and query.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def place(self) -> str:
        """Host, and port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.place}"

    @property
    def url(self) -> str:
        """All of it, without a fragment."""
        return self.origin + self.target


def parse_url(text: str, base: Address | None = None) -> Address:
    """The address that `text` names, seen from `base` where it is relative.

    Raises:
        Unreadable: `bad_url`: no http or https, no host, a user name, or control characters.
    """
    if len(text) > _LONGEST or re.search(r"[\x00-\x20\x7f\\]", text.strip().replace(" ", "%20")):
        raise Unreadable("bad_url", f"no URL: {text[:80]!r}")
    try:
        parts = urlsplit(urljoin(base.url, text.strip()) if base else text.strip())
        host, port = parts.hostname or "", parts.port
        ascii_host = host if ":" in host else host.encode("idna").decode("ascii")
    except (ValueError, UnicodeError) as exc:
        raise Unreadable("bad_url", f"{text[:80]!r}: {exc}") from exc
    if parts.scheme not in _PORTS:
        raise Unreadable("bad_url", f"'{text[:80]}' is not http or https")
    if "@" in parts.netloc:
        raise Unreadable("bad_url", f"a user name or password before '{host}'")
    if not ascii_host or not re.fullmatch(r"[\w.:-]+", ascii_host, re.ASCII):
        raise Unreadable("bad_url", f"'{text[:80]}' names no host")
    target = quote(parts.path or "/", safe=_SAFE)
    target += f"?{quote(parts.query, safe=_SAFE + '?[]')}" if parts.query else ""
    return Address(parts.scheme, ascii_host.lower(), port or _PORTS[parts.scheme], target)


def resolve(host: str, port: int) -> list[str]:
    """The addresses that the system knows for a host.

    Raises:
        OSError: It knows none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def reachable(
    address: Address, allow_hosts: frozenset[str], resolver: Resolver = resolve
) -> list[str]:
    """The IP addresses to connect to, each of them public unless the host is allowed by name.

    Args:
        address: Whom to ask.
        allow_hosts: Hosts, or `host:port`, that may be anywhere.
        resolver: Looks the name up.

    Raises:
        Unreadable: `unknown_host`, or `private_address` where one of the addresses is not public.
    """
    try:
        found = resolver(address.host, address.port)
    except (OSError, UnicodeError) as exc:
        why = getattr(exc, "strerror", None) or str(exc)
        raise Unreadable("unknown_host", f"'{address.host}': {why}") from exc
    if not found:
        raise Unreadable("unknown_host", f"'{address.host}' has no address")
    if not is_allowed(address, allow_hosts):
        for each in found:
            if not is_public(each):
                what = each if each == address.host else f"{address.host} ({each})"
                detail = f"{what} is not public; to read it, name it in 'fetch.allow_hosts'"
                raise Unreadable("private_address", detail)
    return found


def is_allowed(address: Address, allow_hosts: frozenset[str]) -> bool:
    """Whether the job names the host, with or without its port."""
    return bool({address.host, f"{address.host}:{address.port}"} & allow_hosts)


def is_public(text: str) -> bool:
    """Whether an IP address is one of the open internet, also where one lies inside another."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_public(str(inner))
        return address in _UNICAST and address not in _DOCUMENTATION and not address.is_private
    special = address.is_private or address.is_multicast or address.is_reserved
    return not (special or any(address in network for network in _SPECIAL))


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that traffic to this one ends at: mapped, 6to4, Teredo or NAT64."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
