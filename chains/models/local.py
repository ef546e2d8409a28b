"""Models that run on this machine: calls become prompts, prompts batches, and sequences replies.

model = open_model(ModelSpec(model="embedded"))
for finished in model.answer([Call((Message("user", "Name a colour."),), Greedy(max_tokens=8))]):
    ...
"""

import threading
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from pydantic import Field, PrivateAttr

from chains.calls import Call, Message, Reply
from chains.decoding.base import Decoding
from chains.decoding.guide import Guide
from chains.decoding.plans import Plans, answer_by_one
from chains.decoding.score import Score
from chains.decoding.search import Generated, Request, Vocabulary
from chains.decoding.seeds import reply_seed
from chains.engine.base import Engine
from chains.engine.batches import decode_all
from chains.engine.loop import Task
from chains.models.chat import BatchChatModel
from chains.models.scores import Scoring, score_all, target_tokens
from chains.models.template import PromptError


@dataclass(frozen=True)
class Identity:
    """What a loaded model is, for people and for keys.

    Attributes:
        name: The Hub id, or the folder's or file's name.
        fingerprint: As `chains.models.fingerprint` gives it.
        revision: Commit or version; may be empty.
        dtype: `bfloat16` or `float32`.
        device: `cpu` or `cuda`.
        license: SPDX name; may be empty.
    """

    name: str
    fingerprint: str
    revision: str
    dtype: str
    device: str
    license: str


class LocalModel(BatchChatModel):
    """What all local models share; a subclass says what a prompt is and how long a reply may be.

    Attributes:
        engine: Decodes.
        vocabulary: The model's tokens.
        identity: What the model is.
        longest: Context window in tokens.
        capacity: Rows decoded together.
    """

    engine: Any = Field(repr=False, exclude=True)
    vocabulary: Vocabulary = Field(repr=False, exclude=True)
    identity: Identity
    longest: int
    capacity: int = 48

    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    @property
    def fingerprint(self) -> str:
        """Identifies all that decides a reply besides the call."""
        return self.identity.fingerprint

    @property
    def window(self) -> int:
        """Context window in tokens."""
        return self.longest

    @abstractmethod
    def encode(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Token ids of the prompt. Raises PromptError."""

    @abstractmethod
    def room(self, prompt: Sequence[int], settings: Decoding) -> int:
        """Tokens that a reply may have; 0 or less where the prompt is too long."""

    def cuts(
        self, messages: Sequence[Message], prompt: Sequence[int], settings: Decoding
    ) -> tuple[int, ...]:
        """Where the beginnings of a prompt end that other calls are likely to have too."""
        return ()

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Prompt length in tokens, chat template included; 0 where it cannot be encoded."""
        try:
            return len(self.encode(messages))
        except PromptError:
            return 0

    def describe(self) -> dict[str, Any]:
        """For the manifest and the dataset card."""
        who = self.identity
        engine: Engine = self.engine
        return {
            "model": who.name,
            "revision": who.revision,
            "license": who.license,
            "dtype": who.dtype,
            "device": who.device,
            "window": self.longest,
            "engine": engine.name,
            "fingerprint": who.fingerprint,
        }

    def answer(self, calls: Sequence[Call]) -> Iterator[list[tuple[int, list[Reply]]]]:
        """Answer all calls, yielding what is finished after every batch as (index, replies).

        Raises:
            UsageError: The plan of a composite strategy asks for another model.
        """
        plans = Plans(calls)
        if plans.composite:
            yield from answer_by_one(plans, self.answer)
            return
        work = _Work(len(calls), self.vocabulary)
        failed = []
        to_score: list[Scoring] = []
        for index, call in enumerate(calls):
            try:
                prompt = self._prompt(call)
                if isinstance(call.decoding, Score):
                    to_score.append(self._scoring(index, call.messages, prompt, call.decoding))
                    continue
                cuts = self.cuts(call.messages, prompt, call.decoding)
                work.add(index, call, prompt, self.room(prompt, call.decoding), cuts)
            except PromptError as exc:
                failed.append((index, [Reply("", "error", error=str(exc))]))
        if failed:
            yield failed
        decoded = decode_all(self.engine, work.tasks, self.vocabulary, self.capacity)
        batches = chain(score_all(self.engine, to_score), map(work.collect, decoded))
        while True:
            # One batch at a time whoever asks; between two, another thread may have its turn.
            with self._lock:
                finished = next(batches, None)
            if finished is None:
                return
            yield finished

    def _prompt(self, call: Call) -> tuple[int, ...]:
        prompt = self.encode(call.messages)
        if self.room(prompt, call.decoding) < max(1, call.decoding.min_tokens):
            counts = f"prompt has {len(prompt)} tokens, the window holds {self.longest}"
            raise PromptError(f"context_overflow: {counts}")
        return prompt

    def _scoring(
        self, index: int, messages: Sequence[Message], prompt: tuple[int, ...], settings: Score
    ) -> Scoring:
        tokens = target_tokens(settings, self.vocabulary)
        if self.room(prompt, Decoding(max_tokens=max(1, len(tokens)))) < len(tokens):
            counts = f"prompt and target have {len(prompt)} and {len(tokens)} tokens"
            raise PromptError(f"context_overflow: {counts}, the window holds {self.longest}")
        head = next(iter(self.cuts(messages, prompt, settings)), 0)
        return Scoring(index, settings.target, prompt, tokens, head)


class _Work:
    """The tasks of some calls, and their replies as they come in."""

    def __init__(self, calls: int, vocabulary: Vocabulary) -> None:
        self.tasks: list[Task] = []
        self._vocabulary = vocabulary
        self._origin: list[tuple[int, int]] = []
        self._replies: list[dict[int, list[Reply]]] = [{} for _ in range(calls)]
        self._wanted = [0] * calls

    def add(
        self, index: int, call: Call, prompt: tuple[int, ...], room: int, cuts: tuple[int, ...]
    ) -> None:
        """One task for a call, or one for each reply where these know nothing of each other.

        Raises:
            PromptError: The model's tokens cannot be guided as the call wants it.
        """
        guides = self._guides(call, prompt)
        self._wanted[index] = 1 if call.decoding.joint else call.decoding.n
        for reply in range(self._wanted[index]):
            seed, rows = reply_seed(call.seed, reply), call.decoding.slots()
            request = Request(prompt, seed, room, cuts, rows, guides)
            self.tasks.append((call.decoding, request))
            self._origin.append((index, reply))

    def _guides(self, call: Call, prompt: tuple[int, ...]) -> tuple[Guide, ...]:
        settings = (*call.guides, *call.decoding.guides())
        try:
            return tuple(each.open(self._vocabulary, prompt) for each in settings)
        except ValueError as exc:
            raise PromptError(f"not_guidable: {exc}") from exc

    def collect(
        self, finished: Sequence[tuple[int, list[Generated]]]
    ) -> list[tuple[int, list[Reply]]]:
        """The calls that are complete now."""
        complete = []
        for task, sequences in finished:
            index, number = self._origin[task]
            prompt = len(self.tasks[task][1].prompt)
            replies = self._replies[index]
            replies[number] = [_reply(sequence, prompt) for sequence in sequences]
            if len(replies) == self._wanted[index]:
                complete.append((index, [r for _, part in sorted(replies.items()) for r in part]))
        return complete


def _reply(sequence: Generated, prompt_tokens: int) -> Reply:
    return Reply(
        text=sequence.text,
        finish=sequence.finish,
        prompt_tokens=prompt_tokens,
        completion_tokens=len(sequence.tokens),
        logprob=sequence.logprob,
        error=sequence.error,
        score=sequence.score,
    )
