"""Beginnings that prompts share are computed once, attended together, and change no byte."""

from typing import Any

import pytest
import torch
from table_engine import decode
from test_decoding_engine import FAST, NUMBERS, generated, prompts, without_pad
from tiny_models import tiny_causal

from chains.decoding import Beam, Greedy, Sample
from chains.decoding.search import Request
from chains.engine.attention_engine import KEPT, AttentionEngine
from chains.engine.choice import choose_engine


def sharing(lengths: list[int], shared: int = 130, seed: int = 9) -> list[tuple[int, ...]]:
    """Prompts that have their first `shared` tokens in common."""
    (head,) = prompts([shared], seed=seed)
    return [head + tail for tail in prompts(lengths)]


def nested() -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Prompts and their cuts: one head, two documents behind it, and some that share nothing."""
    (head,) = prompts([70], seed=5)
    documents = prompts([80, 130], seed=6)
    shared = [
        (head + document + tail, (70, 70 + len(document)))
        for document in documents
        for tail in prompts([4, 20, 9])
    ]
    return [*shared, *((p, ()) for p in prompts([40, 150])), (head + prompts([20])[0], (70, 70))]


@pytest.mark.parametrize("family", FAST)
def test_greedy_behind_shared_beginnings_equals_generate(family: str) -> None:
    engine, twin = choose_engine(tiny_causal(family)), tiny_causal(family)
    cases = [*((p, (130,)) for p in sharing([3, 40, 62, 63])), *nested()[:5]]
    tasks = [(Greedy(max_tokens=30), Request(prompt, 0, 30, cuts)) for prompt, cuts in cases]
    for (prompt, _), [found] in zip(cases, decode(engine, tasks, NUMBERS, 4), strict=True):
        expected = generated(twin, prompt, 30)[0, len(prompt) :].tolist()
        assert found.tokens == without_pad(expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral"])
def test_neighbours_and_what_is_kept_change_nothing(family: str, dtype: Any) -> None:
    settings = [Greedy(max_tokens=20), Sample(max_tokens=20, top_p=0.9), Beam(max_tokens=9)]
    cases = [*((p, (130,)) for p in sharing([5, 9, 40])), *nested(), *nested()[:3]]
    tasks = []
    for seed, (prompt, cuts) in enumerate(cases):
        strategy = settings[seed % 3]
        rows = strategy.slots()
        tasks.append((strategy, Request(prompt, seed, strategy.max_tokens, cuts, rows)))
    alone = []
    for task in tasks:  # a fresh engine each: nothing is kept
        alone += decode(AttentionEngine(tiny_causal(family).to(dtype)), [task], NUMBERS)
    engine = AttentionEngine(tiny_causal(family).to(dtype))
    for capacity in (2, 9, 48):
        assert decode(engine, tasks, NUMBERS, capacity) == alone


def test_a_shared_beginning_is_read_once() -> None:
    model = tiny_causal("llama")
    read: list[int] = []
    model.register_forward_pre_hook(
        lambda module, args, kwargs: read.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    tasks = [(Greedy(max_tokens=1), Request(p, 0, 1, cuts)) for p, cuts in nested()[:6]]
    decode(AttentionEngine(model), tasks, NUMBERS)
    # The head; the two documents behind it; what is left of the six prompts.
    own = sum(len(prompt) - cuts[1] for prompt, cuts in nested()[:6])
    assert read == [80, 224, -(-own // 16) * 16]


def test_what_a_prompt_shares_is_its_own_affair() -> None:
    (prompt,) = prompts([150])
    cuts: list[tuple[int, ...]] = [(), (64,), (130,), (64, 130), (0, 64)]
    tasks = [(Greedy(max_tokens=5), Request(prompt, 0, 5, cut)) for cut in cuts]
    model = tiny_causal("llama").to(torch.bfloat16)
    together = decode(AttentionEngine(model), tasks, NUMBERS)
    assert together == [decode(AttentionEngine(model), [task], NUMBERS)[0] for task in tasks]


def test_what_is_kept_stays_bounded() -> None:
    engine = AttentionEngine(tiny_causal("llama", max_position_embeddings=4096))
    for seed in range(2 * KEPT // 1024):
        (prompt,) = prompts([1030], seed=seed)
        decode(engine, [(Greedy(max_tokens=1), Request(prompt, 0, 1, (1024,)))], NUMBERS)
    assert sum(segment.length for segment in engine.segments.values()) <= KEPT
