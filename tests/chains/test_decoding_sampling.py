"""Sampling: the generator's known answers, the exact distributions, the head against the whole."""

from typing import Any

import numpy as np
import pytest
import torch

from chains.decoding import Sample
from chains.decoding.noise import Noise, philox
from chains.decoding.sampling import HEAD, Truncation, draw, truncate
from chains.decoding.search import History
from chains.decoding.seeds import reply_seed

DRAWS = 10_000
PROBABILITIES = [0.3, 0.2, 0.15, 0.1, 0.08, 0.07, 0.05, 0.03, 0.01, 0.007, 0.002, 0.001]


def noise(rows: int, seed: int = 0, step: int = 0) -> Any:
    return Noise(torch.arange(rows) + seed, torch.full((rows,), step))


def words(*numbers: Any) -> Any:
    return tuple(torch.tensor([number]) for number in numbers)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        (
            (0xFFFFFFFF,) * 4,
            (0xFFFFFFFF,) * 2,
            (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD),
        ),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_known_answers_of_its_authors(
    counter: Any, key: Any, expected: Any
) -> None:
    assert tuple(int(word) for word in philox(words(*counter), words(*key))) == expected


def test_noise_of_a_token_is_the_same_in_the_whole_vocabulary_and_alone() -> None:
    source = Noise(torch.tensor([7, 2**53 - 1]), torch.tensor([0, 3]))
    tokens = torch.tensor([[9, 0, 4], [999, 998, 1]])
    assert torch.equal(source.gumbel(tokens), source.gumbel_all(1000).gather(1, tokens))


def test_noise_differs_by_seed_step_and_token_and_by_nothing_else() -> None:
    both = Noise(torch.tensor([1, 2]), torch.tensor([5, 5])).gumbel_all(64)
    alone = Noise(torch.tensor([2]), torch.tensor([5])).gumbel_all(64)
    later = Noise(torch.tensor([2]), torch.tensor([6])).gumbel_all(64)
    high_bits = Noise(torch.tensor([2 + 2**40]), torch.tensor([5])).gumbel_all(64)
    assert torch.equal(both[1:], alone)
    for other in (both[:1], later, high_bits):
        assert (other == alone).sum() == 0
    assert len(set(alone[0].tolist())) == 64


def test_noise_is_gumbel_distributed() -> None:
    sample = np.sort(noise(50).gumbel_all(1000).flatten().double().numpy())
    steps = np.arange(1, 50_001) / 50_000
    distance = np.abs(np.exp(-np.exp(-sample)) - steps).max()
    assert distance < 1.95 / np.sqrt(50_000)  # Kolmogorov and Smirnov, one in a thousand


def chi_square_limit(freedom: int) -> Any:
    """What chi square exceeds once in a thousand (Wilson and Hilferty 1931)."""
    step = 2 / (9 * freedom)
    return freedom * (1 - step + 3.09 * step**0.5) ** 3


def exact(settings: Any) -> Any:
    """The truncated distribution by the definitions, token by token."""
    p = np.array(PROBABILITIES, dtype=np.float64) ** (1 / settings.temperature)
    p /= p.sum()
    order = list(np.argsort(-p, kind="stable"))
    kept = order[: settings.top_k] if settings.top_k else order
    mass = p[kept].sum()
    nucleus, total = [], 0.0
    for token in kept:
        if total >= settings.top_p - 1e-12:
            break
        nucleus.append(token)
        total += p[token] / mass
    kept = [token for token in nucleus if p[token] >= settings.min_p * p.max()]
    if settings.typical_p < 1:
        q = p[kept] / p[kept].sum()
        shift = np.abs(-np.log(q) + (q * np.log(q)).sum())
        typical, total = [], 0.0
        for place in np.argsort(shift, kind="stable"):
            if total >= settings.typical_p:
                break
            typical.append(kept[place])
            total += q[place]
        kept = typical
    result = np.zeros_like(p)
    result[kept] = p[kept] / p[kept].sum()
    return result


SETTINGS = [
    Truncation(),
    Truncation(temperature=0.5),
    Truncation(temperature=2.5),
    Truncation(top_k=4),
    Truncation(top_p=0.7),
    Truncation(min_p=0.12),
    Truncation(typical_p=0.6),
    Truncation(temperature=1.3, top_k=9, top_p=0.93, min_p=0.1, typical_p=0.9),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("vocabulary", [len(PROBABILITIES), 300], ids=["whole", "head"])
def test_draws_follow_the_exact_truncated_distribution(settings: Any, vocabulary: int) -> None:
    scores = torch.full((vocabulary,), -60.0)
    scores[torch.arange(12) * (vocabulary // 12)] = torch.tensor(PROBABILITIES).log()
    tokens = draw(scores.expand(DRAWS, -1), noise(DRAWS, seed=60_011), settings)
    counts = torch.bincount(tokens, minlength=vocabulary)[:: vocabulary // 12][:12].numpy()
    expected = exact(settings) * DRAWS
    assert counts.sum() == DRAWS
    assert (counts[expected == 0] == 0).all()
    likely = expected > 0
    statistic = ((counts - expected)[likely] ** 2 / expected[likely]).sum()
    assert likely.sum() > 1
    assert statistic < chi_square_limit(likely.sum() - 1)


@pytest.mark.parametrize(
    "settings",
    [
        Truncation(top_p=0.5),
        Truncation(top_p=0.95),
        Truncation(top_k=40),
        Truncation(top_k=HEAD),
        Truncation(top_k=400, top_p=0.99),
        Truncation(temperature=3.0, top_p=0.999),
        Truncation(top_p=0.9, min_p=0.01, typical_p=0.8),
        Truncation(min_p=0.02),
        Truncation(min_p=0.0001),
        Truncation(min_p=0.05, typical_p=0.7),
        Truncation(top_k=400, min_p=0.05, top_p=0.8),
    ],
    ids=str,
)
@pytest.mark.parametrize("grain", [0.0, 0.5], ids=["distinct", "tied"])
def test_the_head_draws_what_the_whole_vocabulary_draws(settings: Any, grain: float) -> None:
    generator = torch.Generator().manual_seed(3)
    scores = torch.randn(60, 2000, generator=generator) * 2
    if grain:
        scores = (scores / grain).round() * grain
    found = draw(scores, noise(60), settings)
    for row in range(60):
        shifted = (scores[row : row + 1] - scores[row].max()) / settings.temperature
        values, ids = shifted.sort(descending=True, stable=True)
        keep, covered = truncate(values, ids, shifted, settings)
        assert bool(covered)
        noisy = torch.full((2000,), -torch.inf)
        chosen = ids[0][keep[0]]
        gumbel = Noise(torch.tensor([row]), torch.tensor([0])).gumbel(chosen[None])[0]
        noisy[chosen] = values[0][keep[0]] + gumbel
        assert int(found[row]) == int(noisy.argmax())


def test_top_k_keeps_the_lowest_ids_of_equals() -> None:
    tokens = draw(torch.zeros(500, 2000), noise(500), Truncation(top_k=3))
    assert set(tokens.tolist()) == {0, 1, 2}


def test_a_tiny_temperature_draws_the_best_token() -> None:
    scores = torch.tensor([[1.0, 3.0, 2.9999]] * 50)
    assert set(draw(scores, noise(50), Truncation(temperature=1e-30)).tolist()) == {1}


def test_banned_tokens_are_never_drawn() -> None:
    scores = torch.zeros(300, 700)
    scores[:, 5:] = -torch.inf
    for settings in (Truncation(), Truncation(top_p=0.9), Truncation(top_k=50)):
        assert set(draw(scores, noise(300), settings).tolist()) <= set(range(5))


def test_a_draw_is_the_same_in_any_batch() -> None:
    generator = torch.Generator().manual_seed(5)
    scores = torch.randn(33, 3000, generator=generator)
    for settings in (Truncation(), Truncation(top_p=0.9), Truncation(typical_p=0.5)):
        together = draw(scores, noise(33), settings)
        alone = [draw(scores[i : i + 1], noise(1, seed=i), settings) for i in range(33)]
        assert together.tolist() == torch.cat(alone).tolist()


def penalised(settings: Any, prompt: Any, drawn: Any) -> Any:
    scores = torch.tensor([[2.0, -2.0, 4.0, 1.0, -1.0]])
    history = History(scores)
    history.add([prompt])
    for token in drawn:
        history.drawn[0, token] += 1
    return settings.penalise(scores.clone(), history)[0].tolist()


def test_repetition_penalty_divides_and_multiplies_prompt_and_reply_tokens() -> None:
    found = penalised(Sample(repetition_penalty=2.0), prompt=[0, 1], drawn=[2])
    assert found == [1.0, -4.0, 2.0, 1.0, -1.0]


def test_frequency_and_presence_penalties_count_sampled_tokens_alone() -> None:
    settings = Sample(frequency_penalty=0.5, presence_penalty=0.25)
    assert penalised(settings, prompt=[0, 1], drawn=[2, 2, 3]) == [2.0, -2.0, 2.75, 0.25, -1.0]


def test_seeds_of_replies_begin_with_the_calls_own() -> None:
    seeds = [reply_seed(812, reply) for reply in range(50)]
    assert seeds[0] == 812
    assert len(set(seeds)) == 50
    assert all(0 <= seed < 2**53 for seed in seeds)
    assert reply_seed(813, 1) != seeds[1]
