"""One hash: whatever the batch size and the number of threads, replies are the same bytes."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import save_causal

from chains.calls import Call, Message
from chains.decoding import STRATEGIES
from chains.models import ModelSpec, open_model

SETTINGS: list[dict[str, Any]] = [
    {"strategy": "greedy"},
    {"strategy": "sample", "temperature": 1.3, "top_p": 0.9, "n": 3},
    {"strategy": "beam", "num_beams": 3, "n": 2},
    {"strategy": "diverse_beam", "num_beams": 4, "num_beam_groups": 2},
    {"strategy": "stochastic_beam", "num_beams": 3, "n": 3},
    {"strategy": "arithmetic", "n": 3},
    {"strategy": "contrastive", "top_k": 3},
    {"strategy": "beam_sample", "num_beams": 3, "repetition_penalty": 1.3},
]
PASSAGE = "the dog ran after the cat and the cat sat on the mat. " * 6


def calls() -> list[Call]:
    """Two of each strategy: about a passage that all have, one that some have, and none."""
    system = Message("system", "a small model writes short sentences about rivers. " * 3)
    found = []
    for seed in range(2 * len(SETTINGS)):
        settings = {**SETTINGS[seed % len(SETTINGS)], "max_tokens": 3 + seed % 5}
        document = ["", PASSAGE, PASSAGE[:150]][seed % 3]
        messages = (system, Message("user", f"{document}\nquestion {seed}: what is this?"))
        found.append(Call(messages[seed % 4 == 3 :], STRATEGIES.build(settings), seed))
    return found


def hashed(spec: ModelSpec) -> str:
    found = dict(pair for batch in open_model(spec).answer(calls()) for pair in batch)
    text = repr([found[index] for index in range(len(found))])
    assert "error=''" in text
    assert "finish='error'" not in text
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_one_hash_over_batch_sizes_and_threads(tmp_path: Path, dtype: Any, share: bool) -> None:
    folder = save_causal(tmp_path / "model", max_position_embeddings=1024)
    found = set()
    for count in (1, 2):
        torch.set_num_threads(count)
        for batch in (1, 3, 8, 16, 48):
            spec = ModelSpec(model=str(folder), dtype=dtype, batch=batch, share_prefixes=share)
            found.add(hashed(spec))
    assert len(found) == 1


def test_sharing_prefixes_is_part_of_the_key() -> None:
    one, other = (ModelSpec(model="embedded", share_prefixes=share) for share in (True, False))
    from chains.models import fingerprint

    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one) == fingerprint(ModelSpec(model="embedded", batch=3, cache_gb=1))
