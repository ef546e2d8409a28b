# ruff: noqa: RUF001 - marks that look alike are what is tested
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.normalising import normalised


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("When?", "  when "),
        ("“Don’t STOP!”", "don't stop"),
        ("ﬁne Straße", "FINE STRASSE"),
        ("a\u00a0b\n c", "a b c"),
        ("¿Qué? Sí.", "qué sí"),
        ("はい。", "はい"),
    ],
)
def test_what_reads_the_same_is_the_same(first: str, second: str) -> None:
    assert normalised(first) == normalised(second)


@pytest.mark.parametrize(
    ("first", "second"),
    [("x = -5", "x = 5"), ("3.5", "35"), ("2+3", "2-3"), ("C", "C++"), ("?", "!"), ("a b", "ab")],
)
def test_what_means_something_else_differs(first: str, second: str) -> None:
    assert normalised(first) != normalised(second)


@given(st.text(max_size=60))
def test_a_text_with_something_in_it_keeps_something(text: str) -> None:
    assert bool(normalised(text)) == bool("".join(text.split()))
