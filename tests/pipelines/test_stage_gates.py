import pytest

from pipelines.stages import STAGES
from pipelines.stages.augment.gates import Gates, asks, difference, doubled
from prompts.errors import UsageError

ORIGINAL = "The museum opens at nine on Monday."


@pytest.mark.parametrize(
    ("variant", "cosine", "reason"),
    [
        ("On Mondays the museum opens its doors at 9.", 0.9, None),
        ("On Mondays the museum opens its doors at 9.", 0.85, None),
        ("the museum opens at nine on monday", 1.0, "identical"),
        ("Does the museum open its doors at nine on Mondays?", 0.9, "form_changed"),
        ("On Mondays the museum opens its doors at ten.", 0.9, "numbers_changed"),
        ("On Mondays the museum opens its doors.", 0.9, "numbers_changed"),
        ("On Mondays the museum opens its doors at nine, or twice at ten.", 0.9, "numbers_changed"),
        ("On Mondays the museum opens its doors doors at 9.", 0.9, "word_doubled"),
        ("At nine, Monday.", 0.9, "length_changed"),
        ("The museum opens at nine on Monday. " * 3, 0.9, "length_changed"),
        ("The museum opens at nine on a Monday.", 0.99, "too_similar"),
        ("On Mondays the museum opens its doors at 9.", 0.84, "meaning_changed"),
        ("On Mondays the museum opens its doors at 9.", None, None),
        ("No museum, nine on Monday.", None, None),
    ],
)
def test_a_variant_must_pass_every_gate(
    variant: str, cosine: float | None, reason: str | None
) -> None:
    fault = Gates().fault(ORIGINAL, variant, cosine)
    assert (fault and fault.reason) == reason


def test_a_fault_shows_what_was_measured() -> None:
    gates = Gates()
    numbers = gates.fault("At 9 on 3 days.", "On 2 days at nine.")
    assert numbers is not None
    assert numbers.detail == {"missing": ["3"], "added": ["2"]}
    meaning = gates.fault("It is warm today.", "Today it is cold here.", 0.61234)
    assert meaning is not None
    assert meaning.detail == {"similarity": 0.6123, "least": 0.85}
    length = gates.fault("It is warm.", "Today it is very warm and sunny.")
    assert length is not None
    assert length.detail == {"words": [3, 7], "length_ratio": 2.0}
    same = gates.fault("It is warm today here.", "It is warmer today here.")
    assert same is not None
    assert same.detail == {"difference": round(2 / 23, 4), "least": 0.2}


@pytest.mark.parametrize(
    ("gates", "variant", "cosine"),
    [
        (Gates(similarity=None), "On Mondays the museum opens its doors at 9.", 0.1),
        (Gates(difference=0), "The museum opens at nine on a Monday.", 1.0),
        (Gates(form=False), "Does the museum open its doors at nine on Mondays?", 0.9),
        (Gates(numbers=False), "On Mondays the museum opens its doors.", 0.9),
        (Gates(doubled=False), "On Mondays the museum opens its doors doors at 9.", 0.9),
        (Gates(length_ratio=9), "At nine, Monday.", 0.9),
    ],
)
def test_a_gate_can_be_opened(gates: Gates, variant: str, cosine: float) -> None:
    assert gates.fault(ORIGINAL, variant, cosine) is None


def test_scores_are_what_the_gates_compare() -> None:
    variant = "On Mondays the museum opens its doors at 9."
    scores = Gates().scores(ORIGINAL, variant, 0.87654)
    assert scores == {"similarity": 0.8765, "difference": 0.619, "parascore": 0.894}
    assert difference(ORIGINAL, variant) == 0.619
    assert Gates().scores(ORIGINAL, variant, None) == {"difference": difference(ORIGINAL, variant)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("When does it open?", True),
        ('He asked "When?"', True),
        ("When? (On Monday?)", True),
        ("什么时候？", True),  # noqa: RUF001
        ("متى؟ 😀", True),
        ("When? At nine.", False),
        ("It opens.", False),
        ("", False),
    ],
)
def test_a_question_is_known_by_its_end(text: str, expected: bool) -> None:
    assert asks(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Standing in a parking parking lot.", {"parking"}),
        ("The the, a a a and of\nof", {"the", "a", "of"}),
        ("The l'eau l'eau.", {"l'eau"}),
        ("He had had it that that day.", set()),
        ("Nous nous levons; vous vous levez; die die singen.", set()),
        ("Johnson & Johnson, again, again. Anak-anak, 3 3 and in interior.", set()),
        ("", set()),
    ],
)
def test_a_word_twice_running_is_a_stutter_but_for_those_that_languages_double(
    text: str, expected: set[str]
) -> None:
    assert doubled(text) == expected


def test_what_the_original_doubles_a_variant_may_double() -> None:
    original = "New York, New York is a a town of many very tall houses."
    variant = "A a town with very many tall buildings is New York, New York."
    assert Gates(difference=0).fault(original, variant) is None
    fault = Gates(difference=0).fault("A town of many tall houses.", "A a town town of houses.")
    assert fault is not None
    assert (fault.reason, fault.detail) == ("word_doubled", {"words": ["a", "town"]})


def test_an_answer_is_no_paraphrase_of_a_question() -> None:
    fault = Gates().fault("Why is swimming forbidden?", "Swimming is forbidden here.", 0.9)
    assert fault is not None
    assert (fault.reason, fault.detail) == ("form_changed", {"question": [True, False]})


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [("abcd", "abcd", 0.0), ("Abcd!", "abcd", 0.0), ("abcd", "abcx", 0.25), ("ab", "cdef", 1.0)],
)
def test_difference_is_the_normalised_edit_distance(
    first: str, second: str, expected: float
) -> None:
    assert difference(first, second) == expected


@pytest.mark.parametrize(
    ("gates", "message"),
    [
        ({"similarity": 1.2}, "stages.0.gates.similarity.*less than or equal to 1"),
        ({"difference": -0.1}, "stages.0.gates.difference.*greater than or equal to 0"),
        ({"length_ratio": 0.5}, "stages.0.gates.length_ratio.*greater than or equal to 1"),
        ({"similar": 0.5}, "write 'similarity'"),
    ],
)
def test_impossible_gates_are_refused(gates: dict[str, object], message: str) -> None:
    stage = {"kind": "paraphrase", "model": "w", "field": "f", "gates": gates}
    with pytest.raises(UsageError, match=message):
        STAGES.build(stage, key="stages.0")


def test_a_translation_is_asked_for_less_difference_than_a_paraphrase() -> None:
    built = STAGES.build({"kind": "back_translate", "field": "f", "model": "w", "gates": {}})
    assert built.model_dump()["gates"]["difference"] == 0.1
