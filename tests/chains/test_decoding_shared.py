"""Beginnings that prompts share are computed once, and change no byte."""

from typing import Any

import pytest
import torch
from table_engine import decode
from test_decoding_engine import FAST, NUMBERS, generated, prompts, without_pad
from tiny_models import tiny_causal

from chains.decoding import Beam, Greedy, Sample
from chains.decoding.batches import decode_all
from chains.decoding.choice import choose_engine
from chains.decoding.search import Request
from chains.decoding.session import KEPT, AttentionEngine


def sharing(lengths: list[int], shared: int = 130) -> list[tuple[int, ...]]:
    """Prompts that have their first `shared` tokens in common."""
    (head,) = prompts([shared], seed=9)
    return [head + tail for tail in prompts(lengths)]


@pytest.mark.parametrize("family", FAST)
def test_greedy_behind_a_shared_beginning_equals_generate(family: str) -> None:
    engine, twin = choose_engine(tiny_causal(family), 256), tiny_causal(family)
    for prompt in sharing([3, 40, 62, 63]):
        tasks = [(Greedy(max_tokens=30), Request(prompt, 0, 30, shared=130))]
        [[found]] = decode(engine, tasks, NUMBERS)
        expected = generated(twin, prompt, 30)[0, len(prompt) :].tolist()
        assert found.tokens == without_pad(expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_neighbours_and_what_is_kept_change_nothing(dtype: Any) -> None:
    settings = [Greedy(max_tokens=20), Sample(max_tokens=20, top_p=0.9), Beam(max_tokens=9)]
    tasks = [
        (settings[i % 3], Request(prompt, 50 + i, 20, shared=shared))
        for i, (prompt, shared) in enumerate(
            [(p, 130) for p in sharing([5, 9, 40, 62, 70])]
            + [(p, 64) for p in sharing([8, 30], 64)]
            + [(p, 0) for p in prompts([40, 150])]
        )
    ]
    alone = []
    for task in tasks:  # a fresh engine each: nothing is kept
        alone += decode(AttentionEngine(tiny_causal("llama").to(dtype)), [task], NUMBERS)
    engine = AttentionEngine(tiny_causal("llama").to(dtype))
    for capacity in (2, 16):
        found = {}
        for finished in decode_all(engine, tasks, NUMBERS, capacity):
            found.update(dict(finished))
        assert [found[index] for index in range(len(tasks))] == alone


def test_a_shared_beginning_is_read_once() -> None:
    model = tiny_causal("llama")
    engine = AttentionEngine(model)
    read: list[int] = []
    model.register_forward_pre_hook(
        lambda module, args, kwargs: read.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    tasks = [(Greedy(max_tokens=1), Request(p, 0, 1, shared=130)) for p in sharing([5, 9, 40])]
    decode(engine, tasks, NUMBERS)
    assert read == [128, 64, 64, 64]


def test_what_is_kept_stays_bounded() -> None:
    engine = AttentionEngine(tiny_causal("llama", max_position_embeddings=4096))
    for seed in range(2 * KEPT // 1024):
        (prompt,) = prompts([1030], seed=seed)
        decode(engine, [(Greedy(max_tokens=1), Request(prompt, 0, 1, shared=1024))], NUMBERS)
    assert sum(map(len, engine.heads)) <= KEPT
