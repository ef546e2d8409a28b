"""Beam search by sampling: distributed as that of transformers, and decided by its seed."""

from collections import Counter
from typing import Any

import pytest
import torch
from table_engine import TableEngine, decode, letters, random_table
from tiny_models import tiny_causal

from chains.decoding import Beam, BeamSample, Greedy
from chains.decoding.search import Request

RUNS = 3000


def model_table(model: Any, prompt: int) -> Any:
    """The logits of a model behind a prompt of one token, each computed once."""
    known: dict[Any, Any] = {}

    def logits(text: Any) -> Any:
        if text not in known:
            with torch.inference_mode():
                known[text] = model(torch.tensor([text])).logits[0, -1].tolist()
        return known[text]

    return logits


def test_the_distribution_is_that_of_generate() -> None:
    """Ends, the truncation and the temperature included; total variation over whole replies."""
    model = tiny_causal(vocab_size=7, bos_token_id=1, eos_token_id=0, pad_token_id=0)
    settings = BeamSample(num_beams=3, max_tokens=3, temperature=2.0, top_k=4)
    engine = TableEngine(model_table(model, 3))
    tasks = [(settings, Request((3,), seed, 3)) for seed in range(RUNS)]
    found = Counter(d[0].tokens for d in decode(engine, tasks, letters(), capacity=10**6))
    torch.manual_seed(1)
    with torch.inference_mode():
        output = model.generate(
            torch.full((RUNS, 1), 3),
            attention_mask=torch.ones(RUNS, 1, dtype=torch.long),
            max_new_tokens=3,
            do_sample=True,
            num_beams=3,
            temperature=2.0,
            top_k=4,
        )[:, 1:].tolist()
    expected = Counter(tuple(row[: row.index(0) + 1] if 0 in row else row) for row in output)
    assert len(expected) > 10
    distance = sum(abs(found[key] - expected[key]) for key in {*found, *expected}) / 2 / RUNS
    # Two samples of this size of one distribution differ by about sqrt(outcomes / (pi runs)).
    assert distance < 1.6 * (len(expected) / (3.14 * RUNS)) ** 0.5


def test_the_seed_decides_the_reply() -> None:
    engine = TableEngine(random_table(9, 1))
    settings = BeamSample(num_beams=3, n=3, max_tokens=6, temperature=2.0)
    tasks = [(settings, Request((9,), seed, 6)) for seed in (5, 6, 7, 5)]
    found = decode(engine, tasks, letters())
    assert found[0] == found[3]
    assert len({tuple(s.tokens for s in each) for each in found}) == 3


@pytest.mark.parametrize("seed", range(3))
def test_at_a_temperature_near_zero_it_is_beam_search(seed: int) -> None:
    engine = TableEngine(random_table(9, seed))
    common: dict[str, Any] = {"num_beams": 3, "n": 3, "max_tokens": 6, "length_penalty": 0.0}
    cold = BeamSample(temperature=1e-4, **common)
    tasks = [(s, Request((9,), 1, 6)) for s in (cold, Beam(**common))]
    drawn, best = decode(engine, tasks, letters())
    assert [s.tokens for s in drawn] == [s.tokens for s in best]
    assert [s.logprob for s in drawn] == pytest.approx([s.logprob for s in best], abs=1e-4)


@pytest.mark.parametrize("rules", [{"top_k": 1}, {"top_p": 0.01}], ids=str)
def test_one_token_to_choose_from_leaves_the_greedy_reply(rules: dict[str, Any]) -> None:
    engine = TableEngine(random_table(300, 2))
    tasks = [
        (BeamSample(num_beams=2, max_tokens=5, **rules), Request((9,), 4, 5)),
        (Greedy(max_tokens=5), Request((9,), 0, 5)),
    ]
    vocabulary = letters(banned=tuple(range(27, 300)))
    drawn, greedy = decode(engine, tasks, vocabulary)
    assert [s.tokens for s in drawn] == [greedy[0].tokens]
