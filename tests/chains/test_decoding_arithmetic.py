"""Arithmetic sampling: codes decoded by hand, every reply a sample, all of them evenly spread."""

import itertools
import math
from collections import Counter
from typing import Any

import pytest
import torch
from table_engine import TableEngine, all_sequences, decode, letters, random_table

from chains.decoding import Arithmetic, Greedy
from chains.decoding.arithmetic_search import refreshed, uniform
from chains.decoding.search import Request

ROOM = 3


def intervals(table: Any, vocabulary: int) -> list[tuple[float, Any]]:
    """Upper ends of the replies' intervals, which lie in the order of their tokens' ids."""
    ranked = sorted(all_sequences(table, 9, ROOM, vocabulary))
    ends = itertools.accumulate(math.exp(logprob) for _, logprob in ranked)
    return [(end, tokens) for end, (tokens, _) in zip(ends, ranked, strict=True)]


@pytest.mark.parametrize("seed", range(4))
def test_a_code_gives_the_reply_in_whose_interval_it_lies(seed: int) -> None:
    table, count = random_table(5, seed), 40
    (found,) = decode(
        TableEngine(table),
        [(Arithmetic(n=count, max_tokens=ROOM), Request((9,), seed, ROOM))],
        letters(),
    )
    shift = uniform(seed, 0)
    ends = intervals(table, 5)
    for number, sequence in enumerate(found, 1):
        code = (number / (count + 1) + shift) % 1
        assert sequence.tokens == next(tokens for end, tokens in ends if end > code)
    chances = dict(all_sequences(table, 9, ROOM, 5))
    expected = [chances[sequence.tokens] for sequence in found]
    assert [sequence.logprob for sequence in found] == pytest.approx(expected, abs=1e-4)


def test_replies_are_spread_as_evenly_as_can_be() -> None:
    table, count = random_table(4, 7), 200
    tasks = [(Arithmetic(n=count, max_tokens=ROOM), Request((9,), s, ROOM)) for s in range(5)]
    chances = {tokens: math.exp(p) for tokens, p in all_sequences(table, 9, ROOM, 4)}
    for found in decode(TableEngine(table), tasks, letters()):
        counts = Counter(sequence.tokens for sequence in found)
        # One gap between codes is twice as wide as the others.
        assert all(abs(counts[t] - p * (count + 1)) <= 2 for t, p in chances.items())


def test_every_reply_alone_is_a_sample_of_the_truncated_distribution() -> None:
    logits = [0.3, 1.0, -0.4, 0.1, -2.0]
    settings = Arithmetic(n=3, max_tokens=1, temperature=1.4, top_p=0.9)
    tasks = [(settings, Request((9,), seed, 1)) for seed in range(2000)]
    drawn = decode(TableEngine(lambda text: logits), tasks, letters(), capacity=10**6)
    chances = (torch.tensor(logits) / 1.4).softmax(-1)
    chances[4] = 0  # the nucleus of 0.9 has the first four
    chances /= chances.sum()
    for reply in range(3):
        counts = Counter(found[reply].tokens[0] for found in drawn)
        expected = [float(p) * 2000 for p in chances[:4]]
        statistic = sum((counts[t] - e) ** 2 / e for t, e in enumerate(expected))
        assert statistic < 16.3  # chi-square of 3 degrees of freedom, p 0.001
        assert counts[4] == 0


def test_codes_never_run_out_of_digits() -> None:
    """A fair coin, thrown 90 times a reply: every throw is fair, and none follows another."""
    table = [-math.inf, 0.0, 0.0]
    settings = Arithmetic(max_tokens=90)
    tasks = [(settings, Request((9,), seed, 90)) for seed in range(300)]
    found = decode(TableEngine(lambda text: table), tasks, letters())
    throws = torch.tensor([[token - 1 for token in each[0].tokens] for each in found]).float()
    assert float((throws.mean(0) - 0.5).abs().max()) < 0.125  # 4.3 standard errors
    correlation = throws.T.corrcoef()
    assert float((correlation - torch.eye(90)).abs().max()) < 0.29  # 5 standard errors
    assert found[0][0].logprob == pytest.approx(-90 * math.log(2), abs=1e-3)


def test_refreshed_codes_keep_the_digits_that_are_right() -> None:
    value = 0.6180339887498949
    for spent, kept in [(24.5, 23), (30.0, 18), (41.2, 6), (60.0, 0)]:
        found = refreshed(value, spent, 0.25)
        assert math.floor(found * 2**kept) == math.floor(value * 2**kept)
        assert (found * 2**kept) % 1 == pytest.approx(0.25, abs=1e-6)
    assert refreshed(1 - 2**-53, 25.0, 1 - 2**-53) < 1


def test_one_token_to_choose_from_leaves_the_greedy_reply() -> None:
    engine = TableEngine(random_table(9, 2))
    tasks = [
        (Arithmetic(n=3, max_tokens=6, top_k=1), Request((9,), 4, 6)),
        (Greedy(max_tokens=6), Request((9,), 0, 6)),
    ]
    drawn, greedy = decode(engine, tasks, letters())
    assert drawn == greedy * 3


def test_codes_share_a_row_until_they_part() -> None:
    seen: list[int] = []
    table = random_table(9, 2)
    sure = {2: [-30.0] * 9, 3: [-30.0] * 9}
    for length, row in sure.items():
        row[length] = 30.0
    engine = TableEngine(
        lambda text: sure.get(len(text)) or table(text), fault=lambda texts: seen.append(len(texts))
    )
    settings = Arithmetic(n=30, max_tokens=6, top_k=2, min_tokens=6)
    (found,) = decode(engine, [(settings, Request((9,), 1, 6))], letters())
    assert len(found) == 30
    assert seen[:5] == [1, 2, 2, 2, 4]


def test_the_seed_decides_the_replies() -> None:
    engine = TableEngine(random_table(9, 1))
    tasks = [(Arithmetic(n=4, max_tokens=6), Request((9,), seed, 6)) for seed in (5, 6, 5)]
    found = decode(engine, tasks, letters())
    assert found[0] == found[2] != found[1]
