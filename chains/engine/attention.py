"""Attention of the decode loop, for any model of transformers.

    model.set_attn_implementation(ATTENTION)
    with active(Step(regions, rows, places, positions)) as cache:        # or a Reading of prompts
        model(input_ids=last, position_ids=positions, past_key_values=cache)    # last [16, 1]

What a row attends to lies in regions: the beginning of its prompt that it shares with others, a
document that it shares with some, its own tokens. Scores of all regions go through one float32
softmax; the products with the values are summed region by region. What several rows share is one
matrix product over the queries of all of them, and no key/value head is repeated.

A product of few rows (one; below four in float32) takes another kernel, which rounds otherwise;
such ones are filled up. Sums of many terms are cut into pieces by how many there are, those that
are masked included; here they are summed in pieces of one size. So a row's result depends on its
own queries, keys and values and on where its regions begin, never on who stands beside it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from transformers import AttentionInterface
from transformers.cache_utils import Cache, DynamicLayer

ATTENTION = "textmill"

LEAST = 4
"""Rows of a float32 product from which on its kernel rounds alike for every number; of a bfloat16
product these are two."""

TERMS, NARROW_TERMS = 192, 512
"""Terms of a float32 and of a bfloat16 sum that kernels add up in one go, one behind the other. Of
more, up to twice as many, MKL sums two halves: where it cuts would depend on the widest neighbour.
"""

KNOWN_OPTIONS = frozenset(
    {
        "sliding_window",
        "softcap",
        "is_causal",
        "position_ids",
        "use_cache",
        "output_hidden_states",
    }
)
"""Options of attention that are honoured or mean nothing here; any other that is set is refused."""

_ACTIVE: ContextVar["Pass"] = ContextVar("active pass")


class UnsupportedAttention(NotImplementedError):
    """The model asks its attention for something that this function does not do."""


class Scoring(NamedTuple):
    """How a layer turns products into scores: factor, soft cap, sliding window."""

    scale: float
    softcap: float | None
    window: int | None

    def of(self, raw: torch.Tensor, bias: torch.Tensor, out: torch.Tensor) -> None:
        """Write the scores of products, `bias` (0 or -inf) added, into `out`, float32."""
        if self.softcap is None:
            torch.add(bias, raw, alpha=self.scale, out=out)
        else:
            capped = torch.tanh(raw.float().mul_(self.scale / self.softcap))
            torch.add(bias, capped, alpha=self.softcap, out=out)


class Pass(Cache):  # type: ignore[misc]
    """One forward pass: keeps the keys and values that layers give it, and attends for them."""

    def __init__(self) -> None:
        super().__init__(layer_class_to_replicate=DynamicLayer)
        self.layer = 0

    def update(
        self,
        key_states: torch.Tensor,
        value_states: torch.Tensor,
        layer_idx: int,
        *args: Any,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep what a layer computed; what it attends to is found by `attend` itself."""
        self.layer = layer_idx
        self.keep(key_states, value_states)
        return key_states, value_states

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens before those of the pass; models that are given positions do not ask."""
        return 0

    def keep(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Store the keys and values of this layer, [batch, heads, tokens, size]."""
        raise NotImplementedError

    def attend(self, query: torch.Tensor, scoring: Scoring) -> torch.Tensor:
        """Attention of this layer, [batch, heads, tokens, size] to [batch, tokens, heads, size]."""
        raise NotImplementedError


@contextmanager
def active(current: Pass) -> Iterator[Pass]:
    """While it lasts, layers attend through `current`."""
    token = _ACTIVE.set(current)
    try:
        yield current
    finally:
        _ACTIVE.reset(token)


def product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """`left @ right`, each row of it rounded alike whoever stands beside it.

    Neither the number of rows of `left` changes a row's bits, nor zeros at its end.

    Args:
        left: [..., rows, terms].
        right: [..., terms, columns].

    Returns:
        [..., rows, columns].
    """
    rows, terms = left.shape[-2:]
    wide = left.dtype == torch.float32
    if rows < (LEAST if wide else 2):
        left = torch.nn.functional.pad(left, (0, 0, 0, LEAST - rows))
    most = TERMS if wide else NARROW_TERMS
    total = torch.matmul(left[..., :most], right[..., :most, :])
    for start in range(most, terms, most):
        piece = slice(start, start + most)
        total = total.float() + torch.matmul(left[..., piece], right[..., piece, :])
    return total[..., :rows, :].to(left.dtype)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers calls it; keys, values and masks are those of the active `Pass`.

    Args:
        module: The attention layer that calls.
        query: [rows and fill, heads, 1, size], or [1, heads, tokens, size] of prompts.
        key: Ignored: the pass has kept it.
        value: Ignored.
        attention_mask: Refused.
        scaling: Factor on the scores; left out, 1 / sqrt(size).
        dropout: Ignored: nothing is trained here.
        options: `sliding_window` and `softcap` are honoured.

    Returns:
        [rows, tokens, heads, size of the values], and no weights.
    """
    current = _ACTIVE.get(None)
    strange = sorted(k for k, v in options.items() if v is not None and k not in KNOWN_OPTIONS)
    if current is None or attention_mask is not None or strange:
        raise UnsupportedAttention(f"attention is called with {', '.join(strange) or 'a mask'}")
    scale = query.shape[-1] ** -0.5 if scaling is None else float(scaling)
    scoring = Scoring(scale, options.get("softcap"), options.get("sliding_window"))
    return current.attend(query, scoring), None


AttentionInterface.register(ATTENTION, attend)
