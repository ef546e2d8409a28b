"""A chat model that needs no model: instant, and the same reply for the same chat and seed.

    model = ScriptedChat(replies=("Blue.", "Green."))    # one of them, by a hash of the call
    model = ScriptedChat(script=lambda call: call.messages[-1].content.upper())
    model = ScriptedChat()                               # made-up sentences, by a hash of the call

It runs the real path, in tests, in benchmarks, and in a job that is to be tried without waiting.
A script may raise: then its row alone fails, as a real model's would.
"""

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pydantic import Field

from chains.calls import Call, Message, Reply
from chains.decoding.plans import Plans, answer_by_one
from chains.decoding.score import Score
from chains.decoding.seeds import reply_seed
from chains.models.chat import BatchChatModel
from chains.models.identity import scripted_fingerprint
from chains.models.tokens import WordSpans

Script = Callable[[Call], str | Reply]

VOCABULARY = (
    "the a one this every some small large old new bright quiet early late simple careful "
    "engineer garden letter machine morning river road room story table teacher window worker "
    "answers builds carries checks explains finds follows keeps moves opens reads repairs shows "
    "slowly quickly again often together because before while with without under near between"
)
TOKEN_LOGPROB = -2.0
"""Log-probability that is told for each token."""


class ScriptedChat(BatchChatModel):
    """A fake that is public: give it replies, or a function of the call, or nothing.

    Attributes:
        replies: Chosen from by a hash of the messages and the seed.
        script: Makes the text, or a whole `Reply`, from a call; before `replies`.
        batch_rows: Calls that are answered together.
        tokens: Context window.
    """

    replies: tuple[str, ...] = ()
    script: Script | None = Field(default=None, repr=False, exclude=True)
    batch_rows: int = 64
    tokens: int = 8192

    @property
    def fingerprint(self) -> str:
        """A hash of the replies and the name of the script."""
        if self.script is None:
            return scripted_fingerprint(self.replies)
        name = getattr(self.script, "__qualname__", type(self.script).__qualname__)
        return scripted_fingerprint(self.replies, f"{self.script.__module__}.{name}")

    @property
    def window(self) -> int:
        """Context window in tokens, as counted here: words and punctuation marks."""
        return self.tokens

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Words and punctuation marks of all messages."""
        return sum(WordSpans().count(message.content) for message in messages)

    def describe(self) -> dict[str, Any]:
        """For the manifest."""
        return {"model": "scripted", "engine": "scripted", "fingerprint": self.fingerprint}

    def answer(self, calls: Sequence[Call]) -> Iterator[list[tuple[int, list[Reply]]]]:
        """Answer all calls, a batch at a time.

        Raises:
            UsageError: The plan of a composite strategy asks for another model.
        """
        plans = Plans(calls)
        if plans.composite:
            yield from answer_by_one(plans, self.answer)
            return
        for start in range(0, len(calls), self.batch_rows):
            stop = min(start + self.batch_rows, len(calls))
            yield [(index, self._replies(calls[index])) for index in range(start, stop)]

    def _replies(self, call: Call) -> list[Reply]:
        numbers = range(call.decoding.n)
        return [self._reply(call, reply_seed(call.seed, number)) for number in numbers]

    def _reply(self, call: Call, seed: int) -> Reply:
        prompt = self.count_tokens(call.messages)
        if prompt >= self.tokens:
            counts = f"prompt has {prompt} tokens, the window holds {self.tokens}"
            return Reply("", "error", error=f"context_overflow: {counts}")
        try:
            made = self._make(call, seed)
        except Exception as exc:
            return Reply("", "error", prompt, error=f"failed: {type(exc).__name__}: {exc}")
        return made if isinstance(made, Reply) else _whole_or_cut(made, call, prompt)

    def _make(self, call: Call, seed: int) -> str | Reply:
        if self.script is not None:
            return self.script(Call(call.messages, call.decoding, seed))
        if isinstance(call.decoding, Score):
            return call.decoding.target
        number = _hash(call, seed)
        if self.replies:
            return self.replies[number % len(self.replies)]
        return filler(number)


def filler(number: int) -> str:
    """One to three made-up sentences of 5 to 14 words, decided by a number."""
    source = random.Random(number)
    known = VOCABULARY.split()
    sentences = []
    for _ in range(source.randint(1, 3)):
        words = [source.choice(known) for _ in range(source.randint(5, 14))]
        sentences.append(" ".join(words).capitalize() + ".")
    return " ".join(sentences)


def _hash(call: Call, seed: int) -> int:
    """A number from the messages, and from the seed where the strategy uses one."""
    drawn = 0 if call.decoding.deterministic else seed
    text = repr(([tuple(message) for message in call.messages], drawn))
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")


def _whole_or_cut(text: str, call: Call, prompt: int) -> Reply:
    """The reply that a model would make of `text` under the call's stop strings and max_tokens.

    A text that is scored is never cut.
    """
    if isinstance(call.decoding, Score):
        tokens = WordSpans().count(text) + call.decoding.end
        return Reply(text, "stop", prompt, tokens, TOKEN_LOGPROB * tokens)
    places = [place for stop in call.decoding.stop if (place := text.find(stop)) >= 0]
    text = text[: min(places)] if places else text
    spans = WordSpans().spans(text)
    limit = call.decoding.max_tokens
    if len(spans) > limit:
        return Reply(text[: spans[limit - 1][1]], "length", prompt, limit, TOKEN_LOGPROB * limit)
    tokens = len(spans) + 1
    return Reply(text, "stop", prompt, tokens, TOKEN_LOGPROB * tokens)
