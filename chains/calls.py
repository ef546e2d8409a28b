"""What passes between a pipeline and a model: one `Call` in, its `Reply`s out; nothing heavy.

call = Call(messages=(Message("user", "Name a colour."),), decoding=Sample(temperature=0.8), seed=7)
for finished in model.answer([call]):          # one list for every batch that finishes
    for index, replies in finished:            # index into the calls, in no particular order
        print(replies[0].text)                 # "Blue."
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from chains.decoding.base import Decoding
from chains.decoding.guide import GuideSettings

Role = Literal["system", "user", "assistant", "user_start"]
"""`user_start`, as the last message, is a user's turn that the model is to write on itself."""

Finish = Literal["stop", "length", "error"]


class Message(NamedTuple):
    """One turn of a chat."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Call:
    """One model call.

    Attributes:
        messages: The rendered chat. A text-to-text model reads the last message's content alone.
        decoding: Full settings; `decoding.n` replies are asked for.
        seed: 0 to 2**53 - 1. Ignored by deterministic strategies.
        guides: What every reply has to keep to, such as a grammar or a length.
    """

    messages: tuple[Message, ...]
    decoding: Decoding
    seed: int = 0
    guides: tuple[GuideSettings, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """One sequence that a model returned.

    Attributes:
        text: The decoded text, without stop strings and special tokens.
        finish: "stop" (end of text or a stop string), "length" (cut at max_tokens), "error".
        prompt_tokens: Length of the prompt in tokens.
        completion_tokens: Tokens generated, the end token included.
        logprob: Sum of the natural-log probabilities of the generated tokens under the model
            itself (temperature 1, nothing truncated); None where the model does not tell.
        error: With finish "error": `reason: detail`, such as
            `context_overflow: prompt has 3000 tokens, the window holds 2048`.
        score: What the strategy ranked the reply by, where it ranks by something else than
            `logprob`; its documentation says what it is.
    """

    text: str
    finish: Finish
    prompt_tokens: int = 0
    completion_tokens: int = 0
    logprob: float | None = None
    error: str = ""
    score: float | None = None


Wanted = list[tuple[str, Call]]
"""Calls with the names of the models that are asked; "" is the one at hand."""

Plan = Generator[Wanted, list[list[Reply]], list[Reply]]
"""How a strategy that is made of other calls comes to its replies: it yields calls and is sent the
replies to each."""


class Model(Protocol):
    """A model that pipelines can call: a local one, a server, or a scripted one."""

    @property
    def fingerprint(self) -> str:
        """All that decides a reply besides the call: weights, tokenizer, template, dtype, engine.

        Never a path or a key.
        """

    @property
    def window(self) -> int:
        """Context window in tokens, prompt and reply together."""

    def answer(self, calls: Sequence[Call]) -> Iterator[list[tuple[int, list[Reply]]]]:
        """Answer all calls, yielding what is finished after every batch as (index, replies).

        A call that fails alone gives `Reply(finish="error")`; only what makes every call fail
        raises (`ModelError`, `ResourceError`).
        """

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Prompt length in tokens, chat template included."""

    def describe(self) -> dict[str, Any]:
        """For the manifest and the dataset card: model, revision, dtype, engine, license."""
