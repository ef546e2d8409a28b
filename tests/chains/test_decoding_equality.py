"""Greedy in float32 is `generate` token for token, for every family, shared or not, with refill."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from table_engine import decode
from test_decoding_engine import FAST, NUMBERS, prompts, without_pad
from tiny_models import tiny_causal

from chains.decoding import Greedy
from chains.decoding.search import Request
from chains.engine.choice import choose_engine

LENGTHS = (3, 17, 31, 64, 65, 90, 101, 120)
ROWS = 64
ROOM = 64
CLOSE = 1e-4
"""Logits nearer than this may swap their order by rounding."""

Prompt = tuple[int, ...]


def mixed(head: Prompt = ()) -> list[Prompt]:
    """64 prompts of eight lengths, in turn, behind a common beginning."""
    return [head + tail for tail in prompts([LENGTHS[at % len(LENGTHS)] for at in range(ROWS)])]


def expected(model: Any, prompt_list: Sequence[Prompt]) -> list[tuple[int, ...]]:
    """What `generate` gives; prompts of one length are one batch, so that none is padded."""
    found: dict[Prompt, tuple[int, ...]] = {}
    for length in {len(prompt) for prompt in prompt_list}:
        batch = [prompt for prompt in prompt_list if len(prompt) == length]
        ids = torch.tensor(batch)
        with torch.inference_mode():
            output = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=ROOM,
                do_sample=False,
                eos_token_id=2,
                pad_token_id=0,
            )
        for prompt, row in zip(batch, output[:, length:].tolist(), strict=True):
            found[prompt] = without_pad(row)
    return [found[prompt] for prompt in prompt_list]


def gap_where_they_part(
    model: Any, prompt: Prompt, one: Sequence[int], other: Sequence[int]
) -> float:
    """How far apart the two best logits are where two replies part."""
    place = next(at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    with torch.inference_mode():
        logits = model(torch.tensor([[*prompt, *other[:place]]])).logits[0, -1]
    best, second = logits.topk(2).values.tolist()
    return float(best - second)


@pytest.mark.parametrize("shared", [0, 70])
@pytest.mark.parametrize("family", FAST)
def test_greedy_is_generate_token_for_token(family: str, shared: int) -> None:
    engine, twin = choose_engine(tiny_causal(family)), tiny_causal(family)
    assert engine.name == "registered attention"
    head = prompts([shared], seed=3)[0] if shared else ()
    prompt_list = mixed(head)
    cuts = (shared,) if shared else ()
    tasks = [(Greedy(max_tokens=ROOM), Request(p, 0, ROOM, cuts)) for p in prompt_list]
    replies = [found[0].tokens for found in decode(engine, tasks, NUMBERS, capacity=24)]
    reference = expected(twin, prompt_list)
    parted = [
        gap_where_they_part(twin, prompt, reply, other)
        for prompt, reply, other in zip(prompt_list, replies, reference, strict=True)
        if reply != other
    ]
    assert all(gap < CLOSE for gap in parted)
    assert len(parted) <= 3
    assert max(map(len, replies)) == ROOM
    assert len(set(replies)) > ROWS // 2
