r"""Whether a text is code of a language: it parses, nothing is run.

syntax_fault("python", "def f(:\n    pass")          # "line 1: invalid syntax"
syntax_fault("javascript", "const f = x => x * 2;")   # ""

Some languages are read by Python's own parsers, the others by tree-sitter grammars (extra `code`).
"""

import ast
import importlib
import importlib.util
import json
import re
import tomllib
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal
from xml.parsers import expat

import yaml

if TYPE_CHECKING:
    from tree_sitter import Node

Language = Literal[
    "bash", "c", "css", "go", "html", "java", "javascript", "json", "python", "rust", "sql",
    "toml", "typescript", "xml", "yaml",
]  # fmt: skip

_BLOCK = re.compile(r"^```[^\n`]*\n(.*?)^```[ \t\r]*$", re.DOTALL | re.MULTILINE)


def missing_package(language: Language) -> str:
    """The package that the language needs and that is not installed; empty if all is there."""
    if language in _OWN:
        return ""
    names = ("tree_sitter", f"tree_sitter_{language}")
    return next((name for name in names if importlib.util.find_spec(name) is None), "")


def blocks_of(text: str) -> list[str]:
    """The code in a reply: what stands in its code fences, or all of it where there are none."""
    blocks = _BLOCK.findall(text) or [text]
    return [block.strip("\r\n").rstrip() for block in blocks]


def syntax_fault(language: Language, code: str) -> str:
    """The first error with its line, counted from 1; empty if the code parses."""
    try:
        return _OWN[language](code) if language in _OWN else _tree_fault(language, code)
    except (RecursionError, MemoryError):
        return "nested too deeply"


def _python(code: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes and the like
            ast.parse(code)
    except SyntaxError as exc:
        return f"line {exc.lineno or 1}: {exc.msg}"
    except ValueError as exc:  # a NUL
        return f"line 1: {exc}"
    return ""


def _json(code: str) -> str:
    try:
        json.loads(code, parse_int=str)  # Python refuses to read very long numbers
    except json.JSONDecodeError as exc:
        return f"line {exc.lineno}: {exc.msg}"
    return ""


def _toml(code: str) -> str:
    try:
        tomllib.loads(code)
    except tomllib.TOMLDecodeError as exc:
        return str(exc)
    return ""


def _yaml(code: str) -> str:
    """Composed and not built, so that an alias of an alias of an alias stays small."""
    try:
        roots = list(yaml.compose_all(code, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        return f"line {line}: {exc.problem}"
    except yaml.YAMLError as exc:
        return f"line 1: {exc}"
    if any(isinstance(root, yaml.CollectionNode) for root in roots):
        return ""
    return "line 1: neither a mapping nor a list"  # any sentence is a YAML text


def _xml(code: str) -> str:
    parser = expat.ParserCreate()
    try:
        parser.Parse(code.encode(), True)
    except expat.ExpatError as exc:
        return f"line {exc.lineno}: {expat.ErrorString(exc.code)}"
    return ""


_OWN: dict[str, Callable[[str], str]] = {
    "json": _json,
    "python": _python,
    "toml": _toml,
    "xml": _xml,
    "yaml": _yaml,
}


def _tree_fault(language: Language, code: str) -> str:
    from tree_sitter import Language as Grammar
    from tree_sitter import Parser

    package = importlib.import_module(f"tree_sitter_{language}")
    several = getattr(package, f"language_{language}", None)  # typescript has two grammars
    root = Parser(Grammar((several or package.language)())).parse(code.encode()).root_node
    if not root.has_error:
        return ""
    node = _first_error(root)
    line = node.start_point.row + 1
    return f"line {line}: {f'{node.type} is missing' if node.is_missing else 'invalid syntax'}"


def _first_error(root: "Node") -> "Node":
    """The first node that is an error; walked without recursion."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.is_error or node.is_missing or node.type.startswith("erroneous_"):
            return node
        if node.has_error:
            waiting.extend(reversed(node.children))
    return root
