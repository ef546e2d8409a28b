"""A reply's own window and target: drawn, said, steered, trimmed, judged."""

from dataclasses import replace
from typing import Any

import pytest

from chains.calls import Message, Reply
from chains.decoding.length import LengthGuide
from pipelines.aim import Aim, Trial
from pipelines.drawing import DISTRIBUTIONS
from pipelines.drawing.targets import drawn, greatest
from pipelines.length import Length

TEXT = "One two three. Four five six. Seven eight nine ten."


def aim(seed: int = 3, **settings: Any) -> Aim:
    return Aim.at(Length.model_validate(settings), seed)


def count(text: str) -> int:
    return len(text.split())


def judged(text: str, finish: Any = "stop", trial: Trial | None = None, **settings: Any) -> Any:
    reply = Reply(text, finish, completion_tokens=30)
    return aim(**settings).judged(reply, text, trial or Trial(0, 0, max_tokens=99), count)


@pytest.mark.parametrize(
    ("settings", "window"),
    [
        ({"target": 50}, (45, 55)),
        ({"target": 20, "tolerance": 0.1}, (18, 22)),
        ({"target": 25, "tolerance": 0.1}, (23, 27)),
        ({"target": 7, "tolerance": 0}, (7, 7)),
        ({"target": 50, "tolerance": 8}, (42, 58)),
        ({"target": 3, "tolerance": 5}, (1, 8)),
        ({"min": 4}, (4, None)),
    ],
)
def test_the_window_lies_around_the_target(settings: Any, window: Any) -> None:
    found = aim(**settings).window
    assert (found.min, found.max) == window


@pytest.mark.parametrize(
    ("distribution", "quantiles"),
    [
        ({"draw": "uniform", "min": 20, "max": 29}, [20, 22, 25, 29]),
        ({"draw": "normal", "mean": 60, "sd": 10, "min": 55, "max": 75}, [55, 59, 63, 75]),
        ({"draw": "lognormal", "median": 60, "sigma": 0.5, "min": 1, "max": 400}, [2, 43, 60, 278]),
        ({"draw": "choice", "values": [20, 50], "weights": [1, 3]}, [20, 50, 50, 50]),
        ({"draw": "choice", "values": [20, 50]}, [20, 20, 50, 50]),
    ],
)
def test_targets_are_drawn_from_their_distribution(distribution: Any, quantiles: Any) -> None:
    found = DISTRIBUTIONS.build(distribution)
    assert [found.at(share, 0) for share in (0.0, 0.25, 0.5, 0.999)] == quantiles
    assert greatest(found) == distribution.get("max", quantiles[-1])
    draws = [drawn(found, seed) for seed in range(400)]
    assert draws == [drawn(found, seed) for seed in range(400)]
    middle = sorted(draws)[200]
    assert abs(middle - quantiles[2]) <= 2


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"target": 50}, "Reply in about 50 words."),
        ({"min": 5, "max": 25}, "Reply in 5 to 25 words."),
        ({"max": 25}, "Reply in at most 25 words."),
        ({"min": 25}, "Reply in at least 25 words."),
        ({"target": 1, "tolerance": 0, "unit": "sentences"}, "Reply in exactly 1 sentence."),
        ({"target": 40, "unit": "tokens"}, "Reply in about 30 words."),
        ({"target": 50, "wording": "Use {min}-{max} {unit}!"}, "Use 45-55 words!"),
    ],
)
def test_the_wording_ends_the_last_user_message(settings: Any, said: str) -> None:
    chat = [Message("system", "Be kind."), Message("user", "Hello."), Message("assistant", "So")]
    told = aim(**settings).said(chat)
    assert told == (chat[0], Message("user", f"Hello.\n\n{said}"), chat[2])
    assert aim(**{**settings, "layers": ["trim"], "wording": ""}).said(chat) == tuple(chat)


def test_each_layer_can_be_switched_off() -> None:
    whole = LengthGuide(min=45, max=55, target=50)
    assert aim(target=50).guides() == (whole,)
    off = whole.model_copy(update={"pull": False, "maximum": False})
    assert aim(target=50, layers=["minimum"]).guides() == (off,)
    assert aim(target=50, layers=["wording", "trim"]).guides() == ()


@pytest.mark.parametrize(
    ("settings", "finish", "text"),
    [
        ({"target": 6}, "stop", "One two three. Four five six."),
        ({"min": 2, "max": 7}, "length", "One two three. Four five six."),  # the last that fits
        ({"target": 4, "tolerance": 2}, "stop", "One two three."),  # the nearest
        ({"target": 10}, "length", TEXT),  # cut just behind a sentence
        ({"max": 12}, "stop", TEXT),
        ({"unit": "sentences", "max": 2}, "stop", "One two three. Four five six."),
    ],
)
def test_a_text_is_trimmed_to_a_sentence_end_inside(settings: Any, finish: Any, text: str) -> None:
    found = judged(TEXT, finish, **settings)
    assert (found.text, found.fault) == (text, None)
    assert found.event["layer"] == ("prompt" if text == TEXT and finish == "stop" else
                                    "maximum" if text == TEXT else "trim")  # fmt: skip


@pytest.mark.parametrize(
    ("text", "finish", "settings", "reason"),
    [
        (TEXT, "stop", {"target": 20}, "too_short"),
        (TEXT, "stop", {"target": 5, "tolerance": 0}, "too_long"),
        (TEXT, "stop", {"target": 6, "layers": ["wording"]}, "too_long"),
        ("One two three four", "length", {"target": 4}, "too_long"),  # the next word is beyond
        ("One two", "length", {"min": 3, "max": 5}, "cut_at_max_tokens"),  # the window ends
    ],
)
def test_what_misses_the_window_is_refused(
    text: str, finish: Any, settings: Any, reason: str
) -> None:
    found = judged(text, finish, **settings)
    assert found.fault.reason == reason
    assert found.fault.detail["length"] == count(text) == found.event["length"]


def test_a_reply_that_fills_max_tokens_is_named_so() -> None:
    short = Trial(0, 0, max_tokens=30)
    found = judged("One two three four", "length", short, target=4)
    assert (found.fault.reason, found.fault.detail["max_tokens"]) == ("cut_at_max_tokens", 30)
    assert (
        judged("One two three four", "length", replace(short, allow_cut=True), target=4)[1] is None
    )


def test_tokens_are_those_that_were_generated() -> None:
    exact = {"unit": "tokens", "target": 30, "tolerance": 0}
    assert judged("a b c", "length", **exact).fault is None
    assert judged("a b c", "stop", **exact).event["length"] == 29  # the end token is not counted
    stops = Trial(0, 0, stops=True, max_tokens=99)
    assert judged("a b c", "stop", stops, **exact).event["length"] == 3


def test_the_event_names_what_settled_the_length() -> None:
    event = judged("a " * 9, trial=Trial(0, 0, guided=True), target=10, tolerance=2).event
    assert event == {
        "unit": "words", "length": 9, "target": 10, "deviation": -0.1, "layer": "guide",
    }  # fmt: skip
    trials = {"retry": Trial(0, 1), "candidates": Trial(0, 0, candidate=1), "prompt": Trial(0, 0)}
    for layer, trial in trials.items():
        assert judged("a b c", trial=trial, max=5).event["layer"] == layer
    assert "deviation" not in judged("a b c", max=5).event
