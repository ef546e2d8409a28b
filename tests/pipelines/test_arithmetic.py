"""Arithmetic in text: the same values as Python's, limits, equations and numbers that are found."""

import ast
import time
from contextlib import suppress
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.stages.shapes.arithmetic import (
    BadArithmetic,
    equations,
    evaluate,
    numbers,
    plain,
)

ATOMS = st.integers(0, 999).map(str) | st.decimals(0, 99, places=2).map(str)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds(
            "{} {} {}".format, inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner
        ),
        st.builds("({})".format, inner),
        st.builds("-{}".format, inner),
        st.builds("({}) ** {}".format, inner, st.integers(0, 3).map(str)),
    ),
    max_leaves=8,
)


def by_python(text: str) -> Fraction:
    """Python's parser and operators, on fractions in place of its numbers."""

    class Wrap(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.AST:
            written = ast.get_source_segment(text, node)
            arguments: list[ast.expr] = [ast.Constant(written)]
            return ast.Call(ast.Name("Fraction", ast.Load()), arguments, [])

    tree = ast.fix_missing_locations(Wrap().visit(ast.parse(text, mode="eval")))
    return Fraction(eval(compile(tree, "", "eval"), {"Fraction": Fraction}))


@given(EXPRESSIONS)
def test_an_expression_has_the_value_that_python_gives_it(text: str) -> None:
    text = text.replace("--", "- -")
    try:
        expected: Fraction | None = by_python(text)
    except ZeroDivisionError:
        expected = None
    if expected is None:
        with pytest.raises(BadArithmetic, match="zero"):
            evaluate(text)
    else:
        assert evaluate(text) == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 + 3 * 4", 14),
        ("-2 ** 2", -4),
        ("2 ** -1", Fraction(1, 2)),
        ("2 ** 3 ** 2", 512),
        ("7 // 2 - -7 // 2", 7),
        ("-7 % 3", 2),
        ("1,250.50 * 2", 2501),
        (".5 + 0.1 + 0.2", Fraction(4, 5)),
        ("3 × 4 ÷ 2 − 1", 5),  # noqa: RUF001
        ("(-1) ** 1000001", -1),
        ("0 ** 0", 1),
    ],
)
def test_precedence_is_python_s_and_values_are_exact(text: str, value: Fraction) -> None:
    assert evaluate(text) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "missing at the end"),
        ("2 +", "missing at the end"),
        ("* 2", "missing before"),
        ("2 3", "not expected"),
        ("(2", "not closed"),
        ("2)", "not expected"),
        ("__import__('os')", "no arithmetic"),
        ("a + 1", "no arithmetic"),
        ("1e9", "no arithmetic"),
        ("1,00 + 1", "no arithmetic"),
        ("0x10", "no arithmetic"),
        ("٣ + \ud800", "no arithmetic"),
        ("1 / 0", "zero"),
        ("1 % 0", "zero"),
        ("0 ** -1", "zero"),
        ("2 ** 0.5", "fraction"),
        ("9 ** 9 ** 9", "too large"),
        ("9 ** 9 ** 9 ** 9", "too large"),
        ("10 ** 100000", "too large"),
        ("(1 / 3) ** 99999", "too large"),
        ("1" * 900, "too large"),
        ("(" * 400 + "1" + ")" * 400, "levels"),
        ("-" * 900 + "1", "levels"),
        ("2 ** " * 150 + "1", "levels"),
        ("1+" * 5000 + "1", "characters"),
    ],
)
def test_what_is_no_arithmetic_or_too_much_is_refused_at_once(text: str, why: str) -> None:
    start = time.process_time()
    with pytest.raises(BadArithmetic, match=why):
        evaluate(text)
    assert time.process_time() - start < 0.1


@given(st.text("0123456789+-*/%(). ,x=$", max_size=200))
def test_any_text_is_evaluated_or_refused_and_read_for_equations(text: str) -> None:
    with suppress(BadArithmetic):
        assert isinstance(evaluate(text), Fraction)
    assert all(equation.text in text for equation in equations(text))
    assert all(isinstance(number, Fraction) for number in numbers(text))


@pytest.mark.parametrize(
    ("text", "found", "right"),
    [
        ("The boxes hold 3 * 4 = 12 pens.", ["3 * 4 = 12"], [True]),
        ("$5 + $2.50 = $7.50, 4 x 3 = 13.", ["$5 + $2.50 = $7.50", "4 x 3 = 13"], [True, False]),
        ("48/2 = <<48/2=24>>24", ["48/2=24"], [True]),
        ("2 + 3 = 5 * 2 = 10", ["2 + 3 = 5 * 2 = 10"], [False]),
        ("We know x = 5 and n = 7.", [], []),
        ("(2 + 3) * 2 = 10", ["(2 + 3) * 2 = 10"], [True]),
        ("1 / 0 = 0", ["1 / 0 = 0"], [False]),
        ("On 3-4 May 2020.", [], []),
    ],
)  # fmt: skip
def test_equations_are_found_and_checked(text: str, found: list[str], right: list[bool]) -> None:
    assert [equation.text for equation in equations(text)] == found
    assert [equation.holds() for equation in equations(text)] == right


def test_numbers_are_found_as_they_are_written() -> None:
    text = "Paid $1,250.50 at -3 degrees, 3/4 of 7. Version 1.2.3, B12."
    assert numbers(text) == [Fraction("1250.5"), -3, Fraction(3, 4), 7]


def test_a_value_is_plain_in_json() -> None:
    assert [plain(Fraction(v)) for v in ("4", "1/3", "-0.5")] == [4, 0.333333, -0.5]
    assert plain(evaluate("2 ** 64")) == 2.0**64
