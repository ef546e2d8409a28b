# ruff: noqa: RUF001 - minus signs and apostrophes that look alike are tested
import time

import pytest

from pipelines.numbers import numbers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no number", set()),
        ("1,200 people paid twenty-five dollars", {"1200", "25"}),
        ("1,234,567.50", {"1234567.5"}),
        ("1.234.567,5", {"1234567.5"}),
        ("1’000 and 1\u00a0000", {"1000"}),
        ("3.50", {"3.5"}),
        ("3,5", {"3.5"}),
        ("007", {"7"}),
        ("-4 and −5 and (-6)", {"-4", "-5", "-6"}),
        ("COVID-19 lasts 3-5 days", {"19", "3", "5"}),
        ("12.10.2020 at 10:30", {"12", "10", "2020", "30"}),
        ("the 1st of S9+", {"1", "9"}),
        ("two hundred and five", {"205"}),
        ("three million four hundred thousand twelve", {"3400012"}),
        ("a hundred", {"100"}),
        ("2.5 million", {"2500000"}),
        ("hundreds of ones", set()),
        ("one of them and one hundred", {"100"}),
        ("ten and five", {"10", "5"}),
        ("twenty twenty-one", {"20", "21"}),
        ("two, three", {"2", "3"}),
        ("٣٤", {"34"}),
        ("9" * 40, {"9" * 40}),
        ("zero", {"0"}),
        ("hundred " * 25, {"1" + "0" * 40, "1" + "0" * 10}),  # no number has more than 20 words
    ],
)
def test_numbers_are_spelled_one_way(text: str, expected: set[str]) -> None:
    assert numbers(text) == expected


@pytest.mark.parametrize(
    "piece", ["hundred ", "one ", "1,", "-", "9", "and ", "9 million ", "1.000."]
)
def test_no_text_takes_long(piece: str) -> None:
    start = time.perf_counter()
    numbers(piece * 20_000)
    assert time.perf_counter() - start < 5
