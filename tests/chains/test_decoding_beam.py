"""Beam search against brute force over a tiny vocabulary, and against transformers' own."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from table_engine import END, TableEngine, all_sequences, decode, letters, random_table
from tiny_models import tiny_causal

from chains.decoding import (
    STRATEGIES,
    Arithmetic,
    Beam,
    BeamSample,
    Contrastive,
    DiverseBeam,
    Greedy,
    StochasticBeam,
)
from chains.decoding.best import best_tokens
from chains.decoding.guide import Guide
from chains.decoding.search import Request, Vocabulary
from chains.engine.choice import choose_engine
from prompts.errors import UsageError


def numbers(ends: Any) -> Any:
    return Vocabulary(decode=lambda tokens: " ".join(map(str, tokens)), ends=frozenset(ends))


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, -0.5, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_beam_as_wide_as_the_tree_finds_the_exact_best(length_penalty: float, seed: int) -> None:
    table = random_table(4, seed)
    settings = Beam(num_beams=64, n=10, max_tokens=4, length_penalty=length_penalty)
    (found,) = decode(TableEngine(table), [(settings, Request((9,), 0, 4))], letters())
    ranked = sorted(
        all_sequences(table, 9, 4, 4),
        key=lambda entry: -entry[1] / len(entry[0]) ** length_penalty,
    )[:10]
    assert [sequence.tokens for sequence in found] == [tokens for tokens, _ in ranked]
    assert [s.logprob for s in found] == pytest.approx([logprob for _, logprob in ranked], abs=1e-4)
    assert {s.finish for s in found if s.tokens[-1] == END} <= {"stop"}
    assert {s.finish for s in found if s.tokens[-1] != END} <= {"length"}


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_beams": 2, "length_penalty": 0.0},
        {"num_beams": 5, "length_penalty": 2.0, "n": 3},
        {"num_beams": 3, "early_stopping": True, "n": 3},
        {"num_beams": 4, "repetition_penalty": 1.3, "min_tokens": 6},
    ],
    ids=str,
)
def test_beam_search_equals_generate(family: str, options: dict[str, Any]) -> None:
    settings = Beam(max_tokens=24, **options)
    model, twin = (tiny_causal(family, seed=1) for _ in range(2))
    engine = choose_engine(model)
    generator = torch.Generator().manual_seed(4)
    lengths = [9, 30, 61, 12, 40, 33]
    prompt_list = [torch.randint(3, 320, (n,), generator=generator).tolist() for n in lengths]
    # Ends are tokens that the model does write, so that hypotheses end at different lengths.
    tasks = [(Greedy(max_tokens=16), Request(tuple(prompt), 0, 16)) for prompt in prompt_list]
    ends = sorted({decode(engine, [task], numbers([2]))[0][0].tokens[-1] for task in tasks})
    ended = 0
    for prompt in prompt_list:
        (found,) = decode(engine, [(settings, Request(tuple(prompt), 0, 24))], numbers(ends))
        with torch.inference_mode():
            output = twin.generate(
                torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                max_new_tokens=24,
                min_new_tokens=settings.min_tokens,
                do_sample=False,
                num_beams=settings.num_beams,
                num_return_sequences=settings.n,
                length_penalty=settings.length_penalty,
                early_stopping=settings.early_stopping,
                repetition_penalty=settings.repetition_penalty,
                eos_token_id=ends,
                pad_token_id=0,
            )[:, len(prompt) :].tolist()
        expected = [until_end(row, ends) for row in output]
        assert [sequence.tokens for sequence in found] == expected
        ended += sum(sequence.finish == "stop" for sequence in found)
    assert ended > 0


def until_end(row: list[int], ends: Any) -> Any:
    last = next((place for place, token in enumerate(row) if token in ends), len(row))
    return tuple(row[: last + 1])


def test_beam_finds_a_likelier_reply_than_greedy() -> None:
    # After "b" everything is sure; "a" looks better at first and is a coin toss afterwards.
    def table(text: Any) -> Any:
        chances = {(9,): [0.0, 0.55, 0.45], (9, 1): [0.5, 0.25, 0.25], (9, 2): [1.0, 0.0, 0.0]}
        return [float(torch.tensor(p + 1e-9).log()) for p in chances.get(text, [1.0, 0.0, 0.0])]

    tasks = [(s, Request((9,), 0, 5)) for s in (Greedy(), Beam(length_penalty=0.0))]
    greedy, beam = decode(TableEngine(table), tasks, letters())
    assert [greedy[0].text, beam[0].text] == ["a", "b"]
    assert beam[0].logprob == pytest.approx(-0.7985, abs=1e-3)


def test_equal_scores_rank_by_beam_and_token() -> None:
    def table(text: Any) -> Any:
        return [-9.0, 2.0, 2.0, 2.0] if len(text) == 1 else [0.0, 0.0, 0.0, -9.0]

    settings = Beam(num_beams=2, n=2, max_tokens=2)
    (found,) = decode(TableEngine(table), [(settings, Request((9,), 0, 2))], letters())
    assert [sequence.tokens for sequence in found] == [(1, 0), (1, 1)]


@pytest.mark.parametrize("vocabulary", [5, 300, 5000, 5001])
def test_the_best_tokens_are_those_of_a_full_sort(vocabulary: int) -> None:
    generator = torch.Generator().manual_seed(vocabulary)
    scores = torch.randn(8, vocabulary, generator=generator)
    scores[1] = scores[1].round()  # many are equal
    scores[2] = 0.0
    scores[3] = -torch.inf
    scores[4, 2:] = -torch.inf
    scores[5, -1] = 9.0
    expected = scores.sort(dim=-1, descending=True, stable=True)
    for count in (1, 2, 7, 40):
        values, ids = best_tokens(scores, count)
        assert torch.equal(values, expected.values[:, :count])
        real = values > -torch.inf
        assert torch.equal(ids[real], expected.indices[:, :count][real])


def test_a_stop_string_ends_a_hypothesis() -> None:
    def table(text: Any) -> Any:
        return [0.0 if token == len(text) else -9.0 for token in range(6)]

    settings = Beam(stop=("cd",), max_tokens=5, num_beams=2)
    (found,) = decode(TableEngine(table), [(settings, Request((9,), 0, 5))], letters())
    assert (found[0].text, found[0].finish, len(found[0].tokens)) == ("ab", "stop", 4)


def test_only_the_request_whose_logits_are_no_numbers_fails() -> None:
    table = random_table(5, 1)
    broken = TableEngine(lambda text: [float("nan")] * 5 if text[:2] == (8, 3) else table(text))
    settings = Beam(num_beams=4, max_tokens=6)
    tasks = [(settings, Request((last,), 0, 6)) for last in (7, 8, 9)]
    found = decode(broken, tasks, letters())
    assert found[1][0].error == "nan_logits: the model gave no numbers at token 1"
    healthy = decode(TableEngine(table), [tasks[0], tasks[2]], letters())
    assert [found[0], found[2]] == healthy


def test_the_score_is_what_the_replies_are_ranked_by() -> None:
    table = random_table(4, 2)
    settings = Beam(num_beams=8, n=8, max_tokens=3, length_penalty=0.7)
    (found,) = decode(TableEngine(table), [(settings, Request((9,), 0, 3))], letters())
    expected = [s.logprob / len(s.tokens) ** 0.7 for s in found]
    assert [s.score for s in found] == pytest.approx(expected, abs=1e-4)
    assert expected == sorted(expected, reverse=True)


class Forbidding(Guide):
    """Bans the token that the sequence ends in: no letter comes twice in a row."""

    def __init__(self, last: int = -1) -> None:
        self.last = last

    def steer(self, scores: Any) -> None:
        if self.last >= 0:
            scores[self.last] = -torch.inf

    def follow(self, token: int) -> Guide:
        return Forbidding(token)


@pytest.mark.parametrize("seed", range(3))
def test_guides_branch_with_the_beams(seed: int) -> None:
    table = random_table(4, seed)
    settings = Beam(num_beams=64, n=6, max_tokens=4, length_penalty=0.0)
    request = Request((9,), 0, 4, guides=(Forbidding(),))
    (found,) = decode(TableEngine(table), [(settings, request)], letters())
    allowed = [
        (tokens, logprob)
        for tokens, logprob in all_sequences(table, 9, 4, 4)
        if all(a != b for a, b in pairwise(tokens))
    ]
    ranked = sorted(allowed, key=lambda entry: -entry[1])[:6]
    assert [sequence.tokens for sequence in found] == [tokens for tokens, _ in ranked]
    assert [s.logprob for s in found] == pytest.approx([p for _, p in ranked], abs=1e-4)


def test_a_request_all_of_whose_continuations_are_banned_fails() -> None:
    engine = TableEngine(lambda text: [-torch.inf, -torch.inf, 0.0])
    request = Request((9,), 0, 4, guides=(Forbidding(),))
    (found,) = decode(engine, [(Beam(num_beams=2), request)], letters())
    assert found[0].error == "no_token: every continuation is banned"


STRATEGIES_THAT_BRANCH: list[Any] = [
    Beam(num_beams=3, n=2, max_tokens=6),
    Beam(num_beams=3, max_tokens=6, repetition_penalty=1.5, min_tokens=3),
    BeamSample(num_beams=3, n=3, max_tokens=6, temperature=1.5, top_k=6),
    DiverseBeam(num_beams=4, n=4, max_tokens=6, frequency_penalty=0.5),
    StochasticBeam(num_beams=4, n=4, max_tokens=6, presence_penalty=0.5),
    Arithmetic(n=5, max_tokens=6, top_p=0.9),
    Contrastive(max_tokens=6, top_k=3, repetition_penalty=1.2),
]


def few_letters(seed: int) -> Any:
    """A table of 8 likely tokens and 16 unlikely ones, which only prompts are of."""
    table = random_table(8, seed)
    return lambda text: [*table(text), *[-15.0] * 16]


@pytest.mark.parametrize("settings", STRATEGIES_THAT_BRANCH, ids=lambda s: s.strategy)
def test_neighbours_and_late_admission_change_nothing(settings: Any) -> None:
    engine = TableEngine(few_letters(3), states=random_table(4, 4))
    vocabulary = letters(banned=(7,))
    tasks = [(settings, Request((last,), last * 13, 6)) for last in range(8, 20)]
    alone = [decode(engine, [task], vocabulary)[0] for task in tasks]
    assert decode(engine, tasks, vocabulary) == alone
    engine.starts.clear()
    assert decode(engine, tasks, vocabulary, capacity=2 * settings.slots() + 1) == alone
    assert len(engine.starts) > 3  # most of them came in while others ran
    mixed = [task for task in tasks for task in (task, (Greedy(max_tokens=4), task[1]))]
    assert decode(engine, mixed, vocabulary)[::2] == alone
    assert all(7 not in sequence.tokens for found in alone for sequence in found)
    assert {len(found) for found in alone} == {settings.n}


@pytest.mark.parametrize("settings", STRATEGIES_THAT_BRANCH, ids=lambda s: s.strategy)
def test_stop_strings_and_token_bounds_hold_for_every_reply(settings: Any) -> None:
    bounded = settings.model_copy(update={"stop": ("ab", "f"), "min_tokens": 2})
    engine = TableEngine(few_letters(9), states=random_table(4, 1))
    tasks = [(bounded, Request((last,), last, 5)) for last in range(8, 16)]
    for found in decode(engine, tasks, letters()):
        for sequence in found:
            assert 2 <= len(sequence.tokens) <= 5
            assert (sequence.finish == "length") <= (len(sequence.tokens) == 5)
            assert END not in sequence.tokens[:-1]
            assert "ab" not in sequence.text[2:]


@pytest.mark.parametrize("settings", STRATEGIES_THAT_BRANCH, ids=lambda s: s.strategy)
def test_of_every_strategy_a_request_without_numbers_fails_alone(settings: Any) -> None:
    table, states = few_letters(3), random_table(4, 4)
    broken = TableEngine(
        lambda text: [float("nan")] * 24 if text[0] == 9 and len(text) == 2 else table(text),
        states=states,
    )
    tasks = [(settings, Request((last,), last, 6)) for last in (10, 9, 11)]
    found = decode(broken, tasks, letters())
    assert found[1][0].error == "nan_logits: the model gave no numbers at token 1"
    healthy = decode(TableEngine(table, states=states), [tasks[0], tasks[2]], letters())
    assert [found[0], found[2]] == healthy


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"strategy": "beam", "n": 5}, "n 5 is above num_beams 4"),
        ({"strategy": "beam_sample", "n": 5}, "n 5 is above num_beams 4"),
        ({"strategy": "stochastic_beam", "n": 5}, "n 5 is above num_beams 4"),
        ({"strategy": "diverse_beam", "num_beams": 5}, "no multiple of num_beam_groups 2"),
        ({"strategy": "contrastive", "n": 2}, "contrastive has one reply"),
        ({"strategy": "arithmetic", "temperature": 0}, "greater than 0"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        STRATEGIES.build(settings)
