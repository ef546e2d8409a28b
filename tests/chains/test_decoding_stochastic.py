"""Stochastic beam search against direct Gumbel-top-k over all leaves of a small tree."""

import itertools
import math
from functools import cache
from typing import Any

import pytest
import torch
from table_engine import TableEngine, all_sequences, decode, letters, random_table

from chains.decoding import StochasticBeam
from chains.decoding.search import Request
from chains.decoding.stochastic_beam_search import StochasticBeamSearch, conditioned, log_weight

DRAWS, KEPT, DEPTH, WIDTH = 40_000, 3, 3, 3
LEAVES = list(itertools.product(range(WIDTH), repeat=DEPTH))


@cache
def tree() -> tuple[torch.Tensor, Any]:
    """Log-probabilities of the 27 leaves, and the logits behind each prefix."""
    generator = torch.Generator().manual_seed(3)
    prefixes = [p for d in range(DEPTH) for p in itertools.product(range(WIDTH), repeat=d)]
    logits = {prefix: torch.randn(WIDTH, generator=generator) * 1.5 for prefix in prefixes}
    logs = {prefix: values.log_softmax(-1).tolist() for prefix, values in logits.items()}
    leaves = [sum(logs[leaf[:d]][leaf[d]] for d in range(DEPTH)) for leaf in LEAVES]
    return torch.tensor(leaves, dtype=torch.float64), logits


@cache
def draws() -> list[list[Any]]:
    """What comes out of the search for 40,000 seeds, all in one search."""
    _, logits = tree()
    settings = StochasticBeam(num_beams=KEPT, n=KEPT, max_tokens=DEPTH)
    search = StochasticBeamSearch(settings, letters(ends=()))
    search.admit([Request((0,), seed, DEPTH) for seed in range(DRAWS)])
    texts: list[Any] = [()] * DRAWS
    for _ in range(DEPTH):
        move = search.advance(torch.stack([logits[text] for text in texts]))
        moved = zip(move.parents, move.tokens, strict=True)
        texts = [(*texts[parent], token) for parent, token in moved]
    found = search.take()
    return [found[number] for number in range(DRAWS)]


def test_inclusion_frequencies_are_those_of_gumbel_top_k() -> None:
    leaves, _ = tree()
    uniform = torch.rand(DRAWS * 5, len(LEAVES), generator=torch.Generator().manual_seed(1))
    direct = (leaves - (-uniform.double().log()).log()).topk(KEPT, dim=-1).indices
    expected = direct.flatten().bincount(minlength=len(LEAVES)) / len(direct)
    numbers = {leaf: number for number, leaf in enumerate(LEAVES)}
    chosen = [[numbers[sequence.tokens] for sequence in found] for found in draws()]
    assert all(len(set(each)) == KEPT for each in chosen)
    found = torch.tensor(chosen).flatten().bincount(minlength=len(LEAVES)) / DRAWS
    assert float((found - expected).abs().max()) < 0.01
    # The first of them is a plain sample.
    first = torch.tensor([each[0] for each in chosen]).bincount(minlength=len(LEAVES)) / DRAWS
    assert float((first - leaves.exp()).abs().max()) < 0.01


def test_weights_give_an_unbiased_estimate() -> None:
    leaves, _ = tree()
    values = {leaf: math.cos(5.0 * number) for number, leaf in enumerate(LEAVES)}
    truth = sum(math.exp(p) * v for p, v in zip(leaves.tolist(), values.values(), strict=True))
    estimates = torch.tensor(
        [sum(math.exp(s.score) * values[s.tokens] for s in found) for found in draws()]
    )
    error = float(estimates.std()) / DRAWS**0.5
    assert abs(float(estimates.mean()) - truth) < 4 * error < 0.05
    weights = torch.tensor([sum(math.exp(s.score) for s in found) for found in draws()])
    assert abs(float(weights.mean()) - 1) < 4 * float(weights.std()) / DRAWS**0.5


def test_every_reply_brings_its_log_probability() -> None:
    table = random_table(5, 2)
    chances = dict(all_sequences(table, 9, 4, 5))
    settings = StochasticBeam(num_beams=6, n=6, max_tokens=4, temperature=3.0)
    (found,) = decode(TableEngine(table), [(settings, Request((9,), 3, 4))], letters())
    assert len({s.tokens for s in found}) == 6
    assert {s.finish for s in found} == {"stop", "length"}
    assert [s.logprob for s in found] == pytest.approx([chances[s.tokens] for s in found], abs=1e-4)


def test_a_sample_of_the_whole_tree_weighs_what_it_is_likely() -> None:
    table = random_table(3, 4)
    count = len(all_sequences(table, 9, 3, 3))
    settings = StochasticBeam(num_beams=count + 2, n=count + 2, max_tokens=3)
    (found,) = decode(TableEngine(table), [(settings, Request((9,), 3, 3))], letters())
    assert len(found) == count
    assert [s.score for s in found] == pytest.approx([s.logprob for s in found], abs=1e-4)
    assert sum(math.exp(s.score) for s in found) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("beams", [3, 5, 9])
def test_wider_beams_change_no_reply(beams: int) -> None:
    engine = TableEngine(random_table(7, 6))
    narrow = StochasticBeam(num_beams=2, n=2, max_tokens=5)
    wide = StochasticBeam(num_beams=beams, n=2, max_tokens=5)
    for seed in range(5):
        request = Request((9,), seed, 5)
        found = decode(engine, [(narrow, request), (wide, request)], letters())
        assert found[0] == found[1]


def test_continuations_are_conditioned_on_the_maximum_of_their_prefix() -> None:
    noisy = [1.5, 0.2, -3.0, -40.0, -math.inf]
    found = conditioned(noisy, maximum=-2.0, logprob=-6.0)
    free = [-6.0 + value for value in noisy[:4]]
    direct = [-math.log(math.exp(2.0) - math.exp(-free[0]) + math.exp(-g)) for g in free]
    assert found == pytest.approx(direct)
    assert found[0] == -2.0
    assert conditioned(noisy, maximum=None, logprob=-6.0) == free
    near = conditioned([0.0, -1e-18, -1e-300], maximum=-2.0, logprob=0.0)
    assert near == pytest.approx([-2.0, -2.0, -2.0])


@pytest.mark.parametrize("kappa", [-3.0, 2.0, -60.0, 900.0, -math.inf])
def test_weights_are_stable(kappa: float) -> None:
    distance = -3.5 - kappa
    if kappa == 900.0:
        expected = 900.0  # q is exp(-903.5), which no float64 holds
    else:
        expected = -3.5 - math.log(-math.expm1(-math.exp(min(distance, 700.0))))
    assert log_weight(-3.5, kappa) == pytest.approx(expected)
