"""What a truncation keeps, against the warpers of transformers; and settings that contradict."""

from typing import Any

import pytest
import torch
from transformers.generation.logits_process import (
    EtaLogitsWarper,
    MinPLogitsWarper,
    TopHLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from chains.decoding import STRATEGIES, Sample
from chains.decoding.ranking import ranked
from chains.decoding.sampling import draw
from chains.decoding.truncation import Truncation, entropy, truncate
from prompts.errors import UsageError


def warped(scores: Any, warpers: Any) -> Any:
    for warper in warpers:
        scores = warper(None, scores)
    return scores > -torch.inf


def kept(scores: Any, rules: Any) -> Any:
    shifted = scores - scores.amax(-1, keepdim=True)
    values, ids = ranked(shifted, torch.full_like(shifted[:, :1], -torch.inf))
    probabilities = scores.softmax(-1).gather(-1, ids).double()
    keep = truncate(values, probabilities, rules, whole=entropy(probabilities))
    return torch.zeros_like(keep).scatter(-1, ids, keep)


RULES: Any = [
    ({"top_k": 7}, [TopKLogitsWarper(7)]),
    ({"top_p": 0.8}, [TopPLogitsWarper(0.8)]),
    ({"min_p": 0.05}, [MinPLogitsWarper(0.05)]),
    ({"typical_p": 0.6}, [TypicalLogitsWarper(0.6)]),
    ({"typical_p": 0.02}, [TypicalLogitsWarper(0.02)]),
    ({"eta": 0.02}, [EtaLogitsWarper(0.02)]),
    ({"eta": 0.0003}, [EtaLogitsWarper(0.0003)]),
    ({"top_h": 0.4}, [TopHLogitsWarper(0.4)]),
    ({"top_h": 0.9}, [TopHLogitsWarper(0.9)]),
    (
        {"top_k": 40, "top_p": 0.9, "min_p": 0.02, "eta": 0.05},
        [
            TopKLogitsWarper(40),
            TopPLogitsWarper(0.9),
            MinPLogitsWarper(0.02),
            EtaLogitsWarper(0.05),
        ],
    ),
    ({"top_p": 0.9, "typical_p": 0.5}, [TopPLogitsWarper(0.9), TypicalLogitsWarper(0.5)]),
    ({"top_h": 0.7, "top_p": 0.6}, [TopHLogitsWarper(0.7), TopPLogitsWarper(0.6)]),
]


@pytest.mark.parametrize(("settings", "warpers"), RULES, ids=lambda value: str(value)[:60])
def test_what_is_kept_is_what_transformers_keeps(settings: Any, warpers: Any) -> None:
    generator = torch.Generator().manual_seed(21)
    scores = torch.randn(300, 400, generator=generator)
    scores *= torch.linspace(0.2, 4, 300)[:, None]
    expected = warped(scores, warpers)
    assert 1 <= expected.sum(-1).min() < expected.sum(-1).max() or "top_k" in settings
    assert torch.equal(kept(scores, Truncation(**settings)), expected)


@pytest.mark.parametrize(("settings", "warpers"), RULES, ids=lambda value: str(value)[:60])
def test_every_draw_is_of_a_token_that_transformers_keeps(settings: Any, warpers: Any) -> None:
    from chains.decoding.noise import Noise

    generator = torch.Generator().manual_seed(22)
    scores = torch.randn(2000, 400, generator=generator) * 2
    tokens = draw(scores, Noise(torch.arange(2000), torch.zeros(2000, dtype=torch.long)),
                  Truncation(**settings))  # fmt: skip
    assert warped(scores, warpers).gather(-1, tokens[:, None]).all()


def test_the_strategy_hands_every_rule_on() -> None:
    names = set(Truncation.__annotations__)
    own = set(Sample.model_fields) - set(Sample.__mro__[1].model_fields)  # type: ignore[attr-defined]
    assert own == {*names, "strategy"}
    assert all(Sample.model_fields[name].default == getattr(Truncation(), name) for name in names)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"typical_p": 0.9, "eta": 0.01}, "typical_p and eta each cut by the entropy"),
        ({"top_h": 0.5, "typical_p": 0.9}, "typical_p and top_h each cut by the entropy"),
        ({"top_k": 1, "n": 3}, "top_k 1 leaves one token, so that all 3 replies are the same"),
        ({"eta": 1.0}, "eta"),
        ({"top_h": 0}, "top_h"),
        ({"frequency_penalty": 2.5}, "frequency_penalty"),
        ({"bad_words": ["b"], "stop": ["a B c"]}, "stop 'a B c' never comes: it holds the bad"),
        ({"bad_words": [" "]}, "bad_words has an empty one"),
        ({"logit_bias": {"a": 101}}, "less than or equal to 100"),
        ({"logit_bias": {-1: 1}}, "greater than or equal to 0"),
        ({"logit_bias": [["a", 1], ["a", 2]]}, "logit_bias names 'a' twice"),
        ({"no_repeat_ngram_size": -1}, "no_repeat_ngram_size"),
    ],
    ids=str,
)
def test_settings_that_contradict_are_refused(settings: Any, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        STRATEGIES.build({"strategy": "sample", **settings}, key="decoding")
    assert problem in str(caught.value)
    assert "\n" not in caught.value.problem
