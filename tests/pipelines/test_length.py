import pytest
from pydantic import ValidationError

from chains.decoding import Beam, Decoding, Greedy, Sample
from chains.text.measuring import Unit, measure
from pipelines.length import Length
from prompts.errors import UsageError


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
        ({"target": 0}, "greater than or equal to 1"),
        ({"target": 9, "min": 3}, "not both"),
        ({"target": 9, "tolerance": 1.5}, "whole number"),
        ({"target": 9, "tolerance": -1}, "greater than or equal to 0"),
        ({"target": 9, "layers": ["luck"]}, "wording"),
        ({"target": 9, "wording": "Use {words}."}, "no other braces"),
        ({"target": 9, "wording": "Use {target"}, "no other braces"),
        ({"min": 9, "wording": "Use {max}."}, "does not have"),
        ({"target": 9, "layers": ["trim"], "wording": "Be brief."}, "switched off"),
    ],
)
def test_impossible_windows_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Length.model_validate(settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": {"draw": "unifrom"}}, "unknown distribution 'unifrom'"),
        ({"target": {"draw": "date", "from": "2026-01-01", "to": "2026-01-02"}}, "whole numbers"),
        ({"target": {"draw": "normal", "mean": 9, "sd": 2, "min": 1}}, "between a min"),
        ({"target": {"draw": "uniform", "min": 0, "max": 9}}, "from 1 on"),
        ({"target": {"draw": "choice", "values": [3, "4"]}}, "whole numbers"),
        ({"target": {"draw": "uniform", "min": 5, "max": 4}}, "min 5 is above max 4"),
        ({"target": {"draw": "choice", "values": [3], "weights": [1, 2]}}, "2 weights for 1"),
        ({"target": {"draw": "normal", "mean": 9, "sd": 0, "min": 1, "max": 9}}, "greater than 0"),
    ],
)
def test_impossible_distributions_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        Length.model_validate(settings)
    assert caught.value.key.startswith("length.target")


@pytest.mark.parametrize(
    ("settings", "decoding", "message"),
    [
        ({"target": 300}, Sample(), "256 tokens do not hold 300 words"),
        ({"min": 60, "unit": "tokens"}, Sample(max_tokens=50), "do not hold 60 tokens"),
        (
            {"target": {"draw": "uniform", "min": 2, "max": 90}},
            Sample(max_tokens=80),
            "do not hold 90 words",
        ),
        ({"min": 3}, Sample(min_tokens=3), "both say"),
        ({"min": 3, "candidates": 2}, Greedy(), "the same replies"),
        ({"min": 3, "candidates": 2}, Beam(), "the same replies"),
    ],
)
def test_a_length_that_no_reply_can_have_is_refused(
    settings: dict[str, object], decoding: Decoding, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Length.model_validate(settings).check(decoding)
