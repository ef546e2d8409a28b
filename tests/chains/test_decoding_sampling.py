"""Sampling: the generator's known answers, the exact distributions, a part against the whole."""

from typing import Any

import numpy as np
import pytest
import torch

from chains.decoding import Greedy, Sample
from chains.decoding.noise import Noise, philox
from chains.decoding.ranking import best, bound_of_best, in_blocks, ranked
from chains.decoding.row_search import RowSearch
from chains.decoding.sampling import SPAN, draw
from chains.decoding.search import Request, Vocabulary
from chains.decoding.seeds import reply_seed
from chains.decoding.truncation import Truncation

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


def test_uniform_numbers_are_even_and_never_an_end() -> None:
    sample = np.sort(noise(50_000, seed=2**40).uniform().numpy())
    assert sample[0] > 0
    assert sample[-1] < 1
    distance = np.abs(sample - np.arange(1, 50_001) / 50_000).max()
    assert distance < 1.95 / np.sqrt(50_000)


def test_uniform_numbers_are_a_rows_own() -> None:
    together = Noise(torch.tensor([1, 2, 2]), torch.tensor([5, 5, 6])).uniform()
    assert len(set(together.tolist())) == 3
    assert torch.equal(Noise(torch.tensor([2]), torch.tensor([5])).uniform(), together[1:2])


def chi_square_limit(freedom: int) -> Any:
    """What chi square exceeds once in a thousand (Wilson and Hilferty 1931)."""
    step = 2 / (9 * freedom)
    return freedom * (1 - step + 3.09 * step**0.5) ** 3


def exact(settings: Any) -> Any:
    """The truncated distribution by the definitions, token by token."""
    p = np.array(PROBABILITIES, dtype=np.float64) ** (1 / settings.temperature)
    p /= p.sum()
    kept = list(np.argsort(-p, kind="stable"))
    if settings.top_h < 1:
        terms = np.cumsum(-p[kept] * np.log(p[kept]))
        kept = [t for t, s in zip(kept, terms, strict=True) if s <= settings.top_h * terms[-1]]
    kept = kept[: settings.top_k] if settings.top_k else kept
    mass = p[kept].sum()
    nucleus, total = [], 0.0
    for token in kept:
        if total >= settings.top_p - 1e-12:
            break
        nucleus.append(token)
        total += p[token] / mass
    kept = [token for token in nucleus if p[token] >= settings.min_p * p.max()]
    q = p[kept] / p[kept].sum()
    entropy = -(q * np.log(q)).sum()
    if settings.typical_p < 1:
        shift = np.abs(-np.log(q) - entropy)
        typical, total = [], 0.0
        for place in np.argsort(shift, kind="stable"):
            if total >= settings.typical_p:
                break
            typical.append(kept[place])
            total += q[place]
        kept = typical
    if settings.eta:
        floor = min(settings.eta, settings.eta**0.5 * np.exp(-entropy))
        kept = [token for token, share in zip(kept, q, strict=True) if share >= floor]
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
    Truncation(eta=0.1),
    Truncation(eta=0.6),
    Truncation(top_h=0.7),
    Truncation(temperature=1.3, top_k=9, top_p=0.93, min_p=0.1, typical_p=0.9),
    Truncation(temperature=1.3, top_k=9, top_p=0.93, eta=0.4),
    Truncation(temperature=0.7, top_h=0.9, top_p=0.8),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("vocabulary", [len(PROBABILITIES), 300], ids=["small", "large"])
def test_draws_follow_the_exact_truncated_distribution(settings: Any, vocabulary: int) -> None:
    scores = torch.full((vocabulary,), -90.0)
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


def drawn_by_definition(scores: Any, uniform: float, settings: Any) -> Any:
    """Rank all, truncate by the definitions, walk down to the random number."""
    order = np.arange(len(scores)) if settings.keeps_all else np.argsort(-scores, kind="stable")
    p = np.exp((scores - scores.max()).astype(np.float64) / settings.temperature)
    p = p[order] / p.sum()
    if settings.top_h < 1:
        p[100:] = 0
        terms = np.cumsum(-p[:100] / p.sum() * np.log(p[:100] / p.sum()))
        p[1:100][terms[1:] > settings.top_h * terms[-1]] = 0
    p[settings.top_k or len(p) :] = 0
    mass = p.sum() if settings.most else 1
    p[np.concatenate([[0.0], np.cumsum(p)[:-1]]) >= settings.top_p * mass] = 0
    p[p < settings.min_p * p.max()] = 0
    q = p[p > 0] / p.sum()
    entropy = -(q * np.log(q)).sum()
    if settings.typical_p < 1:
        nearest = np.argsort(np.abs(-np.log(q) - entropy).astype(np.float32), kind="stable")
        count = (np.cumsum(q[nearest]) < settings.typical_p).sum() + 1
        p[np.setdiff1d(np.arange(len(q)), nearest[:count])] = 0
    if settings.eta:
        p[p / p.sum() < min(settings.eta, settings.eta**0.5 * np.exp(-entropy))] = 0
    return order[np.searchsorted(np.cumsum(p), uniform * p.sum(), side="right")]


@pytest.mark.parametrize(
    "settings",
    [
        Truncation(),
        Truncation(temperature=0.6),
        Truncation(top_p=0.5),
        Truncation(top_p=0.95),
        Truncation(top_p=0.99999),
        Truncation(top_k=40),
        Truncation(top_k=400, top_p=0.99),
        Truncation(temperature=3.0, top_p=0.999),
        Truncation(top_p=0.9, min_p=0.01, typical_p=0.8),
        Truncation(min_p=0.02),
        Truncation(min_p=0.0001),
        Truncation(typical_p=0.7),
        Truncation(eta=0.01),
        Truncation(top_p=0.9, eta=0.02),
        Truncation(top_h=0.6),
        Truncation(top_h=0.6, top_k=5),
        Truncation(top_k=400, min_p=0.05, top_p=0.8),
    ],
    ids=str,
)
@pytest.mark.parametrize("grain", [0.0, 0.5], ids=["distinct", "tied"])
def test_the_likeliest_tokens_give_what_the_whole_vocabulary_gives(
    settings: Any, grain: float
) -> None:
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(60, 2003, generator=generator) * 2
    scores[40:] /= 8  # so flat that a nucleus is half the vocabulary
    if grain:
        scores = (scores / grain).round() * grain
    found = draw(scores, noise(60), settings).tolist()
    uniform = noise(60).uniform().tolist()
    rows = scores.numpy()
    assert found == [drawn_by_definition(rows[i], uniform[i], settings) for i in range(60)]


@pytest.mark.parametrize("vocabulary", [1, 31, 64, 2003])
def test_the_ranking_is_that_of_a_stable_sort(vocabulary: int) -> None:
    generator = torch.Generator().manual_seed(4)
    scores = -(torch.randn(20, vocabulary, generator=generator) * 4).round().abs() / 2
    scores[3, : vocabulary // 2] = -torch.inf
    values, ids = scores.sort(dim=-1, descending=True, stable=True)
    whole = ranked(scores, torch.full((20, 1), -torch.inf))
    assert torch.equal(whole[0], values)
    assert torch.equal(whole[1], ids)
    floor = torch.linspace(-3, 0, 20)[:, None]
    part, known = ranked(scores, floor)
    for row in range(20):
        count = int((scores[row] >= floor[row]).sum())
        assert part[row].tolist() == [*values[row, :count], *[-torch.inf] * (part.shape[1] - count)]
        assert torch.equal(known[row, :count], ids[row, :count])


@pytest.mark.parametrize("vocabulary", [7, 500])
def test_a_bound_is_reached_by_as_many_tokens_as_asked(vocabulary: int) -> None:
    scores = torch.randn(9, vocabulary, generator=torch.Generator().manual_seed(6))
    for count in (1, 5, 400):
        bound = bound_of_best(scores, count)
        assert ((scores >= bound).sum(-1) >= min(count, vocabulary)).all()


def test_the_best_token_is_the_lowest_of_equals() -> None:
    scores = torch.zeros(3, 5000)
    scores[1, [4999, 130, 1300]] = 2.0
    scores[2, 4999] = 1.0
    assert best(scores).tolist() == [0, 130, 4999]


def test_top_k_keeps_the_lowest_ids_of_equals() -> None:
    tokens = draw(torch.zeros(500, 2000), noise(500), Truncation(top_k=3))
    assert set(tokens.tolist()) == {0, 1, 2}


def test_a_tiny_temperature_draws_the_best_token() -> None:
    scores = torch.tensor([[1.0, 3.0, 2.9999]] * 50)
    assert set(draw(scores, noise(50), Truncation(temperature=1e-30)).tolist()) == {1}


def test_banned_tokens_are_never_drawn() -> None:
    scores = torch.zeros(300, 700)
    scores[:, 5:] = -torch.inf
    every = (Truncation(top_p=0.9), Truncation(top_k=50), Truncation(top_p=0.999, temperature=9.0))
    for settings in (Truncation(), Truncation(min_p=0.5), Truncation(typical_p=0.9), *every):
        assert set(draw(scores, noise(300), settings).tolist()) <= set(range(5))


def test_a_row_without_a_token_disturbs_no_other() -> None:
    scores = torch.randn(3, 700, generator=torch.Generator().manual_seed(8))
    for settings in (Truncation(), Truncation(top_p=0.9), Truncation(eta=0.1), Truncation(top_k=3)):
        alone = draw(scores[2:], noise(1, seed=2), settings)
        banned = torch.cat([scores[:1], torch.full((1, 700), -torch.inf), scores[2:]])
        assert draw(banned, noise(3), settings)[2:].tolist() == alone.tolist()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_draw_is_the_same_in_any_batch(threads: int) -> None:
    before = torch.get_num_threads()
    scores = torch.randn(33, 3000, generator=torch.Generator().manual_seed(5))
    rules = [Truncation(), Truncation(top_p=0.9), Truncation(typical_p=0.5), Truncation(eta=0.01)]
    torch.set_num_threads(threads)
    try:
        for settings in rules:
            together = draw(scores, noise(33), settings)
            alone = [draw(scores[i : i + 1], noise(1, seed=i), settings) for i in range(33)]
            assert together.tolist() == torch.cat(alone).tolist()
    finally:
        torch.set_num_threads(before)


def test_sums_and_log_probabilities_round_alike_beside_any_rows() -> None:
    before = torch.get_num_threads()
    scores = torch.randn(48, 49152, generator=torch.Generator().manual_seed(5)) * 3
    whole = [scores.softmax(-1), scores.log_softmax(-1), in_blocks(scores, SPAN, 0.0).sum(-1)]
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for rows in (slice(0, 1), slice(7, 8), slice(3, 6), slice(0, 48)):
                part = scores[rows]
                found = [part.softmax(-1), part.log_softmax(-1), in_blocks(part, SPAN, 0.0).sum(-1)]
                for mine, all_rows in zip(found, whole, strict=True):
                    assert torch.equal(mine, all_rows[rows])
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("settings", [Greedy(), Sample(top_p=0.9), Sample(min_tokens=3)], ids=repr)
def test_logits_are_read_and_not_changed(settings: Any) -> None:
    logits = torch.randn(4, 300, generator=torch.Generator().manual_seed(9))
    kept = logits.clone()
    search = RowSearch(settings, Vocabulary(lambda tokens: "", frozenset([0])))
    search.admit([Request((1,), seed, 9) for seed in range(4)])
    search.advance(logits)
    assert torch.equal(logits, kept)


def test_the_log_probability_is_the_models_own() -> None:
    logits = torch.randn(2, 300, generator=torch.Generator().manual_seed(9))
    search = RowSearch(Sample(temperature=0.3, top_k=4), Vocabulary(lambda t: "", frozenset([0])))
    search.admit([Request((1,), seed, room=1) for seed in range(2)])
    search.advance(logits)
    for row, (found,) in search.take().items():
        expected = logits[row].log_softmax(-1)[found.tokens[0]]
        assert found.logprob == pytest.approx(float(expected), abs=1e-6)


def test_seeds_of_replies_begin_with_the_calls_own() -> None:
    seeds = [reply_seed(812, reply) for reply in range(50)]
    assert seeds[0] == 812
    assert len(set(seeds)) == 50
    assert all(0 <= seed < 2**53 for seed in seeds)
    assert reply_seed(813, 1) != seeds[1]
