"""Whether this machine's kernels round a row alike, whatever else is in their matrices.

    rounds_alike(model)      # False: a row's bits would depend on its neighbours

A row must not change when its matrix has more rows (linear layers), nor when its sum goes on over
masked columns (attention). Both depend on how a kernel cuts its work, at sizes that a short prompt
does not reach.
"""

from typing import Any

import torch

from chains.engine.attention import product
from chains.engine.base import ROWS
from chains.engine.keys_values import LANES, up_to
from chains.engine.packing import PackedLinear

PASSES = (ROWS, 3 * ROWS, 17 * ROWS, 33 * ROWS)
"""Rows of a step of few and of many, and of two passes that read prompts."""

LARGE = 2**24
"""Weights of a layer that is looked at with the rows of steps alone, to spare time."""

SUMS = (64, 160, 224, 352, 500)
"""Terms that are not masked."""

WIDTHS = (512, 640, 1056)
"""Terms with those that are."""


def rounds_alike(model: Any) -> bool:
    """Whether linear layers and attention give a row the same bits in matrices of all sizes.

    Args:
        model: A causal model of transformers on the CPU; layers of one shape are looked at once.
    """
    linear = [m for m in model.modules() if isinstance(m, (torch.nn.Linear, PackedLinear))]
    layers = {(m.in_features, m.out_features, m.weight.dtype): m for m in linear}
    sums = _sums_hold(next(model.parameters()).dtype)
    return sums and all(_rows_hold(layer) for layer in layers.values())


def _rows_hold(layer: torch.nn.Linear | PackedLinear) -> bool:
    small = layer.in_features * layer.out_features <= LARGE
    passes = PASSES if small else PASSES[:2]
    states = _numbers(passes[-1], layer.in_features).to(layer.weight.dtype)
    expected = layer(states)
    return all(torch.equal(layer(states[:rows]), expected[:rows]) for rows in passes[:-1])


def _sums_hold(dtype: torch.dtype) -> bool:
    weights = _numbers(2 * 12, WIDTHS[-1]).view(2, 12, -1)
    values = _numbers(2 * WIDTHS[-1], 64).view(2, -1, 64).to(dtype)
    for terms in SUMS:
        own = weights.clone()
        own[..., terms:] = 0
        least = up_to(LANES, terms)
        found = [
            product(own[..., :width].to(dtype), values[:, :width])
            for width in (least, least + LANES, 2 * least, *WIDTHS)
        ]
        if not all(torch.equal(one, found[0]) for one in found[1:]):
            return False
    return True


def _numbers(rows: int, columns: int) -> torch.Tensor:
    """Between -1 and 1, the same each time; float32 [rows, columns]."""
    places = torch.arange(rows * columns, dtype=torch.float32)
    return torch.sin(places.mul_(0.7)).view(rows, columns)
