"""Whether a query is one statement that reads, told from its words before a database sees it.

    check_select("SELECT a FROM t ORDER BY a", "sqlite")        # True: its rows have an order
    check_select("SELECT 1; DROP TABLE t", "sqlite")            # UsageError

This is the first of two guards and gives the clear message; the other is a connection that can only
read. Strings, quoted names and comments are passed over as the database's dialect writes them.
"""

import re
from collections.abc import Iterator

from prompts.errors import UsageError

_WRITES = frozenset({"insert", "update", "delete", "merge", "into"})
"""All that a statement which begins with SELECT, WITH or VALUES can write or lock with."""

_SKIPPED = {
    "single": r"'(?:[^']|'')*'",
    "escaped": r"'(?:[^'\\]|\\.|'')*'",
    "e_string": r"\b[eE]'(?:[^'\\]|\\.|'')*'",
    "double": r'"(?:[^"]|"")*"',
    "double_escaped": r'"(?:[^"\\]|\\.|"")*"',
    "backtick": r"`(?:[^`]|``)*`",
    "bracket": r"\[[^\]]*\]",
    "dollar": r"\$(?P<tag>[^\W\d]\w*|)\$.*?\$(?P=tag)\$",
    "dashes": r"--[^\n]*",
    "spaced_dashes": r"--(?=\s|\Z)[^\n]*",
    "hash": r"#[^\n]*",
    "block": r"/\*.*?\*/",
}
_MYSQL = ("escaped", "double_escaped", "backtick", "spaced_dashes", "hash", "block")
_SYNTAX = {
    "sqlite": ("single", "double", "backtick", "bracket", "dashes", "block"),
    "postgresql": ("e_string", "single", "double", "dollar", "dashes", "block"),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
}
DIALECTS = tuple(_SYNTAX)
"""Databases whose connections can be kept from writing."""


def check_select(query: str, dialect: str) -> bool:
    """Check that `query` is one statement that reads.

    Returns:
        Whether its rows have an order of their own: an ORDER BY outside of all brackets.

    Raises:
        UsageError: It is empty, more than one, not closed, or writes.
    """
    words = list(_words(query, dialect))
    while words and words[-1] == ";":
        words.pop()
    if not words:
        raise _refused("no query", "write one SELECT")
    if ";" in words:
        raise _refused("more than one statement", "write one SELECT")
    first = next((word for word in words if word != "("), "")
    if first not in {"select", "with", "values"}:
        raise _refused(f"'{first.upper()}' is not a query that reads", "write one SELECT")
    for word in words:
        if word in _WRITES:
            fix = "only reading is allowed; quote it if it is the name of a column"
            raise _refused(f"'{word.upper()}' in the query", fix)
    return _is_ordered(words)


def _words(query: str, dialect: str) -> Iterator[str]:
    """Words in lower case, and `;`, `(` and `)`."""
    skipped = "|".join(_SKIPPED[name] for name in _SYNTAX[dialect])
    token = rf"(?P<skip>{skipped})|(?P<word>[^\W\d][\w$]*)|(?P<mark>[;()])|(?P<other>.)"
    for found in re.finditer(token, query, re.S):
        if found["skip"]:
            if found["skip"].startswith(("/*!", "/*M!")):
                raise _refused("a comment that is run", "leave it out")
            if found["skip"].startswith("/*") and "/*" in found["skip"][2:]:
                raise _refused("a comment inside a comment", "leave one out")
        elif found["other"] and found["other"] in "'\"`\0":
            raise _refused(f"a {found['other']!r} that is not closed", "close the quotes")
        elif found["word"] or found["mark"]:
            yield found[0].lower()


def _is_ordered(words: list[str]) -> bool:
    depth = 0
    for word, following in zip(words, [*words[1:], ""], strict=True):
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth == 0 and (word, following) == ("order", "by"):
            return True
    return False


def _refused(problem: str, fix: str) -> UsageError:
    return UsageError(problem, fix=fix, key="query")
