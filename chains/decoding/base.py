"""The settings every decoding strategy shares; one file a strategy beside this one.

A strategy is one pydantic class. Its settings are read from a job without importing torch:

    decoding: {strategy: sample, temperature: 0.8, top_p: 0.95, n: 2, max_tokens: 60}
"""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationInfo,
    model_validator,
)

from chains.decoding.bans import BadWords, NoRepeatNgram, contains_word
from chains.decoding.bias import Biases, LogitBias
from chains.decoding.guide import GuideSettings
from prompts.registry import Registry

if TYPE_CHECKING:
    import torch

    from chains.calls import Call, Plan
    from chains.decoding.noise import Noise
    from chains.decoding.search import History, Search, Vocabulary

Penalty = Annotated[float, Field(ge=-2, le=2)]


class Decoding(BaseModel):
    """Settings that all strategies take; a subclass adds its own and the tag `strategy`.

    Attributes:
        max_tokens: The most tokens a reply may have.
        min_tokens: Before this many tokens no reply ends.
        stop: Texts that end a reply and are no part of it.
        n: Replies for a prompt.
        repetition_penalty: Divides a positive and multiplies a negative logit of every token of the
            prompt and of the reply so far (Keskar et al. 2019, CTRL).
        frequency_penalty: Subtracted from a logit once for each time the token was generated
            (OpenAI).
        presence_penalty: Subtracted once if the token was generated at all (OpenAI).
        no_repeat_ngram_size: No sequence of this many tokens comes twice, in the prompt and the
            reply together; 0 bans nothing. See `chains.decoding.bans.NoRepeatNgram`.
        logit_bias: Token id, or text of one token -> -100 to 100, added to its logit. A mapping is
            read and kept as sorted pairs.
        bad_words: Words and phrases that never stand in a reply. See
            `chains.decoding.bans.BadWords`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    deterministic: ClassVar[bool] = False
    """Whether the reply is a function of the prompt alone, so that no seed enters its key."""

    joint: ClassVar[bool] = False
    """Whether the n replies come out of one search. Where they do not, they are n calls of one
    reply each, told apart by their seeds, and raising n pays for the new ones only."""

    needs_states: ClassVar[bool] = False
    """Whether the search looks at hidden states; its `see` is then called before every step."""

    engine: ClassVar[int] = 1
    """Raised whenever the strategy may give other tokens for the same settings."""

    max_tokens: Annotated[int, Field(ge=1)] = 256
    min_tokens: Annotated[int, Field(ge=0)] = 0
    stop: tuple[str, ...] = ()
    n: Annotated[int, Field(ge=1)] = 1
    repetition_penalty: Annotated[float, Field(gt=0)] = 1.0
    frequency_penalty: Penalty = 0.0
    presence_penalty: Penalty = 0.0
    no_repeat_ngram_size: Annotated[int, Field(ge=0)] = 0
    logit_bias: Biases = ()
    bad_words: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _window_is_possible(self) -> "Decoding":
        if self.min_tokens > self.max_tokens:
            raise ValueError(f"min_tokens {self.min_tokens} is above max_tokens {self.max_tokens}")
        if any(not text for text in self.stop):
            raise ValueError("an empty stop string would end every reply at once")
        return self

    @model_validator(mode="after")
    def _bans_are_possible(self) -> "Decoding":
        if any(not word.strip() for word in self.bad_words):
            raise ValueError("bad_words has an empty one; leave it out")
        for text in self.stop:
            for word in self.bad_words:
                if contains_word(text, word):
                    raise ValueError(f"stop {text!r} never comes: it holds the bad word {word!r}")
        return self

    def key(self) -> dict[str, Any]:
        """What enters a call's ledger key: all settings and engine versions, n only if joint."""
        settings = self.model_dump(mode="json")
        if not self.joint:
            del settings["n"]
        engines = {each.kind: each.engine for each in self.guides()}
        return {**settings, "engine": self.engine, **({"guides": engines} if engines else {})}

    def slots(self) -> int:
        """Rows of a batch that one call takes."""
        return 1

    def guides(self) -> tuple[GuideSettings, ...]:
        """What steers every sequence because of these settings, besides the guides of the call."""
        found: list[GuideSettings] = []
        if self.logit_bias:
            found.append(LogitBias(entries=self.logit_bias))
        if self.no_repeat_ngram_size:
            found.append(NoRepeatNgram(size=self.no_repeat_ngram_size))
        if self.bad_words:
            found.append(BadWords(words=self.bad_words))
        return tuple(found)

    def search(self, vocabulary: "Vocabulary") -> "Search":
        """A new search, for all requests of a batch that have these settings."""
        from chains.decoding.row_search import RowSearch

        return RowSearch(self, vocabulary)

    def choose(self, scores: "torch.Tensor", noise: "Noise") -> "torch.Tensor":
        """The next token of each row, for strategies whose rows know nothing of each other.

        Args:
            scores: Logits after penalties and bans, float32 [rows, vocabulary]; not to be changed.
            noise: Random numbers of these rows at this step.

        Returns:
            Token ids, int64 [rows].
        """
        raise NotImplementedError

    def plan(self, call: "Call") -> "Plan | None":
        """How `call` is answered by other calls; None where a model answers it by itself."""
        return None

    def models(self) -> dict[str, str]:
        """Models beside the one asked that a plan calls: the setting, and the name that it says."""
        return {}

    def fingerprint(self) -> str:
        """A hash of files that decide which replies a plan returns; empty where there are none."""
        return ""

    def penalises(self) -> bool:
        """Whether `penalise` does anything."""
        counts = bool(self.frequency_penalty or self.presence_penalty)
        return counts or self.repetition_penalty != 1.0

    def penalise(self, scores: "torch.Tensor", history: "History") -> "torch.Tensor":
        """Lower the scores of tokens by what a row has read and drawn; may change them in place.

        The repetition penalty first, over prompt and reply; then OpenAI's two, over the reply.
        """
        import torch

        factor, device = self.repetition_penalty, scores.device
        for row, counts in enumerate(history.seen):
            tokens = torch.tensor([*counts], dtype=torch.long, device=device)
            drawn = torch.tensor([*counts.values()], dtype=torch.float32, device=device)
            values = scores[row, tokens]
            values = (values * factor).where(values < 0, values / factor)
            values -= drawn * self.frequency_penalty
            scores[row, tokens] = values - (drawn > 0) * self.presence_penalty
        return scores


STRATEGIES: Registry[Decoding] = Registry("decoding strategy", tag="strategy")


def _build(value: Any, info: ValidationInfo) -> Decoding:
    return (
        value if isinstance(value, Decoding) else STRATEGIES.build(value, key=info.field_name or "")
    )


AnyDecoding = Annotated[SerializeAsAny[Decoding], BeforeValidator(_build)]
"""Annotation of a stage's field that takes any strategy: `decoding: AnyDecoding = Sample()`."""
