"""Sessions through stock attention and caches: unusual causal models, encoder-decoder models.

Rows share a session only where their prompts have the same shape, and a session always has 16
rows (dummies fill it), so that every matrix has the shape that the row's own prompt decides.
Slower than `chains.engine.session`, and right for every architecture: prompts of a causal model
are never padded here, so no state has to skip a pad.
"""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers.modeling_outputs import BaseModelOutput

from chains.decoding.search import Request
from chains.engine.base import ROWS
from chains.engine.keys_values import BLOCK, up_to
from chains.engine.scoring import Pair, picked


class PlainEngine:
    """Decodes any causal model of transformers."""

    name = "stock attention"
    refills = False

    def __init__(self, model: Any) -> None:
        self.model = model

    def rows(self, tokens: int) -> int | None:
        """Always as many: more would change the shapes of every row."""
        return ROWS

    def shape(self, length: int) -> int:
        """The prompt's very length."""
        return length

    def open(self, states: bool = False) -> "PlainSession":
        """A new, empty session."""
        return PlainSession(self.model, states)

    def score(self, pairs: Sequence[Pair]) -> list[list[float]]:
        """Log-probabilities of targets, one pass a pair at its own length."""
        with torch.inference_mode(), one_thread(self.model):
            return [self._score(pair.prompt, pair.target) for pair in pairs]

    def _score(self, prompt: Sequence[int], target: Sequence[int]) -> list[float]:
        if not target:
            return []
        device = next(self.model.parameters()).device
        ids = torch.tensor([[*prompt, *target[:-1]]], device=device)
        takes = inspect.signature(self.model.forward).parameters
        options = {"logits_to_keep": len(target)} if "logits_to_keep" in takes else {}
        logits = self.model(input_ids=ids, use_cache=False, **options).logits
        return picked(logits[0, -len(target) :], target)


class PlainSession:
    """One batch of `PlainEngine`.

    Attributes:
        states: See `chains.engine.base.Session`; so `prompt_states`.
    """

    states: torch.Tensor
    prompt_states: list[torch.Tensor]

    def __init__(self, model: Any, states: bool = False) -> None:
        self._model = model
        self._device = next(model.parameters()).device
        self._count = 0
        self._cache: Any = None
        takes = inspect.signature(model.forward).parameters
        self._options: dict[str, Any] = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}
        if states:
            self._options["output_hidden_states"] = True
        # State-space models call their cache by another name.
        self._cache_name = "past_key_values" if "past_key_values" in takes else "cache_params"

    def admit(self, requests: Sequence[Request]) -> torch.Tensor:
        """Read the prompts, all of one length, each from its beginning."""
        prompts = [request.prompt for request in requests]
        self._count = len(prompts)
        fill = up_to(ROWS, self._count) - self._count
        return self._forward([*prompts, *[prompts[0]] * fill])

    def advance(self, tokens: Sequence[int]) -> torch.Tensor:
        """One step."""
        fill = up_to(ROWS, self._count) - self._count
        return self._forward([[token] for token in [*tokens, *[tokens[0]] * fill]])

    def select(self, rows: Sequence[int]) -> None:
        """Drop, reorder or double rows."""
        self._count = len(rows)
        self._cache.reorder_cache(filled(rows, self._device))

    def _forward(self, ids: Sequence[Sequence[int]]) -> torch.Tensor:
        with one_thread(self._model):
            output = self._model(
                input_ids=torch.tensor(ids, device=self._device),
                use_cache=True,
                **{self._cache_name: self._cache},
                **self._options,
            )
        self._cache = output[self._cache_name]
        if "output_hidden_states" in self._options:
            hidden = output.hidden_states[-1][: self._count].float()
            self.states, self.prompt_states = hidden[:, -1], [*hidden]
        return output.logits[: self._count, -1].float()  # type: ignore[no-any-return]


@contextmanager
def one_thread(model: Any) -> Iterator[None]:
    """For float32: stock kernels split a batch between threads; rows round by where they fall."""
    threads = torch.get_num_threads()
    if next(model.parameters()).dtype == torch.float32:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class TextToTextEngine:
    """Decodes encoder-decoder models such as T5 and Marian: the prompt is the encoder's input.

    Args:
        model: Of transformers.
        start: The token that the decoder begins with.
        longest: Positions that the encoder has; None for no bound.
    """

    name = "encoder-decoder"
    refills = False

    def __init__(self, model: Any, start: int, longest: int | None) -> None:
        self.model = model
        self.start = start
        self.longest = longest

    def rows(self, tokens: int) -> int | None:
        """Always as many: more would change the shapes of every row."""
        return ROWS

    def shape(self, length: int) -> int:
        """The source's length, padded."""
        width = up_to(BLOCK, length)
        return width if self.longest is None else min(width, max(self.longest, length))

    def open(self, states: bool = False) -> "TextToTextSession":
        """A new, empty session; its states are the decoder's, those of a prompt its start's."""
        return TextToTextSession(self, states)

    def score(self, pairs: Sequence[Pair]) -> list[list[float]]:
        """Log-probabilities of targets, one pass of encoder and decoder a pair at its own shape."""
        with torch.inference_mode(), one_thread(self.model):
            return [self._score(pair.prompt, pair.target) for pair in pairs]

    def _score(self, prompt: Sequence[int], target: Sequence[int]) -> list[float]:
        if not target:
            return []
        states, mask = encoded(self.model, prompt, self.shape(len(prompt)))
        output = self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            attention_mask=mask,
            decoder_input_ids=torch.tensor([[self.start, *target[:-1]]], device=states.device),
            use_cache=False,
        )
        return picked(output.logits[0], target)


class TextToTextSession:
    """One batch of `TextToTextEngine`.

    Attributes:
        states: See `chains.engine.base.Session`; so `prompt_states`.
    """

    states: torch.Tensor
    prompt_states: list[torch.Tensor]

    def __init__(self, engine: TextToTextEngine, states: bool = False) -> None:
        self._engine = engine
        self._wants_states = states
        self._model = engine.model
        self._device = next(engine.model.parameters()).device
        self._count = 0
        self._cache: Any = None
        self._sources: torch.Tensor
        self._mask: torch.Tensor

    def admit(self, requests: Sequence[Request]) -> torch.Tensor:
        """Encode each source alone, then take the decoder's first step."""
        prompts = [request.prompt for request in requests]
        self._count = len(prompts)
        width = self._engine.shape(max(len(prompt) for prompt in prompts))
        sources = [encoded(self._model, prompt, width) for prompt in prompts]
        rows = filled(range(self._count), self._device)
        self._sources = torch.cat([states for states, _ in sources])[rows]
        self._mask = torch.cat([mask for _, mask in sources])[rows]
        return self._forward([self._engine.start] * self._count)

    def advance(self, tokens: Sequence[int]) -> torch.Tensor:
        """One step of the decoder."""
        return self._forward(tokens)

    def select(self, rows: Sequence[int]) -> None:
        """Drop, reorder or double rows."""
        self._count = len(rows)
        index = filled(rows, self._device)
        self._sources, self._mask = self._sources[index], self._mask[index]
        self._cache.reorder_cache(index)

    def _forward(self, tokens: Sequence[int]) -> torch.Tensor:
        fill = up_to(ROWS, self._count) - self._count
        ids = torch.tensor([*tokens, *[tokens[0]] * fill], device=self._device)[:, None]
        with one_thread(self._model):
            output = self._model(
                encoder_outputs=BaseModelOutput(last_hidden_state=self._sources),
                attention_mask=self._mask,
                decoder_input_ids=ids,
                past_key_values=self._cache,
                use_cache=True,
                output_hidden_states=self._wants_states,
            )
        self._cache = output.past_key_values
        if self._wants_states:
            hidden = output.decoder_hidden_states[-1][: self._count].float()
            self.states, self.prompt_states = hidden[:, -1], [*hidden]
        return output.logits[: self._count, -1].float()  # type: ignore[no-any-return]


def encoded(model: Any, source: Sequence[int], width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The encoder's states of one source, padded to `width`, and the mask of its tokens."""
    device = next(model.parameters()).device
    ids = torch.zeros(1, width, dtype=torch.long, device=device)
    ids[0, : len(source)] = torch.tensor(source, device=device)
    mask = (torch.arange(width, device=device) < len(source)).long()[None]
    return model.get_encoder()(input_ids=ids, attention_mask=mask).last_hidden_state, mask


def filled(rows: Sequence[int], device: torch.device) -> torch.Tensor:
    """`rows` filled up with their first one to a multiple of `ROWS`."""
    fill = up_to(ROWS, len(rows)) - len(rows)
    return torch.tensor([*rows, *[rows[0]] * fill], device=device)
