r"""What keys, tokens and passwords look like.

    find("export AWS_ACCESS_KEY_ID=AKIA2E0A8F3B244C9986")  ->  [Span(25, 45, "aws_access_key")]
    find("password: hunter2!Xy")                           ->  [Span(10, 20, "assigned")]

Most services give their tokens a prefix, which is looked for. Other secrets are seen only where
they are assigned to a name such as `password` or `api_key`, and are no placeholder.
"""
# ruff: noqa: E501, RUF001 - an expression is read as one; apostrophes of both kinds are meant

import base64
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import NamedTuple

import regex

from pipelines.stages.safety.spans import Span, without_overlaps

_LEAST_ENTROPY = 2.5  # bits a character; "password" has 2.75, and one class of characters
_PLACEHOLDER = (
    r"(?i)^(?:x{3,}|\*{3,}|\.{3,}|<.*|\$\{?.*|%.*|\{\{.*|.*(?:example|changeme|change_me|your[_\-]?|"
    r"placeholder|redacted|insert|dummy|todo|\*\*\*\*|xxxx).*|none|null|true|false|required|string"
    r"|(?:os|process|config|settings|self|env|getenv|get)\W.*)$"
)


class Pattern(NamedTuple):
    """A kind of secret: its expression, whose group `value` is the secret, else all of it."""

    kind: str
    expression: str


PATTERNS: tuple[Pattern, ...] = (
    Pattern("private_key", r"-----BEGIN (?P<name>[A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?)-----(?s:.{1,20000}?)(?:-----END (?P=name)-----|\Z)"),
    Pattern("aws_access_key", r"(?<!\w)(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?!\w)"),
    Pattern("aws_secret_key", r"(?i)aws.{0,20}?(?:secret|key).{0,20}?[=:]\s*[\"']?(?P<value>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"),
    Pattern("github_token", r"(?<!\w)(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})(?!\w)"),
    Pattern("gitlab_token", r"(?<!\w)gl(?:pat|dt|rt|ptt|oas|cbt)-[\w\-]{20,64}(?![\w\-])"),
    Pattern("slack_token", r"(?<!\w)(?:xox[abeoprs]|xapp)-[A-Za-z0-9\-]{10,250}(?!\w)"),
    Pattern("slack_webhook", r"https://hooks\.slack\.com/(?:services|workflows)/[\w/]{20,}"),
    Pattern("google_api_key", r"(?<![\w\-])AIza[\w\-]{35}(?![\w\-])"),
    Pattern("google_oauth_secret", r"(?<![\w\-])GOCSPX-[\w\-]{28}(?![\w\-])"),
    Pattern("anthropic_key", r"(?<![\w\-])sk-ant-[\w\-]{24,200}(?![\w\-])"),
    Pattern("openai_key", r"(?<![\w\-])sk-(?:(?:proj|svcacct|admin|None)-[\w\-]{20,200}|[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}|[A-Za-z0-9]{48})(?![\w\-])"),
    Pattern("hugging_face_token", r"(?<!\w)(?:hf|api_org)_[A-Za-z0-9]{34,40}(?!\w)"),
    Pattern("stripe_key", r"(?<!\w)(?:(?:sk|rk)_(?:live|test)|whsec)_[A-Za-z0-9]{16,250}(?!\w)"),
    Pattern("npm_token", r"(?<!\w)npm_[A-Za-z0-9]{36}(?!\w)"),
    Pattern("pypi_token", r"(?<!\w)pypi-AgE[\w\-]{50,1000}"),
    Pattern("sendgrid_key", r"(?<!\w)SG\.[\w\-]{22}\.[\w\-]{43}(?![\w\-])"),
    Pattern("twilio_key", r"(?<!\w)SK[0-9a-f]{32}(?!\w)"),
    Pattern("telegram_token", r"(?<![\w\-])\d{8,10}:AA[\w\-]{33}(?![\w\-])"),
    Pattern("azure_key", r"(?i)(?:account|shared ?access)key\s*=\s*(?P<value>[A-Za-z0-9+/]{42,86}={0,2})"),
    Pattern("jwt", r"(?<![\w\-])eyJ[\w\-]{5,}\.eyJ[\w\-]{5,}\.[\w\-]{10,}(?![\w\-])"),
    Pattern("password_in_url", r"(?i)\b[a-z][a-z0-9+.\-]{1,20}://[^\s:/@\"'<>]{1,100}:(?P<value>[^\s:/@\"'<>]{3,200})@[\w.\-]+"),
    Pattern("assigned", r"(?i)(?<![a-z])(?:pass(?:word|wd|phrase)?|pwd|secret(?:[_\- ]?key)?|(?:access|auth|bearer|refresh|api|client|private)?[_\- ]?(?:token|secret|apikey|api[_\- ]?key)|credential)s?[\"']?"
                        r"\s*(?::=|=>|=|:|\bis\b)\s*[\"'`]?(?P<value>[^\s\"'`<>,;(){}\[\]]{8,200})"),
    Pattern("assigned", r"(?i)\b(?:authorization|x-api-key)\s*:\s*(?:bearer|basic|token)?\s*(?P<value>[\w.+/=\-]{16,500})"),
)  # fmt: skip
"""All patterns; of two that overlap the earlier one wins."""

KINDS = tuple(dict.fromkeys(pattern.kind for pattern in PATTERNS))


def find(text: str, kinds: Iterable[str] = KINDS) -> list[Span]:
    """All secrets of some kinds, in order, none overlapping another."""
    wanted = set(kinds)
    found = (
        span for pattern in PATTERNS if pattern.kind in wanted for span in _spans(pattern, text)
    )
    return without_overlaps(found)


def entropy(text: str) -> float:
    """Shannon entropy of the characters, in bits a character."""
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts)


def _spans(pattern: Pattern, text: str) -> Iterator[Span]:
    check = _CHECKS.get(pattern.kind)
    for match in _compiled(pattern.expression).finditer(text):
        group = "value" if "value" in match.groupdict() else 0
        if check is None or check(match[group]):
            yield Span(*match.span(group), pattern.kind)


def _is_jwt(token: str) -> bool:
    """Whether the first part is a JSON object that names an algorithm (RFC 7515)."""
    head = token.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    except (ValueError, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header


def _is_secret(value: str) -> bool:
    """Whether an assigned value is neither a word nor a placeholder."""
    bare = value.rstrip(".!?")
    kinds = (str.isdigit, str.islower, str.isupper, lambda c: not c.isalnum())
    mixed = sum(any(kind(character) for character in bare) for kind in kinds) >= 2
    wordy = bool(_compiled(r"\p{Lu}?\p{Ll}+(?:['’\-_./]\p{Ll}+)*|https?://.*").fullmatch(bare))
    usual = _compiled(_PLACEHOLDER).match(bare) is not None
    return len(bare) >= 8 and mixed and not wordy and not usual and entropy(bare) >= _LEAST_ENTROPY


@cache
def _compiled(expression: str) -> "regex.Pattern[str]":
    return regex.compile(expression)


_CHECKS: dict[str, Callable[[str], bool]] = {
    "jwt": _is_jwt,
    "assigned": _is_secret,
    "password_in_url": lambda value: _compiled(_PLACEHOLDER).match(value) is None,
}
