"""Decoding sessions: prompts in, logits of the next token out, at the row's own shapes.

    session = engine.open()
    logits = session.admit([Request((1, 520, 77), seed=0, room=8), ...])
    logits.shape                                       # [2, vocabulary], float32
    logits = session.advance([415, 12])                # one token a row
    session.select([1])                                # row 0 is finished: row 1 goes on alone
    logits = session.advance([99])

Arithmetic on a matrix rounds differently for another shape, so equal bytes need equal shapes.
Here a row's shapes are its own: its prompt padded to a multiple of 64 tokens and prefilled alone,
in two parts where its beginning is shared (the keys and values of that part are computed once, at
its own shape, for all prompts that begin with it);
then steps whose linear layers always see a multiple of 16 rows (filled with dummies) and whose
attention is computed row by row over a buffer that is as long as the row's own prompt and reply
want it. Rows share a session only where that length is the same.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import torch

from chains.decoding.attention import ATTENTION, BLOCK, RowCache

if TYPE_CHECKING:
    from chains.decoding.search import Request

KEPT = 4096
"""Tokens of shared beginnings whose keys and values an engine keeps, the least used going first."""

ROWS = 16
"""Linear layers see a multiple of this many rows: their kernels round alike for the same number."""


class Session(Protocol):
    """Rows that are decoded in lockstep."""

    def admit(self, requests: "Sequence[Request]") -> torch.Tensor:
        """Read prompts into new rows behind the others; float32 [requests, vocabulary].

        These are the logits of the first token of each reply. A session of an engine that does
        not refill takes requests once, at its beginning.
        """

    def advance(self, tokens: Sequence[int]) -> torch.Tensor:
        """Append one token to each row; logits of the next, float32 [rows, vocabulary]."""

    def select(self, rows: Sequence[int]) -> None:
        """Make row i what row `rows[i]` was: rows are dropped, reordered or doubled."""


class Engine(Protocol):
    """A loaded model that can open sessions."""

    name: str
    """For the manifest: which path decodes."""

    refills: bool
    """Whether a session takes prompts of any length while others are running."""

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
    refills = False
    most_rows: int | None = None

    def __init__(self, model: Any, longest: int | None = None) -> None:
        self.model = model
        self.longest = longest
        self.heads: OrderedDict[tuple[int, ...], RowCache] = OrderedDict()
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

    def admit(self, requests: "Sequence[Request]") -> torch.Tensor:
        """Read the prompts."""
        shared = [request.shared for request in requests]
        return self.start([request.prompt for request in requests], shared)

    def start(self, prompts: Sequence[Sequence[int]], shared: Sequence[int] = ()) -> torch.Tensor:
        """Read each prompt alone, an equal one once, and a beginning that is known not again."""
        width = self._engine.shape(max(len(prompt) for prompt in prompts))
        # Cut elsewhere, the same tokens round otherwise: equal are rows that agree in both.
        rows = list(zip(map(tuple, prompts), shared or [0] * len(prompts), strict=True))
        distinct = list(dict.fromkeys(rows))
        self._cache = RowCache(len(distinct), width)
        logits = torch.cat(
            [self._read(row, prompt, known) for row, (prompt, known) in enumerate(distinct)]
        )
        self._lengths = torch.tensor([len(prompt) for prompt, _ in distinct], device=self._device)
        if len(distinct) == len(rows):
            return logits
        places = [distinct.index(row) for row in rows]
        self.select(places)
        return logits[places]

    def _read(self, row: int, prompt: tuple[int, ...], shared: int) -> torch.Tensor:
        """Fill one row with a prompt; where it is cut depends on the prompt alone."""
        known = min(shared, len(prompt) - 1) // BLOCK * BLOCK
        if known:
            self._cache.copy(row, self._head(prompt[:known]))
        return self._prefill(self._cache, row, prompt, known)

    def _head(self, tokens: tuple[int, ...]) -> RowCache:
        """Keys and values of a beginning, computed when it first comes and kept for a while."""
        heads = self._engine.heads
        if tokens not in heads:
            head = RowCache(1, len(tokens))
            self._prefill(head, 0, tokens, 0)
            heads[tokens] = head
        heads.move_to_end(tokens)
        while len(heads) > 1 and sum(map(len, heads)) > KEPT:
            heads.popitem(last=False)
        return heads[tokens]

    def _prefill(
        self, cache: RowCache, row: int, prompt: Sequence[int], known: int
    ) -> torch.Tensor:
        """Compute the tokens of a prompt from slot `known` on; those before are in the row."""
        width = cache.width
        ids = torch.zeros(1, width - known, dtype=torch.long, device=self._device)
        ids[0, : len(prompt) - known] = torch.tensor(prompt[known:], device=self._device)
        last = torch.tensor([len(prompt) - known - 1], device=self._device)
        with cache.prefilling(row, known):
            logits = self._model(
                input_ids=ids,
                position_ids=torch.arange(known, width, device=self._device)[None],
                past_key_values=cache,
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
