"""Causal language models of transformers: Llama, Qwen, Mistral, Gemma, Phi, GPT-2, ..."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from chains.calls import Message
from chains.decoding.base import Decoding
from chains.decoding.search import Vocabulary
from chains.engine.choice import choose_engine
from chains.models.files import ModelFiles
from chains.models.hugging_face import load_model, load_tokenizer
from chains.models.local import Identity, LocalModel
from chains.models.spec import ModelSpec
from chains.models.template import PromptEncoder
from chains.models.windows import LIMITS

ENDLESS = 1 << 20
"""Window of a model whose config names none."""


class LocalChatModel(LocalModel):
    """A causal language model with the chat template of its tokenizer, or a plain one.

    Attributes:
        prompts: Renders and encodes chats.
        share_prefixes: Whether beginnings of prompts are cut off to be shared.
    """

    prompts: PromptEncoder = Field(repr=False, exclude=True)
    share_prefixes: bool = True

    def encode(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Token ids of a chat, up to where the reply begins."""
        return self.prompts.encode(messages)

    def cuts(
        self, messages: Sequence[Message], prompt: Sequence[int], settings: Decoding
    ) -> tuple[int, ...]:
        """The end of what stands before the last message, and that of a document in it.

        Where the search branches the whole prompt is common to its rows.
        """
        if not self.share_prefixes:
            return ()
        head, document = self.prompts.cuts(messages, prompt)
        return (head, len(prompt) if settings.slots() > 1 else document)

    def room(self, prompt: Sequence[int], settings: Decoding) -> int:
        """max_tokens, or what the prompt leaves of the window."""
        return min(settings.max_tokens, self.longest - len(prompt))


def open_causal(files: ModelFiles, spec: ModelSpec, identity: Identity) -> LocalChatModel:
    """Load a causal model.

    Raises:
        ModelError: It cannot be loaded.
        ResourceError: It does not fit into memory.
    """
    model = load_model(files, task="causal", dtype=identity.dtype, device=identity.device)
    tokenizer = load_tokenizer(files.folder)
    positions = position_limit(model.config.get_text_config())
    own = positions or ENDLESS
    vocabulary = vocabulary_of(model, tokenizer)
    return LocalChatModel(
        engine=choose_engine(model, int(spec.cache_gb * 10**9)),
        vocabulary=vocabulary,
        identity=identity,
        longest=own if spec.window is None else min(own, spec.window),
        capacity=spec.batch,
        prompts=PromptEncoder(tokenizer, identity.name, vocabulary.ends),
        share_prefixes=spec.share_prefixes,
    )


def position_limit(config: Any) -> int | None:
    """Positions that a model has, by any of the names that configs use; None for no bound."""
    found = [getattr(config, name, None) for name in LIMITS]
    return next((limit for limit in found if isinstance(limit, int) and limit > 0), None)


def vocabulary_of(model: Any, tokenizer: Any, **more: Any) -> Vocabulary:
    """How tokens become text, and which ones end it."""

    def decode(tokens: Sequence[int]) -> str:
        text: str = tokenizer.decode(
            list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    return Vocabulary(
        decode=decode,
        ends=end_tokens(model, tokenizer),
        tokenizer=tokenizer,
        continues=not model.config.is_encoder_decoder,
        **more,
    )


def end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Every token that ends a reply: those of the generation settings and the tokenizer's own."""
    named = [model.generation_config.eos_token_id, tokenizer.eos_token_id]
    ends: set[int] = set()
    for entry in named:
        if entry is not None:
            ends.update(entry if isinstance(entry, (list, tuple)) else [entry])
    return frozenset(ends)
