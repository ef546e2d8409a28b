"""Expressions over columns: arithmetic, comparison and logic, in the form that Python writes them.

    expression = Expression("price * quantity if member else 1.2 * price * quantity")
    expression.names                                              # {"price", "quantity", "member"}
    expression.value({"price": 19.99, "quantity": 3, "member": True})    # 59.97
    Expression("age >= 18 or role == 'pupil'").holds({"age": 9, "role": "pupil"})    # True

What an expression may hold is a list of what is allowed: names of columns, numbers, texts, `+ - * /
// %`, comparisons (`in` among them), `and or not`, `a if b else c`, lists, and a few functions.
Numbers are exact: 0.1 + 0.2 is 0.3. Dates are ISO 8601 texts, which compare as they should, and
`days("2024-03-01", "2024-02-01")` is 29, and `plus_days` goes the other way. There are no
attributes, no powers, and no calls of anything else.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from pipelines.rows import JSON

MAX_CHARS = 500
MAX_BITS = 1000  # of a numerator or denominator
MAX_TEXT = 10_000  # characters of a text that an expression makes


class BadExpression(ValueError):
    """A text is no expression, or it has no value for these columns; the message says why."""


def _days(later: str, earlier: str) -> Fraction:
    return Fraction((date.fromisoformat(later) - date.fromisoformat(earlier)).days)


def _plus_days(text: str, days: Fraction) -> str:
    return (date.fromisoformat(text) + timedelta(days=int(days))).isoformat()


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": abs,
    "days": _days,
    "len": lambda text: Fraction(len(text)),
    "lower": lambda text: str.lower(text),
    "max": max,
    "min": min,
    "plus_days": _plus_days,
    "round": lambda number, places=0: Fraction(round(number, int(min(places, 12)))),
    "text": lambda value: str(_json(value)),
    "upper": lambda text: str.upper(text),
    "year": lambda text: Fraction(date.fromisoformat(text).year),
}
_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda a, b: Fraction(a // b),
    ast.Mod: operator.mod,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_ALLOWED = (
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare, ast.IfExp, ast.Call, ast.Name,
    ast.Constant, ast.List, ast.Tuple, ast.Load, ast.And, ast.Or, ast.Not, ast.USub, ast.UAdd,
    *_BINARY, *_COMPARISONS,
)  # fmt: skip


class Expression:
    """One parsed expression.

    Attributes:
        text: As it is written.
        names: The columns that it reads.

    Raises:
        BadExpression: A syntax error, or something that is not allowed.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > MAX_CHARS:
            raise BadExpression(f"{len(text)} characters, at most {MAX_CHARS}")
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as exc:
            said = exc.msg if isinstance(exc, SyntaxError) else str(exc)
            raise BadExpression(f"no expression: {said}") from exc
        called = set()
        for node in ast.walk(self._tree):
            _check(node)
            if isinstance(node, ast.Call):
                called.add(node.func)
        named = [node for node in ast.walk(self._tree) if isinstance(node, ast.Name)]
        self.names = {node.id for node in named if node not in called}

    def value(self, columns: Mapping[str, JSON]) -> JSON:
        """The value for these columns, as JSON has it; a fraction is rounded to 6 decimals.

        Raises:
            BadExpression: There is none: a column lacks, types do not fit, a division by zero.
        """
        return _json(self._evaluated(columns))

    def holds(self, columns: Mapping[str, JSON]) -> bool:
        """Whether it is true for these columns.

        Raises:
            BadExpression: As `value`; or it is neither true nor false.
        """
        found = self._evaluated(columns)
        if not isinstance(found, bool):
            raise BadExpression(f"'{self.text}' is neither true nor false, but {_json(found)!r}")
        return found

    def _evaluated(self, columns: Mapping[str, JSON]) -> Any:
        try:
            return _Evaluation(columns).of(self._tree)
        except BadExpression as exc:
            raise BadExpression(f"'{self.text}': {exc}") from exc
        except ZeroDivisionError as exc:
            raise BadExpression(f"'{self.text}': division by zero") from exc
        except (TypeError, ValueError, ArithmeticError, RecursionError) as exc:
            said = str(exc).replace("'Fraction'", "'number'")
            raise BadExpression(f"'{self.text}' cannot be computed: {said}") from exc


class _Evaluation:
    """The value of nodes; numbers are fractions all the way."""

    def __init__(self, columns: Mapping[str, JSON]) -> None:
        self._columns = columns

    def of(self, node: ast.AST) -> Any:
        if isinstance(node, ast.Constant):
            return _exact(node.value)
        if isinstance(node, ast.Name):
            if node.id not in self._columns:
                raise BadExpression(f"there is no column '{node.id}'")
            return _exact(self._columns[node.id])
        if isinstance(node, ast.List | ast.Tuple):
            return [self.of(item) for item in node.elts]
        if isinstance(node, ast.IfExp):
            return self.of(node.body if self._truth(node.test) else node.orelse)
        if isinstance(node, ast.BoolOp):
            joined = all if isinstance(node.op, ast.And) else any
            return joined(self._truth(part) for part in node.values)
        if isinstance(node, ast.Compare):
            return self._compared(node)
        return _bounded(self._computed(node))

    def _computed(self, node: ast.AST) -> Any:
        if isinstance(node, ast.UnaryOp):
            if isinstance(node.op, ast.Not):
                return not self._truth(node.operand)
            number = _no_truth(self.of(node.operand))
            return -number if isinstance(node.op, ast.USub) else +number
        if isinstance(node, ast.BinOp):
            left, right = _no_truth(self.of(node.left)), _no_truth(self.of(node.right))
            if isinstance(left, str) != isinstance(right, str) or (
                isinstance(left, str) and not isinstance(node.op, ast.Add)
            ):
                raise BadExpression("a text can only be joined to a text; text(3) makes one")
            return _BINARY[type(node.op)](left, right)
        assert isinstance(node, ast.Call)
        assert isinstance(node.func, ast.Name)
        return FUNCTIONS[node.func.id](*(self.of(part) for part in node.args))

    def _compared(self, node: ast.Compare) -> bool:
        left = self.of(node.left)
        for sign, part in zip(node.ops, node.comparators, strict=True):
            right = self.of(part)
            if not _COMPARISONS[type(sign)](left, right):
                return False
            left = right
        return True

    def _truth(self, node: ast.AST) -> bool:
        found = self.of(node)
        if not isinstance(found, bool):
            raise BadExpression(f"{_json(found)!r} is neither true nor false")
        return found


def _check(node: ast.AST) -> None:
    if not isinstance(node, _ALLOWED):
        name = type(node).__name__.lower()
        raise BadExpression(f"'{name}' is not allowed in an expression")
    if isinstance(node, ast.Constant) and not isinstance(node.value, bool | int | float | str):
        raise BadExpression(f"{node.value!r} is no number, text, True or False")
    if isinstance(node, ast.Call) and (
        not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS or node.keywords
    ):
        raise BadExpression(f"the functions are: {', '.join(FUNCTIONS)}")


def _exact(value: Any) -> Any:
    """A number as the fraction that its decimals say; all else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return _bounded(Fraction(str(value)))  # of infinity and NaN it raises a ValueError


def _no_truth(value: Any) -> Any:
    if isinstance(value, Fraction | str):
        return value
    raise BadExpression(f"{value!r} is neither a number nor a text")


def _bounded(value: Any) -> Any:
    if isinstance(value, Fraction):
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
            raise BadExpression("too large a number")
    elif isinstance(value, str) and len(value) > MAX_TEXT:
        raise BadExpression(f"a text of more than {MAX_TEXT} characters")
    return value


def _json(value: Any) -> JSON:
    if isinstance(value, list):
        return [_json(item) for item in value]
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else round(float(value), 6)
    return value
