"""Models behind an OpenAI-compatible address.

    spec = ModelSpec(server="http://127.0.0.1:8000/v1", model="qwen3", api_key="${SERVER_KEY}")
    model = open_server(spec)              # asks the server once which models it serves
    model.answer([Call((Message("user", "Name a colour."),), Sample(temperature=0.8), seed=7)])

What the protocol cannot say is refused by name (`server_request`), and so is what the server turns
out to ignore (`server_probe`). How many calls are in flight follows from what the server takes
(`server_pace`).
"""

import json
import os
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

from pydantic import Field, PrivateAttr

from chains.calls import Call, Message, Reply
from chains.decoding.composite import Composite
from chains.decoding.plans import Plans, answer_by_one
from chains.models.chat import BatchChatModel
from chains.models.identity import server_description, server_fingerprint
from chains.models.server_dispatch import Dispatch
from chains.models.server_faults import Redactor, look_up
from chains.models.server_probe import Probe
from chains.models.server_request import refuse_unsayable, request_body
from chains.models.spec import ModelSpec
from chains.models.tokens import WordSpans
from prompts.errors import UsageError

RETRIES = 5
"""Times that a call is tried again, pauses growing; Retry-After is honoured."""

DEFAULT_WINDOW = 8192
NO_KEY = "none"
TOKENS_PER_WORD = 4 / 3
TOKENS_PER_TURN = 4


class ServerChat(BatchChatModel):
    """A model behind a server.

    Attributes:
        spec: What the job says.
        longest: Context window in tokens, as the job or the server says.
        dispatch: Sends requests.
    """

    spec: ModelSpec
    longest: int
    dispatch: Any = Field(repr=False, exclude=True)

    _probe: Probe = PrivateAttr()
    _fingerprint: str = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Nothing is known yet of what the server ignores."""
        super().model_post_init(context)
        self._probe = Probe(self.spec, self._one)
        self._fingerprint = server_fingerprint(self.spec)

    @property
    def fingerprint(self) -> str:
        """The address and the model's name there."""
        return self._fingerprint

    @property
    def window(self) -> int:
        """Context window in tokens."""
        return self.longest

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """An estimate from words and punctuation marks: the server's tokenizer is not here."""
        words = sum(WordSpans().count(message.content) for message in messages)
        return round(words * TOKENS_PER_WORD) + TOKENS_PER_TURN * len(messages)

    def describe(self) -> dict[str, Any]:
        """For the manifest; without the address, which may be private."""
        return server_description(self.spec)

    def answer(self, calls: Sequence[Call]) -> Iterator[list[tuple[int, list[Reply]]]]:
        """Answer all calls, up to `spec.batch` of them at a time at each address.

        What is finished comes several times a second, be it nothing.

        Raises:
            ModelError: A setting that the protocol lacks or the server ignores; the server refuses
                the key, does not know the model, cannot be reached, is out of quota, or fails at
                every call.
            UsageError: The plan of a composite strategy asks for another model.
        """
        if any(isinstance(call.decoding, Composite) for call in calls):
            yield from answer_by_one(Plans(calls), self.answer)
            return
        refuse_unsayable(calls)
        self._probe.check(calls)
        yield from self._answer(calls)

    def close(self) -> None:
        """Close all connections."""
        self.dispatch.close()

    def _answer(self, calls: Sequence[Call]) -> Iterator[list[tuple[int, list[Reply]]]]:
        """Each reply of a call is a request of its own; a call is finished with its last one."""
        asked = [(place, n) for place, call in enumerate(calls) for n in range(call.decoding.n)]
        bodies = [partial(_body, self.spec.model, calls[place], n) for place, n in asked]
        first = [0, *accumulate(call.decoding.n for call in calls)]
        found: dict[int, Reply] = {}
        missing = [call.decoding.n for call in calls]
        for finished in self.dispatch.answer(bodies):
            done = []
            for index, reply in finished:
                found[index] = reply
                place = asked[index][0]
                missing[place] -= 1
                if not missing[place]:
                    indices = range(first[place], first[place + 1])
                    done.append((place, [found.pop(i) for i in indices]))
            yield done

    def _one(self, call: Call) -> Reply:
        """The reply to one call, for the probe."""
        (reply,) = [r for done in self._answer([call]) for _, replies in done for r in replies]
        return reply


def _body(model: str, call: Call, number: int) -> bytes:
    body = request_body(model, call, number)
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def open_server(spec: ModelSpec, *, retries: int = RETRIES) -> ServerChat:
    """Connect to a server.

    Raises:
        ModelError: An address cannot be reached, refuses the key, or does not serve the model.
        UsageError: The key's environment variable is not set.
    """
    key = _key(spec)
    redact = Redactor(key)
    windows = [look_up(base, spec, key, redact) for base in spec.addresses]
    told = min((window for window in windows if window), default=DEFAULT_WINDOW)
    dispatch = Dispatch(spec, key, retries)
    return ServerChat(spec=spec, longest=spec.window or told, dispatch=dispatch)


def _key(spec: ModelSpec) -> str:
    """The key, from the environment; a word where there is none, so that no other key is sent."""
    if not spec.api_key:
        return NO_KEY
    name = spec.api_key.removeprefix("${").removesuffix("}")
    value = os.environ.get(name)
    if not value:
        fix = f"set it: export {name}=..."
        raise UsageError(f"the environment variable {name} is not set", fix=fix, key="api_key")
    return value
