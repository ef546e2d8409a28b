"""Which engine decodes a causal model: the fast one where it proves right and exact.

    engine = choose_engine(model, memory=2_000_000_000)
    engine.name                                # "registered attention" or "stock attention"

Two things are looked at when a model is opened. Right: the fast path gives the model's own logits.
Exact: kernels round a row alike in matrices of all sizes, and a prompt gives the same bits alone
and among others, of which some share its beginnings and some came earlier. Where either fails,
stock attention takes over, whose batches hold prompts of one length and always have the same size.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from chains.decoding.search import Request
from chains.engine.attention_engine import AttentionEngine
from chains.engine.base import Engine
from chains.engine.keys_values import BLOCK
from chains.engine.packing import pack_linear_layers
from chains.engine.plain import PlainEngine
from chains.engine.rounding import rounds_alike

PROBE_TOKENS = 24
PROBE_STEPS = 3
PROBE_LAYERS = 6
AGREEMENT = 0.98
"""Least cosine of the two paths' centred logits; unlike rounding, a mistake falls far below."""

KNOWN_LAYERS = {"full_attention", "sliding_attention"}

logger = logging.getLogger("textmill.models")


def choose_engine(model: Any, memory: int | None = None) -> Engine:
    """The engine of a causal model of transformers.

    Args:
        model: On its device, in evaluation mode.
        memory: Bytes that keys and values of the rows may take; None for no bound.
    """
    if not _takes_attention(model):
        return PlainEngine(model)
    before = model.config._attn_implementation
    with torch.inference_mode():
        expected = _expected(model)
        engine = AttentionEngine(model, memory)
        try:
            reason = _objection(engine, expected)
        except Exception as exc:
            reason = f"{type(exc).__name__}: {exc}"
    if not reason:
        return engine
    logger.warning("the fast attention does not fit %s (%s)", type(model).__name__, reason)
    model.set_attn_implementation(before)
    return PlainEngine(model)


def _takes_attention(model: Any) -> bool:
    layers = getattr(model.config.get_text_config(), "layer_types", None)
    return bool(model._supports_attention_backend) and set(layers or ()) <= KNOWN_LAYERS


def _objection(engine: AttentionEngine, expected: torch.Tensor) -> str:
    """What speaks against the engine; empty if nothing does."""
    cosine = _cosine(expected, _found(engine))
    if cosine < AGREEMENT:
        return f"its logits agree with the model's own to {cosine:.3f} only"
    pack_linear_layers(engine.model)
    on_cpu = next(engine.model.parameters()).device.type == "cpu"
    if on_cpu and not (rounds_alike(engine.model) and row_exact(engine)):
        return "a row's bits depend on its neighbours here"
    return ""


def row_exact(engine: AttentionEngine) -> bool:
    """Whether a prompt's logits are the same bits alone and among others.

    Looked at in the first layers alone where the model can do with fewer: the others have the same
    shapes.
    """
    with _shallow(engine.model.config.get_text_config()):
        return _row_exact(engine)


@contextmanager
def _shallow(config: Any) -> Iterator[None]:
    layers = config.num_hidden_layers
    config.num_hidden_layers = min(layers, PROBE_LAYERS)
    try:
        yield
    finally:
        config.num_hidden_layers = layers


def _row_exact(engine: AttentionEngine) -> bool:
    one, *others = _requests(engine.model.config.get_text_config().vocab_size)
    alone = engine.open()
    expected = [alone.admit([one]), alone.advance([5])]
    session = engine.open()
    session.admit(others[:2])
    session.advance([1, 2])
    found = [session.admit([one, *others[2:]])[:1]]
    found.append(session.advance([5] * (len(others) + 1))[2:3])
    engine.segments.clear()
    return all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def _requests(vocabulary: int) -> list[Request]:
    """One prompt with a beginning and a document, and others that share both, one or nothing."""
    head, document, other = (_tokens(vocabulary, BLOCK, at) for at in range(3))
    cuts = (BLOCK, 2 * BLOCK)
    return [
        Request((*head, *document, *_tokens(vocabulary, 7, 3)), 0, 8, cuts),
        Request(_tokens(vocabulary, 50, 4), 0, 8),
        Request((*head, *other, *_tokens(vocabulary, 30, 5)), 0, 8, cuts),
        Request((*head, *document, *_tokens(vocabulary, 5, 6)), 0, 8, cuts),
        Request((*head, *_tokens(vocabulary, 20, 7)), 0, 8, (BLOCK,)),
    ]


def _tokens(vocabulary: int, count: int, start: int) -> tuple[int, ...]:
    places = range(1000 * start, 1000 * start + count)
    return tuple((37 + 97 * place * place) % vocabulary for place in places)


def _expected(model: Any) -> torch.Tensor:
    prompt = _tokens(model.config.get_text_config().vocab_size, PROBE_TOKENS, 0)
    ids = torch.tensor([prompt], device=next(model.parameters()).device)
    logits: torch.Tensor = model(input_ids=ids, use_cache=False).logits
    return logits[0, -PROBE_STEPS:].float()


def _found(engine: AttentionEngine) -> torch.Tensor:
    prompt = _tokens(engine.model.config.get_text_config().vocab_size, PROBE_TOKENS, 0)
    session = engine.open()
    known = len(prompt) - PROBE_STEPS + 1
    steps = [session.admit([Request(prompt[:known], seed=0, room=PROBE_STEPS)])]
    steps += [session.advance([token]) for token in prompt[known:]]
    return torch.cat(steps)


def _cosine(expected: torch.Tensor, found: torch.Tensor) -> float:
    centred = [x - x.mean(-1, keepdim=True) for x in (expected, found)]
    return float(torch.cosine_similarity(centred[0], centred[1], dim=-1).amin())
