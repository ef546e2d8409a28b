"""Encoder-decoder models (T5, Marian, NLLB, BART): text to text, for paraphrase and translation.

    model = open_model(ModelSpec(model="Helsinki-NLP/opus-mt-en-fr"))
    Call((Message("user", "A cat sleeps."),), Beam(num_beams=4))        # "Un chat dort."

The last message's content is the source text; system messages and earlier turns are not read.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import Field

from chains.calls import Message
from chains.decoding.base import Decoding
from chains.decoding.search import Vocabulary
from chains.engine.plain import TextToTextEngine
from chains.models.causal import position_limit, vocabulary_of
from chains.models.files import ModelFiles
from chains.models.hugging_face import load_model, load_tokenizer
from chains.models.languages import forced_first
from chains.models.local import Identity, LocalModel
from chains.models.spec import ModelSpec
from chains.models.template import PromptError
from prompts.errors import ModelError

DEFAULT_WINDOW = 512
"""Source tokens of a model with relative positions and no limit; T5 was trained on this."""


class LocalTextToText(LocalModel):
    """An encoder-decoder model.

    Attributes:
        tokenizer: Of transformers.
        target_limit: Positions of the decoder; None for no bound.
    """

    tokenizer: Any = Field(repr=False, exclude=True)
    target_limit: int | None = None

    def encode(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Token ids of the last message, the end token included."""
        if messages[-1].role == "user_start":
            raise PromptError("chat_template: a text-to-text model has no turns to leave open")
        try:
            ids = tuple(self.tokenizer(messages[-1].content)["input_ids"])
        except (TypeError, ValueError) as exc:
            raise PromptError(f"bad_text: the text is not Unicode text ({exc})") from exc
        if not ids:
            raise PromptError("empty_prompt: the text has no tokens")
        return ids

    def room(self, prompt: Sequence[int], settings: Decoding) -> int:
        """max_tokens, or the positions of the decoder; 0 where the source is beyond the window."""
        if len(prompt) > self.longest:
            return 0
        # One position is the start token's.
        limit = settings.max_tokens if self.target_limit is None else self.target_limit - 1
        return min(settings.max_tokens, limit)


def open_text_to_text(files: ModelFiles, spec: ModelSpec, identity: Identity) -> LocalTextToText:
    """Load an encoder-decoder model.

    Raises:
        ModelError: It cannot be loaded.
        ResourceError: It does not fit into memory.
    """
    model = load_model(files, task="text-to-text", dtype=identity.dtype, device=identity.device)
    tokenizer = load_tokenizer(files.folder)
    positions = position_limit(model.config)
    own = positions or DEFAULT_WINDOW
    start = _start_token(model)
    if start is None:
        problem = "it names no decoder_start_token_id"
        raise ModelError(problem, fix="add it to config.json", file=files.folder)
    first = forced_first(model, tokenizer, spec, files.folder)
    own_tokens = vocabulary_of(model, tokenizer, banned=_banned(model, start), first=first)
    return LocalTextToText(
        engine=TextToTextEngine(model, start, positions),
        vocabulary=_without_first(own_tokens),
        identity=identity,
        longest=own if spec.window is None else min(own, spec.window),
        capacity=spec.batch,
        tokenizer=tokenizer,
        target_limit=positions,
    )


def _without_first(vocabulary: Vocabulary) -> Vocabulary:
    """The first token, such as a language, is no text; not every tokenizer leaves it out itself."""
    first, decode = vocabulary.first, vocabulary.decode
    if first is None:
        return vocabulary
    return replace(vocabulary, decode=lambda ids: decode(ids[1:] if [*ids[:1]] == [first] else ids))


def _start_token(model: Any) -> int | None:
    found: int | None = model.generation_config.decoder_start_token_id
    return model.config.decoder_start_token_id if found is None else found


def _banned(model: Any, start: int) -> tuple[int, ...]:
    """Tokens that the generation settings ban, and the pad that the decoder starts with."""
    words = model.generation_config.bad_words_ids or []
    banned = {word[0] for word in words if len(word) == 1}
    if model.config.pad_token_id == start:
        banned.add(start)
    return tuple(sorted(banned))
