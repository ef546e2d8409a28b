"""Decoding sessions: prompts in, logits of the next token out, at the row's own shapes.

    session = engine.open()
    logits = session.start([(1, 520, 77), (1, 88)])    # [2, vocabulary], float32
    logits = session.advance([415, 12])                # one token a row
    session.select([1])                                # row 0 is finished: row 1 goes on alone
    logits = session.advance([99])

Arithmetic on a matrix rounds differently for another shape, so equal bytes need equal shapes.
Here a row's shapes are its own: its prompt padded to a multiple of 64 tokens and prefilled alone;
then steps whose linear layers always see a multiple of 16 rows (filled with dummies) and whose
attention is computed row by row over a buffer that is as long as the row's own prompt and reply
want it. Rows share a session only where that length is the same.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch

from chains.decoding.attention import ATTENTION, BLOCK, RowCache

ROWS = 16
"""Linear layers see a multiple of this many rows: their kernels round alike for the same number."""


class Session(Protocol):
    """Rows that are decoded in lockstep."""

    def start(self, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        """Read the prompts; logits of the first token of each reply, float32 [rows, vocabulary]."""

    def advance(self, tokens: Sequence[int]) -> torch.Tensor:
        """Append one token to each row; logits of the next, float32 [rows, vocabulary]."""

    def select(self, rows: Sequence[int]) -> None:
        """Make row i what row `rows[i]` was: rows are dropped, reordered or doubled."""


class Engine(Protocol):
    """A loaded model that can open sessions."""

    name: str
    """For the manifest: which path decodes."""

    most_rows: int | None
    """Rows of a session at most, where more would change a row's shapes; None for no bound."""

    def shape(self, length: int) -> int:
        """What decides the shapes of a prompt of that length; only equals share a session."""

    def open(self) -> Session:
        """A new, empty session."""


def up_to(multiple: int, number: int) -> int:
    """The smallest multiple of `multiple` that is at least `number`, and never 0."""
    return max(1, -(-number // multiple)) * multiple


class AttentionEngine:
    """Decodes any model that takes a registered attention function and a cache of ours.

    Args:
        model: A causal model of transformers; its attention is replaced.
        longest: Positions that it has; None for no bound.
    """

    name = "registered attention"
    most_rows: int | None = None

    def __init__(self, model: Any, longest: int | None = None) -> None:
        self.model = model
        self.longest = longest
        model.set_attn_implementation(ATTENTION)

    def shape(self, length: int) -> int:
        """The prompt's length, padded."""
        width = up_to(BLOCK, length)
        return width if self.longest is None else min(width, max(self.longest, length))

    def open(self) -> "AttentionSession":
        """A new, empty session."""
        return AttentionSession(self)


class AttentionSession:
    """One batch of `AttentionEngine`."""

    def __init__(self, engine: AttentionEngine) -> None:
        self._engine = engine
        self._model = engine.model
        self._device = next(engine.model.parameters()).device
        self._cache: RowCache
        self._lengths: torch.Tensor

    def start(self, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        """Read each prompt alone, an equal one once."""
        width = self._engine.shape(max(len(prompt) for prompt in prompts))
        distinct = list(dict.fromkeys(tuple(prompt) for prompt in prompts))
        self._cache = RowCache(len(distinct), width)
        logits = torch.cat([self._prefill(row, prompt) for row, prompt in enumerate(distinct)])
        self._lengths = torch.tensor([len(prompt) for prompt in distinct], device=self._device)
        if len(distinct) == len(prompts):
            return logits
        places = [distinct.index(tuple(prompt)) for prompt in prompts]
        self.select(places)
        return logits[places]

    def _prefill(self, row: int, prompt: Sequence[int]) -> torch.Tensor:
        width = self._cache.width
        ids = torch.zeros(1, width, dtype=torch.long, device=self._device)
        ids[0, : len(prompt)] = torch.tensor(prompt, device=self._device)
        last = torch.tensor([len(prompt) - 1], device=self._device)
        with self._cache.prefilling(row):
            logits = self._model(
                input_ids=ids,
                position_ids=torch.arange(width, device=self._device)[None],
                past_key_values=self._cache,
                use_cache=True,
                logits_to_keep=last,
            ).logits
        return logits[:, -1].float()  # type: ignore[no-any-return]

    def advance(self, tokens: Sequence[int]) -> torch.Tensor:
        """One step of all rows, filled up to a multiple of `ROWS`."""
        cache, count = self._cache, len(tokens)
        position = self._lengths + (cache.used - cache.width)
        cache.extend()
        slot = torch.arange(cache.slots, device=self._device)[None]
        generated = slot >= cache.width
        visible = (slot < self._lengths[:, None]) | (generated & (slot < cache.used))
        positions = torch.where(generated, slot - cache.width + self._lengths[:, None], slot)
        fill = up_to(ROWS, count)
        ids = torch.zeros(fill, 1, dtype=torch.long, device=self._device)
        ids[:count, 0] = torch.tensor(tokens, device=self._device)
        places = torch.zeros(fill, 1, dtype=torch.long, device=self._device)
        places[:count, 0] = position
        with cache.decoding(visible, positions):
            logits = self._model(
                input_ids=ids,
                position_ids=places,
                past_key_values=cache,
                use_cache=True,
            ).logits
        return logits[:count, -1].float()  # type: ignore[no-any-return]

    def select(self, rows: Sequence[int]) -> None:
        """Drop, reorder or double rows."""
        self._cache.select(rows)
        self._lengths = self._lengths[torch.tensor(rows, device=self._device)]
