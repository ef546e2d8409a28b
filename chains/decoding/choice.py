"""Which engine decodes a causal model: the fast one where it proves to give the model's own logits.

engine = choose_engine(model, longest=8192)
engine.name                                    # "registered attention" or "stock attention"
"""

import logging
from typing import Any

import torch

from chains.decoding.plain import PlainEngine
from chains.decoding.search import Request
from chains.decoding.session import AttentionEngine, Engine

PROBE_TOKENS = 24
PROBE_STEPS = 3
AGREEMENT = 0.98
"""Least cosine of the two paths' centred logits; unlike rounding, a mistake falls far below."""

KNOWN_LAYERS = {"full_attention", "sliding_attention"}

logger = logging.getLogger("textmill.models")


def choose_engine(model: Any, longest: int | None) -> Engine:
    """The engine of a causal model of transformers.

    Args:
        model: On its device, in evaluation mode.
        longest: Positions that it has; None for no bound.
    """
    if not _takes_attention(model):
        return PlainEngine(model)
    before = model.config._attn_implementation
    prompt = _probe(model.config.get_text_config().vocab_size)
    with torch.inference_mode():
        expected = _expected(model, prompt)
        engine = AttentionEngine(model, longest)
        try:
            found = _found(engine, prompt)
        except Exception as exc:
            reason = f"{type(exc).__name__}: {exc}"
        else:
            cosine = _cosine(expected, found)
            if cosine >= AGREEMENT:
                return engine
            reason = f"its logits agree with the model's own to {cosine:.3f} only"
    logger.warning("the fast attention does not fit %s (%s)", type(model).__name__, reason)
    model.set_attn_implementation(before)
    return PlainEngine(model)


def _takes_attention(model: Any) -> bool:
    layers = getattr(model.config.get_text_config(), "layer_types", None)
    return bool(model._supports_attention_backend) and set(layers or ()) <= KNOWN_LAYERS


def _probe(vocabulary: int) -> list[int]:
    return [(37 + 97 * place * place) % vocabulary for place in range(PROBE_TOKENS)]


def _expected(model: Any, prompt: list[int]) -> torch.Tensor:
    ids = torch.tensor([prompt], device=next(model.parameters()).device)
    logits: torch.Tensor = model(input_ids=ids, use_cache=False).logits
    return logits[0, -PROBE_STEPS:].float()


def _found(engine: AttentionEngine, prompt: list[int]) -> torch.Tensor:
    session = engine.open()
    known = len(prompt) - PROBE_STEPS + 1
    steps = [session.admit([Request(tuple(prompt[:known]), seed=0, room=PROBE_STEPS)])]
    steps += [session.advance([token]) for token in prompt[known:]]
    return torch.cat(steps)


def _cosine(expected: torch.Tensor, found: torch.Tensor) -> float:
    centred = [x - x.mean(-1, keepdim=True) for x in (expected, found)]
    return float(torch.cosine_similarity(centred[0], centred[1], dim=-1).amin())
