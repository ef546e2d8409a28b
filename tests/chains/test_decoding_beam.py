"""Beam search against brute force over a tiny vocabulary, and against transformers' own."""

from typing import Any

import pytest
import torch
from table_engine import END, TableEngine, all_sequences, decode, letters, random_table
from tiny_models import tiny_causal

from chains.decoding import Beam, Greedy
from chains.decoding.beam_search import best_places
from chains.decoding.choice import choose_engine
from chains.decoding.search import Request, Vocabulary


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
    engine = choose_engine(model, 256)
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
    scores = torch.tensor([1.0, 3.0, 3.0, -torch.inf, 3.0, 2.0])
    assert best_places(scores, 2).tolist() == [1, 2]
    assert best_places(scores, 4).tolist() == [1, 2, 4, 5]
    assert best_places(scores, 9).tolist() == [1, 2, 4, 5, 0]


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
