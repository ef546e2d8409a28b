"""Made-up data in the place of personal data: the same form, and nobody's.

    stand_in("email", "jo.smith@corp.com", key)   ->  "user3f2a9c01@example.com"
    stand_in("phone", "+44 20 7946 0000", key)    ->  "+44 7700 900417"

The same value and key give the same stand-in, whatever row they stand in. Where an authority keeps
values free for such use, they are taken: example.com, 555-01xx and the numbers that Ofcom, ARCEP,
the ACMA and the Bundesnetzagentur set aside for fiction, documentation networks, IBANs and tax
numbers that cannot be valid. Every other number keeps its form and gets a wrong check digit, so
that it can be no one's.
"""

import hashlib
import re
from collections.abc import Callable
from functools import partial
from itertools import count

from pipelines.rows import canonical
from pipelines.stages.safety.checksums import CHECKS, luhn
from pipelines.stages.safety.entities import bare

_FIRST = (
    "Alex",
    "Robin",
    "Sam",
    "Kim",
    "Jordan",
    "Taylor",
    "Morgan",
    "Casey",
    "Jamie",
    "Avery",
    "Riley",
    "Quinn",
    "Charlie",
    "Noel",
)
_LAST = (
    "Example",
    "Sample",
    "Placeholder",
    "Specimen",
    "Fictional",
    "Testman",
    "Mockford",
    "Demoson",
    "Nobody",
)
_STREETS = ("Example", "Sample", "Specimen", "Placeholder", "Fictional")
_MAIL_SPACE = 16**8
_DIGITS = re.compile(r"(\d+)")

Draw = Callable[[int], int]


_FREE_PHONES: dict[str, Callable[[Draw], str]] = {
    "44": lambda draw: f"+44 7700 900{draw(1000):03}",
    "33": lambda draw: f"+33 6 39 98 {draw(100):02} {draw(100):02}",
    "49": lambda draw: f"+49 30 23125 {draw(1000):03}",
    "61": lambda draw: f"+61 491 570 {(6, 156, 157, 158, 159, 110)[draw(6)]:03}",
}
"""Country code -> numbers that its authority keeps free for fiction."""


def stand_in(kind: str, value: str, key: str) -> str:
    """A made-up datum of a kind; `key` is secret where the job's seed is."""
    plain = bare(value) if kind in CHECKS or kind in {"phone", "passport"} else value.casefold()
    draw = drawing(key, kind, plain)
    makers: dict[str, Callable[[], str]] = {
        "email": lambda: f"user{draw(_MAIL_SPACE):08x}@example.com",
        "phone": lambda: _phone(plain if value.lstrip().startswith("+") else "", draw),
        "card": lambda: _card(value, draw),
        "iban": lambda: reshaped(value[:2] + "00" + _like(bare(value)[4:], draw), value),
        "us_ssn": lambda: reshaped(f"666{1 + draw(99):02}{1 + draw(9999):04}", value),
        "uk_nino": lambda: reshaped(f"QQ{draw(10**6):06}C", value),
        "ip": lambda: _ip(value, draw),
        "url": lambda: f"https://example.com/{draw(_MAIL_SPACE):08x}",
        "birth_date": lambda: _date(value, draw),
        "name": lambda: f"{_FIRST[draw(len(_FIRST))]} {_LAST[draw(len(_LAST))]}",
        "address": lambda: f"{1 + draw(999)} {_STREETS[draw(len(_STREETS))]} Street",
    }
    make = makers.get(kind, partial(_unchecked, kind, value, draw))
    return make()


def drawing(*seed: str) -> Draw:
    """A function that gives whole numbers below its argument, a sequence decided by `seed`."""
    turns = count()

    def draw(below: int) -> int:
        text = canonical([*seed, next(turns)]).encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") % below

    return draw


def reshaped(characters: str, like: str) -> str:
    """`characters` with the separators that `like` has."""
    source = iter(characters)
    return "".join(next(source, "") if c.isalnum() else c for c in like)


def _like(value: str, draw: Draw) -> str:
    """Other letters and digits of the same classes."""
    return "".join(
        str(draw(10)) if c.isdigit() else chr(ord("A" if c.isupper() else "a") + draw(26))
        if c.isascii() and c.isalpha() else c
        for c in value
    )  # fmt: skip


def _unchecked(kind: str, value: str, draw: Draw) -> str:
    """Of the same form, and with a check digit that is wrong where the kind has one."""
    check = CHECKS.get(kind)
    while True:
        made = reshaped(_like(bare(value), draw), value)
        if check is None or not _passes(check, bare(made)):
            return made


def _passes(check: Callable[[str], bool], number: str) -> bool:
    try:
        return check(number)
    except ValueError:
        return False


def _card(value: str, draw: Draw) -> str:
    """A number of the range 424242, which payment systems use for tests, with its Luhn digit."""
    length = len(bare(value))
    body = "424242" + "".join(str(draw(10)) for _ in range(length - 7))
    check = next(digit for digit in "0123456789" if luhn(body + digit))
    return reshaped(body + check, value)


def _phone(number: str, draw: Draw) -> str:
    """A number set aside for fiction, of the country where it has one we know, else of the US."""
    for code, make in _FREE_PHONES.items():
        if number.startswith(code):
            return make(draw)
    place = f"{2 + draw(8)}{draw(10)}{draw(10)}"
    local = f"({place}) 555-01{draw(100):02}"
    return f"+1 {local}" if number else local


def _ip(value: str, draw: Draw) -> str:
    """An address of the networks kept for documentation (RFC 5737, RFC 3849)."""
    if ":" in value:
        return f"2001:db8::{draw(2**16):x}:{draw(2**16):x}"
    return f"{('192.0.2', '198.51.100', '203.0.113')[draw(3)]}.{1 + draw(254)}"


def _date(value: str, draw: Draw) -> str:
    """A date of the same form, with another day and year; a month in words stays."""
    parts = _DIGITS.split(value)
    return "".join(_other(part, draw) if part.isdigit() else part for part in parts)


def _other(part: str, draw: Draw) -> str:
    if len(part) == 4:
        return str(1940 + draw(65))
    return f"{1 + draw(12):0{len(part)}}"
