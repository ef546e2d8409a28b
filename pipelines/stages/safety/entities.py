r"""What personal data looks like: patterns, check digits, and words that must stand nearby.

    find("Call 020 7946 0958 or mail jo@example.org", ("email", "phone"))
    ->  [Span(5, 18, "phone"), Span(27, 41, "email")]

A pattern alone would find order numbers and dates as well. A number with a check digit must pass
it, and one whose digits are checked weakly (one in eleven passes by chance) must also stand near a
word that names it, as must dates of birth, passports and licences.
"""
# ruff: noqa: E501, RUF001 - an expression is read as one; apostrophes of both kinds are meant

import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

import regex

from pipelines.stages.safety.checksums import CHECKS, IBAN_LENGTHS
from pipelines.stages.safety.spans import Span, without_overlaps

_BEFORE, _BEHIND = 60, 25  # characters in which a word that names a number is looked for
_GAP = r"[ .\-\u00a0\u2010\u2011\u202f]"
_START, _END = r"(?<![\w.+/\-])", r"(?![\w]|[.\-/]\d)"
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATE = (
    rf"(?:\d{{1,2}}[./\-]\d{{1,2}}[./\-]\d{{2,4}}|\d{{4}}[./\-]\d{{1,2}}[./\-]\d{{1,2}}"
    rf"|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}|\d{{1,2}}(?:st|nd|rd|th)?\.? (?:of )?[^\W\d]{{3,10}}\.?,? \d{{4}})"
)
_CALL = (
    r"phone|\bcall|\bcell|mobile|\bfax|\btel\b|\btel[.:]|telephone|telef[oó]n|t[ée]l[ée]phone|"
    r"handy|\bdial|\btext (?:me|us|him|her|them)|sms|whatsapp|\breach|\bring\b|hotline|messages? to|"
    r"contact|voicemail|portable|m[oó]vil|cellulare|numer telefonu|\boffice\b|\bdesk\b|registered|"
    r"answering (?:at|on)"
)


class Pattern(NamedTuple):
    """One way in which data of a kind are written.

    Attributes:
        kind: The kind; the check of that name, if there is one, must pass.
        expression: The pattern; its group `value`, else the whole match, is the datum.
        near: What must stand near it, an expression over lower case; empty for nothing.
        digits: The least and most digits.
    """

    kind: str
    expression: str
    near: str = ""
    digits: tuple[int, int] = (0, 99)


def _number(groups: str, near: str = "") -> str:
    """Groups of so many digits, each parted from the next by at most one mark."""
    return _START + rf"{_GAP}?".join(rf"\d{{{size}}}" for size in groups.split()) + _END


def _ibans() -> Iterator[str]:
    """For each length the countries that have it: what follows a number must not be taken in."""
    for length in sorted(set(IBAN_LENGTHS.values())):
        countries = "|".join(name for name, size in IBAN_LENGTHS.items() if size == length)
        yield rf"(?i)(?<!\w)(?:{countries})\d{{2}}(?:{_GAP}?[a-z0-9]){{{length - 4}}}(?!\w)"


PATTERNS: tuple[Pattern, ...] = (
    Pattern("email", r"(?<![\w.+\-])[\w.!#$%&'*+/=?^`{|}~\-]{1,64}@(?:[\w\-]{1,63}\.)+[^\W\d_]{2,24}\b"),
    Pattern("email", r"(?i)\b[\w.+\-]{1,64} ?(?:\[at\]|\(at\)|\{at\}| at ) ?[\w\-]{1,63}"
                     r"(?: ?(?:\[dot\]|\(dot\)|\{dot\}| dot ) ?(?:[\w\-]{1,63}))*"
                     r" ?(?:\[dot\]|\(dot\)|\{dot\}| dot ) ?(?:com|org|net|edu|gov|io|[a-z]{2})\b"),
    *(Pattern("iban", expression) for expression in _ibans()),
    Pattern("in_aadhaar", _number("4 4 4"), r"aadhaa?r|uidai|\buid\b"),
    Pattern("card", rf"(?<![\w.\-]|\d )\d(?:{_GAP}?\d){{11,18}}(?!\w|[.\-]\d| \d)", digits=(12, 19)),
    Pattern("card", r"(?<![\w\-])\d{12,19}(?![\w\-])"),
    Pattern("card", rf"\b\d{{4}}(?:{_GAP}\d{{4}}){{3}}\b"),
    Pattern("it_fiscal_code", r"(?i)\b[a-z]{6}[\dl-nqr-v]{2}[a-ehlmprst][\dl-nqr-v]{2}[a-z][\dl-nqr-v]{3}[a-z]\b"),
    Pattern("fr_nir", _number("1 2 2").removesuffix(_END) + rf"{_GAP}?\d[\dABab]{_GAP}?\d{{3}}{_GAP}?\d{{3}}{_GAP}?\d{{2}}" + _END),
    Pattern("es_dni", rf"(?i){_START}(?:[xyz]{_GAP}?\d{{7}}|\d{{8}}|\d{{2}}\.\d{{3}}\.\d{{3}}){_GAP}?[a-z](?!\w)"),
    Pattern("uk_nino", r"(?i)(?<!\w)[a-z]{2} ?\d{2} ?\d{2} ?\d{2} ?[a-d](?!\w)"),
    Pattern("us_ssn", rf"{_START}\d{{3}}[\-\u2010\u2011]\d{{2}}[\-\u2010\u2011]\d{{4}}{_END}"),
    Pattern("us_ssn", _number("3 2 4"), r"\bssn|social security|\bss ?#"),
    Pattern("br_cpf", rf"{_START}\d{{3}}\.\d{{3}}\.\d{{3}}-\d{{2}}{_END}"),
    Pattern("br_cpf", _number("3 3 3 2"), r"\bcpf\b"),
    Pattern("uk_nhs", _number("3 3 4"), r"\bnhs\b|health (?:service )?n(?:umber|o)"),
    Pattern("de_tax_id", _number("2 3 3 3"), r"steuer|\btax\b|\btin\b|\bidnr|\bid-nr"),
    Pattern("pl_pesel", _number("11"), r"pesel"),
    Pattern("nl_bsn", _number("4 2 3"), r"\bbsn\b|burgerservice|sofi"),
    Pattern("nl_bsn", _number("3 3 3"), r"\bbsn\b|burgerservice|sofi"),
    Pattern("ca_sin", _number("3 3 3"), r"\bsin\b|social insurance"),
    Pattern("au_tfn", _number("3 3 3"), r"\btfn\b|tax file"),
    Pattern("passport", r"(?<![\w\-])[A-Za-z]{0,3}\d{6,9}(?!\w|-\d)", r"passport|passeport|reisepass|pasaporte"),
    Pattern("driver_license", r"(?<![\w\-])(?=[A-Za-z\-]{0,8}\d)[A-Za-z\d]{1,8}(?:[\- ]?\d[A-Za-z\d]{2,9}){1,3}(?!\w|-\d)",
            r"driver['’s]{0,2} ?licen[cs]e|driving licen[cs]e|\bdl ?(?:no|number|#)|f[üu]hrerschein"),
    Pattern("birth_date", rf"(?i)(?:\bborn(?: on)?|\bbirth ?day|\bbirth|\bbirth_?date|\bd\.?o\.?b\.?|\bgeboren(?: am)?|\bgeb\.|\bn[ée]+ le|\bnacid[oa] el|\bnat[oa] il|\burodzon[ya]|\bdate of birth)"
                          rf"[^\d;!?\n]{{0,25}}?(?P<value>{_DATE})(?!\d)"),
    Pattern("ip", r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)"),
    Pattern("ip", r"(?i)(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])"),
    Pattern("url", r"(?i)\b(?:https?|ftp)://[^\s<>\"'(){}\[\]]{3,}[^\s<>\"'(){}\[\].,;:!?]|\bwww\.[^\s<>\"'(){}\[\]]{3,}[^\s<>\"'(){}\[\].,;:!?]"),
    Pattern("phone", rf"(?<![\w.+\-])\+\d{{1,3}}(?:{_GAP}?\(?\d{{1,5}}\)?){{2,6}}(?: ?(?:x|ext\.?|#) ?\d{{1,6}})?(?!\w)", digits=(8, 21)),
    Pattern("phone", rf"(?<![\w.+\-/])(?:00|011){_GAP}?[1-9](?:{_GAP}?\(?\d{{1,5}}\)?){{2,6}}(?: ?(?:x|ext\.?) ?\d{{1,6}})?(?!\w|[.\-/]\d)", digits=(10, 21)),
    Pattern("phone", rf"(?<![\w.+\-/]|\d )(?:1{_GAP})?\(?[2-9]\d{{2}}\)?{_GAP}{{1,2}}[2-9]\d{{2}}{_GAP}\d{{4}}(?: ?(?:x|ext\.?) ?\d{{1,6}})?(?!\w|[.\-/]\d)"),
    Pattern("phone", r"(?<![\w.+\-/])\(?0\d{1,4}\)?(?:[ \-./]{1,2}\d{2,8}){1,4}(?!\w|[.\-/]\d)", digits=(9, 12)),
    Pattern("phone", r"(?<![\w.+\-/])\(?\d{1,5}\)?(?:[ \-./]{0,2}\d{1,8}){1,5}(?: ?(?:x|ext\.?) ?\d{1,6})?(?!\w|[.\-/]\d)", _CALL, (6, 18)),
    Pattern("name", r"\b(?i:mr|mrs|ms|miss|dr|prof|sir|madam|herr|frau|monsieur|madame|señora?)\.? (?P<value>\p{Lu}[\p{L}'’\-]+(?: \p{Lu}\.)?(?: \p{Lu}[\p{L}'’\-]+){0,2})"),
    Pattern("name", r"\b(?i:my name is|i am called|my name's|name:|signed,|regards,|sincerely,|account holder is|named|this is (?=\p{Lu}[\p{L}'’\-]+ \p{Lu}))\s*(?P<value>\p{Lu}[\p{L}'’\-]+(?: \p{Lu}\.)?(?: \p{Lu}[\p{L}'’\-]+){0,2})"),
    Pattern("address", r"\b\d{1,5}[a-zA-Z]? (?:\p{Lu}[\p{L}'’.\-]* ){1,4}(?i:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|square|sq|place|pl|way|terrace|parkway|pkwy|highway|hwy|crescent|close)\b\.?(?:,? (?i:apt|suite|unit|flat|#)\.? ?\w{1,5})?"),
    Pattern("address", r"\b(?:(?i:rue|avenue|boulevard|via|viale|piazza|calle|avenida|rua|ul\.) (?:\p{L}[\p{L}'’.\-]* ){1,4}|\p{Lu}[\p{L}\-]{2,}(?i:straße|strasse|str\.|straat|weg|gasse|gatan|platz|vej|gade) )\d{1,4}[a-z]?\b"),
    Pattern("address", r"(?i)\bp\. ?o\. ?box \d{1,6}\b"),
)  # fmt: skip
"""All patterns; where two overlap, the earlier one wins, so that a card is no phone."""

KINDS = tuple(dict.fromkeys(pattern.kind for pattern in PATTERNS))
OPTIONAL = ("url", "name", "address")
"""Kinds that are looked for only where a job names them."""
DEFAULT = tuple(kind for kind in KINDS if kind not in OPTIONAL)


def find(text: str, kinds: Iterable[str]) -> list[Span]:
    """All data of some kinds, in order, none overlapping another."""
    wanted = set(kinds)
    found = (
        span for pattern in PATTERNS if pattern.kind in wanted for span in _spans(pattern, text)
    )
    return without_overlaps(found)


def bare(value: str) -> str:
    """Letters and digits alone, letters in upper case, digits of any script as 0 to 9."""
    plain = (str(unicodedata.digit(c)) if c.isdigit() else c for c in value if c.isalnum())
    return "".join(plain).upper()


def _spans(pattern: Pattern, text: str) -> Iterator[Span]:
    for match in _compiled(pattern.expression).finditer(text):
        group = "value" if "value" in match.groupdict() else 0
        start, end = match.span(group)
        if not _plausible(pattern, match[group]):
            continue
        around = text[max(0, start - _BEFORE) : end + _BEHIND].lower()
        if pattern.near and not _compiled(pattern.near).search(around):
            continue
        if pattern.kind in _REFUSED and _compiled(_REFUSED[pattern.kind]).search(
            text[max(0, start - 15) : start].lower()
        ):
            continue
        yield Span(start, end, pattern.kind)


_REFUSED = {
    "ip": r"\bv(?:ersion)?[ .:]*$|\bsection $|\bchapter $",
    "phone": r"isbn|issn|\bdoi\b|\border\W*(?:no|number|id)?\W*$|invoice\W*(?:no|number)?\W*$",
}
"""Words that, right before it, say a number is something else."""


def _plausible(pattern: Pattern, value: str) -> bool:
    """Whether digits and check fit the kind."""
    digits = sum(character.isdigit() for character in value)
    if not pattern.digits[0] <= digits <= pattern.digits[1]:
        return False
    if pattern.kind == "ip":
        return _is_address(value)
    if pattern.kind == "phone":
        return not _compiled(rf"(?i){_DATE}(?:[ T].*)?|\d{{1,3}}(?:\.\d{{1,3}}){{3}}").fullmatch(
            value
        )
    check = CHECKS.get(pattern.kind)
    try:
        return check is None or check(bare(value))
    except ValueError:
        return False  # a letter of another alphabet among the digits


def _is_address(value: str) -> bool:
    """An address that can be some machine's own: neither loopback nor unspecified."""
    import ipaddress

    if ":" in value and (value.count(":") < 3 or not any(c.isdigit() for c in value)):
        return False  # std::end and the time 12:30:05
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)


@cache
def _compiled(expression: str) -> "regex.Pattern[str]":
    return regex.compile(expression)
