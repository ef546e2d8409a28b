import pytest
from pydantic import ValidationError

from pipelines.length import Length, Unit, measure


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [
        ("It's a well-known and/or 3.5 kg cat.", "words", 7),
        ("one—two", "words", 2),
        ("- * ... !", "words", 0),
        ("मैं घर जा रहा हूँ", "words", 5),
        ("今日は tea time", "words", 5),
        ("", "words", 0),
        ("One. Two! Thr", "sentences", 3),
        ("", "sentences", 0),
        ("a b c", "tokens", 30),
    ],
)
def test_length_is_measured_in_its_unit(text: str, unit: Unit, expected: int) -> None:
    assert measure(text, unit, lambda text: 10 * len(text.split())) == expected


def test_tokens_need_a_counter() -> None:
    with pytest.raises(ValueError, match="count_tokens"):
        measure("a", "tokens")


@pytest.mark.parametrize(
    ("text", "reason", "length"),
    [
        ("one two", "too_short", 2),
        ("one two three", None, 3),
        ("one two three four", None, 4),
        ("one two three four five", "too_long", 5),
    ],
)
def test_both_ends_of_the_window_are_inside(text: str, reason: str | None, length: int) -> None:
    fault = Length(min=3, max=4).fault(text)
    assert (fault and fault.reason) == reason
    if fault is not None:
        assert fault.detail == {"unit": "words", "length": length, "min": 3, "max": 4}


def test_an_open_window_has_one_end() -> None:
    assert Length(min=2).fault("a " * 10_000) is None
    assert Length(max=2).fault("") is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give one of them"),
        ({"min": 5, "max": 4}, "min 5 is above max 4"),
        ({"min": -1}, "greater than or equal to 0"),
        ({"max": 0}, "greater than or equal to 1"),
        ({"unit": "letters", "max": 3}, "words"),
        ({"most": 3}, "most"),
    ],
)
def test_impossible_windows_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Length.model_validate(settings)
