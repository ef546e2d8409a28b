import re

import pytest
from fakes import outcomes, reasons, row

from pipelines.numbers import numbers
from pipelines.rows import Row
from pipelines.stages import STAGES, Noise
from pipelines.stages.augment.noising import (
    OPERATIONS,
    Noising,
    Operation,
    beside_key,
    jumbled,
    misread,
    recased,
)
from pipelines.stages.safety.stand_ins import drawing
from prompts.errors import UsageError

TEXT = "The museum on Main Street opens at nine, says {name}, and costs 12 euros a head."


def noise(**settings: object) -> Noise:
    return Noise.model_validate({"name": "noise", "field": "text", **settings})


def noised(operation: Operation, text: str = TEXT, seed: int = 0, rate: float = 0.3) -> str:
    how = Noising(rate=rate, operations=(operation,))
    return how.noised(text, drawing(str(seed)))[0]


def test_a_variant_joins_the_family_and_says_what_was_done() -> None:
    original, variant = outcomes(noise(rate=0.3), [row(id="r5", family="f", text=TEXT)])
    assert isinstance(original, Row)
    assert isinstance(variant, Row)
    assert (original.data["text"], variant.family) == (TEXT, "f")
    event = variant.history[-1]
    assert event["operation"] == "noise"
    assert event["parent"] == "r5"
    assert sum(event["changes"].values()) >= 1
    assert event["difference"] > 0
    assert "similarity" not in event


def test_the_same_row_has_the_same_noise_and_another_row_another() -> None:
    def variant(name: str) -> str:
        return str(outcomes(noise(), [row(id=name, text=TEXT)])[1].data["text"])  # type: ignore[union-attr]

    assert variant("r1") == variant("r1")
    assert len({variant(f"r{number}") for number in range(12)}) > 8


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("seed", range(20))
def test_numbers_and_placeholders_are_left_alone(operation: Operation, seed: int) -> None:
    found = noised(operation, seed=seed, rate=1.0)
    assert found != TEXT
    assert "{name}," in found
    assert numbers(found) == numbers(TEXT)


@pytest.mark.parametrize(
    ("operation", "length"), [("delete", -1), ("insert", 1), ("key", 0), ("swap", 0), ("case", 0)]
)
def test_an_operation_changes_one_place_of_a_word(operation: Operation, length: int) -> None:
    for seed in range(10):
        found = noised(operation, "museum", seed)
        assert len(found) - len("museum") == length
        assert found != "museum"


def test_words_are_lost_masked_or_change_places() -> None:
    for seed in range(10):
        assert len(noised("drop_word", seed=seed).split()) < len(TEXT.split())
        assert "[MASK]" in noised("mask", seed=seed)
        swapped = noised("swap_words", seed=seed)
        assert sorted(re.findall(r"\w+", swapped)) == sorted(re.findall(r"\w+", TEXT))
        assert re.sub(r"\w", "", swapped) == re.sub(r"\w", "", TEXT), "marks stay in their places"
    assert noised("drop_word", "The dog barks.", rate=1.0) == ""
    assert noised("drop_word", "A 9 dog.", seed=1, rate=0.4) in {"9 dog.", "A 9.", "9."}


def test_the_key_beside_is_one_beside_on_that_keyboard() -> None:
    found = {beside_key("qwerty")("g", drawing(str(seed))) for seed in range(60)}
    assert found == set("fhtyvb")
    assert {beside_key("azerty")("A", drawing(str(s))) for s in range(40)} == {"Z", "Q"}
    assert beside_key("qwertz")("9", drawing("0")) == "9"


def test_letters_are_read_as_what_looks_like_them() -> None:
    assert {misread("rn", drawing(str(seed))) for seed in range(40)} == {"m", "ru"}
    assert misread("xyz", drawing("0")) == "xyz"
    assert {recased("Dog", drawing(str(seed))) for seed in range(20)} == {"DOG", "dog"}


def test_the_rate_is_the_share_of_words_changed() -> None:
    words = "museum " * 2000
    how = Noising(rate=0.1)
    changed = sum(word != "museum" for word in how.noised(words, drawing("1"))[0].split())
    assert changed == pytest.approx(200, abs=40)


def test_jumbled_words_move_by_three_places_at_most() -> None:
    words = [f"w{chr(97 + at // 26)}{chr(97 + at % 26)}" for at in range(60)]
    for seed in range(5):
        found = jumbled(" ".join(words), 0.0, drawing(str(seed))).split()
        assert sorted(found) == sorted(words)
        assert 1 <= max(abs(found.index(word) - at) for at, word in enumerate(words)) <= 3
    lost = [60 - len(jumbled(" ".join(words), 0.2, drawing(str(s))).split()) for s in range(40)]
    assert sum(lost) / len(lost) == pytest.approx(12, abs=2)


@pytest.mark.parametrize(
    ("text", "reason"), [("", "empty"), ("  ", "empty"), ("42", "identical"), ("{x}", "identical")]
)
def test_texts_without_a_word_have_no_variant(text: str, reason: str) -> None:
    assert reasons(outcomes(noise(), [row(text=text)]))[-1] == reason


@pytest.mark.parametrize("text", ["a", "naïve café", "Привет мир", "日本語です", "e\u0301te\u0301"])
def test_any_script_can_be_noised(text: str) -> None:
    _, variant = outcomes(noise(), [row(text=text)])
    assert isinstance(variant, Row)
    assert variant.data["text"] != text
    variant.data["text"].encode()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": 0}, "greater than 0"),
        ({"operations": []}, "at least 1 item"),
        ({"operations": ["typo"]}, "'key', 'swap'"),
        ({"layout": "dvorak"}, "'qwerty'"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        STAGES.build({"kind": "noise", "field": "text", **settings}, key="stages.0")
    assert STAGES.build(noise(rate=0.2).model_dump(mode="json")) == noise(rate=0.2)
