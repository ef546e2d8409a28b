"""Templates: a small, safe part of Jinja that turns plain data into text.

template = Template("Answer: {{ answer }}. Seen: {% for q in seen %}{{ q }} {% endfor %}")
template.variables                                          # {"answer": 1, "seen": 1}, with lines
template.render({"answer": "Tea", "seen": ["Who?", "Why?"]})    # "Answer: Tea. Seen: Who? Why? "

What a template may hold is a list of what is allowed, not of what is forbidden: variables, items
of mappings and lists, a few filters and tests, `if` and `for`. So nothing can reach a Python
attribute, call anything, load another file, or grow without bound. Text that is not template, such
as the JSON `{"a": 1}`, stays as it is.
"""

import json
import traceback
from collections.abc import Mapping
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from prompts.errors import unknown
from prompts.filters import FILTERS, MAX_OUTPUT, TESTS

MAX_NODES = 2_000
MAX_DEPTH = 30
MAX_ITEMS = 10_000  # values in one render, counting those inside lists and mappings
MAX_LOOPS = 2  # loops inside each other

_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr,
    nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.Keyword, nodes.For, nodes.If,
    nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.List,
    nodes.Tuple,
)  # fmt: skip
_LOOP_ATTRIBUTES = {"index", "index0", "first", "last", "length"}


SIMPLER = "put less into one template"


class TemplateFault(ValueError):
    """What is wrong with a template, or with the values it is given.

    Args:
        problem: What was found.
        fix: What to do about it.
        line: Line of the template, counted from 1; 0 where it has none.
    """

    def __init__(self, problem: str, *, fix: str = "", line: int = 0) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix
        self.line = line


class Template:
    """One compiled template.

    Attributes:
        variables: The names it uses, each with the first line that does.

    Raises:
        TemplateFault: A syntax error, or anything that is not allowed.
    """

    def __init__(self, text: str) -> None:
        try:
            tree = _ENVIRONMENT.parse(text)
            _check(tree)
            self.variables = _free_names(tree)
            _guard_loops(tree)
            self._compiled = _ENVIRONMENT.from_string(tree)
        except jinja2.TemplateSyntaxError as exc:
            problem = f"template syntax: {exc.message}"
            fix = "close every '{{', '{%' and '{#', or write text of that look as {{ '{{' }}"
            raise TemplateFault(problem, fix=fix, line=exc.lineno) from exc
        except TemplateFault:
            raise
        except (RecursionError, ValueError, OverflowError) as exc:
            problem = "the template is nested too deep or holds a huge number"
            raise TemplateFault(problem, fix=SIMPLER) from exc

    def render(self, values: Mapping[str, Any]) -> str:
        """The text for `values`, which `check_plain` has passed.

        Raises:
            TemplateFault: A value lacks, is null or is of the wrong type where it is used, or the
                text is longer than `MAX_OUTPUT` characters.
        """
        chunks: list[str] = []
        size = 0
        try:
            for chunk in self._compiled.generate(values):
                size += len(chunk)
                if size > MAX_OUTPUT:
                    raise TemplateFault(f"renders to more than {MAX_OUTPUT:,} characters")
                chunks.append(chunk)
        except TemplateFault as exc:
            exc.line = exc.line or _line_of(exc)
            raise
        except RecursionError as exc:
            raise TemplateFault("a value is nested too deep", line=_line_of(exc)) from exc
        except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as exc:
            message = getattr(exc, "message", None) or str(exc)
            raise TemplateFault(message, line=_line_of(exc)) from exc
        return "".join(chunks)


def check_plain(values: Mapping[str, Any]) -> None:
    """Accept plain data only: str, int, float, bool, None, and lists and dicts of them.

    Exact types, since a subclass can carry code.

    Raises:
        TemplateFault: Something else, or more than `MAX_ITEMS` values.
    """
    waiting: list[Any] = list(values.values())
    seen = 0
    while waiting:
        value = waiting.pop()
        seen += 1
        if seen > MAX_ITEMS:
            raise TemplateFault(f"more than {MAX_ITEMS:,} values in one prompt")
        kind = type(value)
        if kind in _SCALARS:
            continue
        if kind is list:
            waiting.extend(value)
        elif kind is dict:
            if any(type(name) is not str for name in value):
                raise TemplateFault("a mapping with a key that is not text is not plain data")
            waiting.extend(value.values())
        else:
            name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
            raise TemplateFault(f"a value of the type {name} is not plain data")


_SCALARS = {str, int, float, bool, type(None)}


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja with items in place of attributes, and with nothing global."""

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext) and attribute in _LOOP_ATTRIBUTES:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        kind = type(obj)
        if kind is dict:
            if argument in obj:
                return obj[argument]
            return self.undefined(f"no item '{argument}'; there are: {', '.join(map(str, obj))}")
        if kind in (list, tuple) and type(argument) is int:
            if -len(obj) <= argument < len(obj):
                return obj[argument]
            return self.undefined(f"no item {argument} in a list of {len(obj)}")
        if isinstance(obj, jinja2.Undefined):
            return obj
        return self.undefined(f"'{argument}' of a value that has no items")


def _finalize(value: Any) -> Any:
    """What an expression prints: JSON for what is not text, so that no Python syntax appears."""
    if value is None:
        raise TemplateFault("a null value", fix="drop such rows, or use default('...', true)")
    if isinstance(value, bool | list | dict | tuple):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str | int | float | jinja2.Undefined):  # printing the last one raises
        return value
    raise TemplateFault("something that is not a value")


def _countable(value: Any) -> Any:
    """What a loop goes over: a list, or the keys of a mapping, but not the letters of a text."""
    if isinstance(value, list | tuple | dict):
        return value
    if isinstance(value, jinja2.Undefined):
        return iter(value)  # raises, with the name that is missing
    raise TemplateFault("a loop over a value that is not a list")


_LOOP_FILTER = "in a loop"  # no template can spell it


def _make_environment() -> _Sandbox:
    environment = _Sandbox(
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=0,
    )
    environment.globals.clear()
    environment.filters = {**FILTERS, _LOOP_FILTER: _countable}
    environment.tests = dict(TESTS)
    return environment


_ENVIRONMENT = _make_environment()


def _check(tree: nodes.Template) -> None:
    """Refuse what is not allowed, walking with a list of our own: recursion could overflow."""
    waiting: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    seen = 0
    while waiting:
        node, depth, loops = waiting.pop()
        seen += 1
        loops += isinstance(node, nodes.For)
        if seen > MAX_NODES:
            problem = f"the template has more than {MAX_NODES:,} parts"
            raise TemplateFault(problem, fix=SIMPLER)
        if depth > MAX_DEPTH:
            problem = "the template is nested too deep"
            raise TemplateFault(problem, fix=SIMPLER, line=node.lineno)
        if loops > MAX_LOOPS:
            problem = f"more than {MAX_LOOPS} loops inside each other"
            raise TemplateFault(problem, fix=SIMPLER, line=node.lineno)
        _check_node(node)
        if isinstance(node, nodes.Name) and node.name in ({"self"} if loops else {"self", "loop"}):
            problem = f"'{node.name}' has no meaning here"
            raise TemplateFault(problem, fix="give the variable another name", line=node.lineno)
        waiting.extend((child, depth + 1, loops) for child in node.iter_child_nodes())


def _check_node(node: nodes.Node) -> None:
    if not isinstance(node, _ALLOWED) or getattr(node, "recursive", False):
        what = _SPELLINGS.get(type(node), type(node).__name__.lower())
        fix = "a template holds variables, filters, 'if' and 'for'"
        raise TemplateFault(f"{what} in a template", fix=fix, line=node.lineno)
    if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
        problem = f"attribute '{node.attr}': a template reaches items only"
        raise TemplateFault(problem, fix="leave it out", line=node.lineno)
    if isinstance(node, nodes.Filter):
        _check_known("filter", node.name, list(FILTERS), node.lineno)
    if isinstance(node, nodes.Test):
        _check_known("test", node.name, list(TESTS), node.lineno)


def _check_known(what: str, name: str, known: list[str], line: int) -> None:
    if name not in known:
        error = unknown(what, name, known)
        raise TemplateFault(error.problem, fix=error.fix, line=line)


_SPELLINGS: dict[type[nodes.Node], str] = {
    nodes.Include: "'include'", nodes.Import: "'import'", nodes.FromImport: "'import'",
    nodes.Extends: "'extends'", nodes.Macro: "'macro'", nodes.Call: "a call",
    nodes.CallBlock: "'call'", nodes.Block: "'block'", nodes.Assign: "'set'",
    nodes.AssignBlock: "'set'", nodes.With: "'with'", nodes.FilterBlock: "'filter'",
    nodes.Concat: "'~'", nodes.For: "a recursive loop", nodes.Dict: "a mapping",
    nodes.Add: "arithmetic", nodes.Sub: "arithmetic", nodes.Mul: "arithmetic",
    nodes.Div: "arithmetic", nodes.FloorDiv: "arithmetic", nodes.Mod: "arithmetic",
    nodes.Pow: "arithmetic", nodes.Neg: "arithmetic", nodes.Pos: "arithmetic",
}  # fmt: skip


def _free_names(tree: nodes.Template) -> dict[str, int]:
    free = find_undeclared_variables(tree)
    lines: dict[str, int] = {}
    for name in tree.find_all(nodes.Name):
        if name.name in free:
            lines[name.name] = min(name.lineno, lines.get(name.name, name.lineno))
    return lines


def _guard_loops(tree: nodes.Template) -> None:
    for loop in list(tree.find_all(nodes.For)):
        loop.iter = nodes.Filter(loop.iter, _LOOP_FILTER, [], [], None, None, lineno=loop.lineno)


def _line_of(exc: BaseException) -> int:
    """The template's line that raised: Jinja rewrites tracebacks to show it."""
    lines = [
        number
        for frame, number in traceback.walk_tb(exc.__traceback__)
        if frame.f_code.co_filename == "<template>"
    ]
    return lines[-1] if lines else 0
