"""Small errors for a module: one node of its syntax tree changed at a time.

    for mutant in mutants("def bigger(a, b):\n    return a > b\n", "module.py"):
        mutant.line, mutant.before, mutant.after      # 2, "a > b", "a >= b"

What is said to people is left alone: docstrings, f-strings, the arguments of errors, and names that
hold such text. So is what changes nothing when a program runs right: annotations and imports for
them, the `slots` of a class, and the `strict` of a `zip`, which can only find an error elsewhere.
"""

import ast
import copy
from collections.abc import Iterator
from types import CodeType
from typing import NamedTuple

_SAID = {"fix", "problem", "said"}
_NO_BEHAVIOUR = {"slots", "strict"}
_CHANGED_THEMSELVES = ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant
_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


class Mutant(NamedTuple):
    """A module with one error.

    Attributes:
        line: First line of what was changed.
        last: Its last line.
        at_import: Whether it runs when the module is imported, outside every function.
        before: What was there.
        after: What is there now.
        code: The module, compiled.
    """

    line: int
    last: int
    at_import: bool
    before: str
    after: str
    code: CodeType


def mutants(source: str, path: str) -> Iterator[Mutant]:
    """Every mutant of a module that compiles, in the order of its lines."""
    tree = ast.parse(source)
    for number, (node, inside) in enumerate(_places(tree, inside=False)):
        for variant in range(len(_changed(node))):
            changed = copy.deepcopy(tree)
            twin = list(_places(changed, inside=False))[number][0]
            before, after = ast.unparse(twin), _changed(twin)[variant]
            text = ast.unparse(after)
            _replace(changed, twin, after)
            ast.fix_missing_locations(changed)
            code = compile(changed, path, "exec")
            last = node.end_lineno or node.lineno
            yield Mutant(node.lineno, last, not inside, _short(before), _short(text), code)


def _places(node: ast.AST, *, inside: bool) -> Iterator[tuple[ast.expr | ast.stmt, bool]]:
    """All nodes that may be changed, and whether they are in the body of a function."""
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "type_params"} or _is_said(node, name):
            continue
        within = inside or (name == "body" and isinstance(node, ast.FunctionDef | ast.Lambda))
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _is_docstring(child) or _is_for_types(child):
                continue
            if isinstance(child, ast.expr | ast.stmt):
                yield child, within
            yield from _places(child, inside=within)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_said(node: ast.AST, name: str) -> bool:
    """Whether a field of a node holds words for people, or a type."""
    if isinstance(node, ast.JoinedStr):
        return True
    if isinstance(node, ast.keyword):
        return node.arg in _SAID | _NO_BEHAVIOUR
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        called = node.func.id if isinstance(node.func, ast.Name) else called
        return called.endswith(("Error", "cast", "TypeVar")) and name in {"args", "keywords"}
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        target = node.targets[0].id
        return target in _SAID or (target[:1].isupper() and not target.isupper())  # a type
    return False


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _changed(node: ast.expr | ast.stmt) -> list[ast.AST]:
    """What may stand in the place of a node."""
    if isinstance(node, ast.Compare):
        other = _COMPARISONS[type(node.ops[0])]()
        return [ast.Compare(node.left, [other, *node.ops[1:]], node.comparators)]
    if isinstance(node, ast.BoolOp):
        return [ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)]
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in _ARITHMETIC:
        other_op = _ARITHMETIC[type(node.op)]()
        if isinstance(node, ast.BinOp):
            return [ast.BinOp(node.left, other_op, node.right)]
        return [ast.AugAssign(node.target, other_op, node.value), ast.Pass()]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if isinstance(node, ast.IfExp):
        return [ast.IfExp(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)]
    if isinstance(node, ast.Constant):
        return _constants(node.value)
    return _statements(node)


def _constants(value: object) -> list[ast.AST]:
    if isinstance(value, bool):
        return [ast.Constant(not value)]
    if isinstance(value, int | float):
        return [ast.Constant(value + 1)]
    return [ast.Constant(f"{value}x")] if isinstance(value, str) else []


def _statements(node: ast.AST) -> list[ast.AST]:
    if isinstance(node, ast.Return) and node.value is not None:
        return [] if _is_none(node.value) else [ast.Return(ast.Constant(None))]
    if isinstance(node, ast.Expr):
        return [] if isinstance(node.value, ast.Yield) else [ast.Pass()]
    if isinstance(node, ast.Continue):
        return [ast.Break()]
    if isinstance(node, ast.Break):
        return [ast.Continue()]
    if isinstance(node, ast.If | ast.While) and not isinstance(node.test, _CHANGED_THEMSELVES):
        test = ast.UnaryOp(ast.Not(), node.test)
        return [type(node)(test, node.body, node.orelse)]
    return [ast.Pass()] if isinstance(node, ast.Raise) else []


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _replace(tree: ast.AST, old: ast.AST, new: ast.AST) -> None:
    ast.copy_location(new, old)
    for parent in ast.walk(tree):
        for name, value in ast.iter_fields(parent):
            if value is old:
                setattr(parent, name, new)
            elif isinstance(value, list) and any(item is old for item in value):
                value[[item is old for item in value].index(True)] = new


def _short(text: str) -> str:
    """The first line of some code, cut."""
    first = text.split("\n", 1)[0]
    return first if len(first) <= 80 else f"{first[:77]}..."
