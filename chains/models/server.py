"""Models behind an OpenAI-compatible address, through langchain-openai.

    spec = ModelSpec(server="http://127.0.0.1:8000/v1", model="qwen3", api_key="${SERVER_KEY}")
    model = open_server(spec)              # asks the server once which models it serves
    model.answer([Call((Message("user", "Name a colour."),), Sample(temperature=0.8), seed=7)])

What the protocol cannot say (beam search, min_p, ...) is refused by name instead of left out. Seeds
are reduced to 31 bits, the most that every server reads.
"""

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from pydantic import Field

from chains.calls import Call, Message, Reply
from chains.decoding import Decoding, Greedy, Sample
from chains.decoding.grammar import GrammarSettings
from chains.decoding.plans import Plans, answer_by_one
from chains.decoding.seeds import reply_seed
from chains.models.chat import BatchChatModel
from chains.models.identity import server_fingerprint
from chains.models.server_faults import Redactor, every_call_fails, look_up, row_error
from chains.models.spec import ModelSpec
from chains.models.tokens import WordSpans
from prompts.errors import ModelError, UsageError

SEED_MASK = 2**31 - 1
RETRIES = 5
"""Times that a call is tried again after 429 or 5xx, pauses growing; Retry-After is honoured."""

DEFAULT_WINDOW = 8192
NO_KEY = "none"
TOKENS_PER_WORD = 4 / 3
TOKENS_PER_TURN = 4

_PENALTIES = {"frequency_penalty", "presence_penalty"}
_TEMPERATURE = {"temperature", "top_p"}
SAYABLE = {"strategy", "max_tokens", "stop", "n", "logit_bias", *_PENALTIES, *_TEMPERATURE}
"""Settings that the protocol has; any other one must be at its default."""

ROLES = {"system": "system", "user": "human", "assistant": "ai"}


class ServerChat(BatchChatModel):
    """A model behind a server.

    Attributes:
        client: LangChain's chat model for the address.
        spec: What the job says.
        longest: Context window in tokens, as the job or the server says.
        redact: Takes the key out of texts.
    """

    client: Any = Field(repr=False, exclude=True)
    spec: ModelSpec
    longest: int
    redact: Redactor = Field(repr=False, exclude=True)

    @property
    def fingerprint(self) -> str:
        """The address and the model's name there."""
        return server_fingerprint(self.spec)

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
        return {"model": self.spec.model, "engine": "server", "window": self.longest}

    def answer(self, calls: Sequence[Call]) -> Iterator[list[tuple[int, list[Reply]]]]:
        """Answer all calls, `spec.batch` of them at a time in parallel.

        Raises:
            ModelError: A setting that the protocol lacks; the server refuses the key, does not know
                the model, cannot be reached, is out of quota, or fails at every call.
            UsageError: The plan of a composite strategy asks for another model.
        """
        plans = Plans(calls)
        if plans.composite:
            yield from answer_by_one(plans, self.answer)
            return
        for call in calls:
            settings_of(call.decoding)
        single = RunnableLambda(self._ask)
        config = RunnableConfig(max_concurrency=self.spec.batch)
        for start in range(0, len(calls), self.spec.batch):
            part = calls[start : start + self.spec.batch]
            asked = [(call, number) for call in part for number in range(call.decoding.n)]
            found = single.batch(asked, config, return_exceptions=True)
            replies = iter(self._replies(found))
            yield [
                (start + place, [next(replies) for _ in range(call.decoding.n)])
                for place, call in enumerate(part)
            ]

    def _ask(self, asked: tuple[Call, int]) -> AIMessage:
        call, number = asked
        chat = [(ROLES[message.role], message.content) for message in call.messages]
        settings = settings_of(call.decoding)
        settings["extra_body"] |= form_of(call)
        if not call.decoding.deterministic:
            settings["seed"] = reply_seed(call.seed, number) & SEED_MASK
        reply: AIMessage = self.client.invoke(chat, **settings)
        return reply

    def _replies(self, found: Sequence[AIMessage | Exception]) -> list[Reply]:
        faults = [entry for entry in found if isinstance(entry, Exception)]
        for fault in faults:
            if every_call_fails(fault) or (len(faults) == len(found) > 1):
                raise self._problem(fault) from fault
        return [
            Reply("", "error", error=row_error(entry, self.redact))
            if isinstance(entry, Exception)
            else _reply(entry)
            for entry in found
        ]

    def _problem(self, fault: Exception) -> ModelError:
        return ModelError(
            f"the server fails: {row_error(fault, self.redact)}",
            fix="mend the server; 'textmill resume RUN' then goes on without paying a call twice",
        )


def settings_of(decoding: Decoding) -> dict[str, Any]:
    """The parameters of a request.

    Raises:
        ModelError: The protocol has no word for a strategy or setting.
    """
    if not isinstance(decoding, (Greedy, Sample)):
        name = getattr(decoding, "strategy", type(decoding).__name__)
        problem = f"a server cannot decode with strategy '{name}'"
        raise ModelError(problem, fix="use greedy or sample, or a local model", key="decoding")
    fields = type(decoding).model_fields
    for name, value in decoding:
        if name not in SAYABLE and value != fields[name].default:
            problem = f"a server's protocol has no '{name}'"
            raise ModelError(problem, fix=f"leave {name} out, or use a local model", key="decoding")
    # langchain-openai would rename max_tokens to what only the newest servers know.
    said: dict[str, Any] = {"extra_body": {"max_tokens": decoding.max_tokens}}
    if decoding.stop:
        said["stop"] = list(decoding.stop)
    if decoding.logit_bias:
        said["logit_bias"] = _biases(decoding)
    if isinstance(decoding, Sample):
        return {**said, **decoding.model_dump(include=_PENALTIES | _TEMPERATURE)}
    penalties = {name: value for name in sorted(_PENALTIES) if (value := getattr(decoding, name))}
    return {**said, "temperature": 0.0, **penalties}


def _biases(decoding: Decoding) -> dict[str, float]:
    """By token id, as text: JSON has no other keys."""
    for token, _ in decoding.logit_bias:
        if isinstance(token, str):
            problem = f"a server's logit_bias knows token ids only, not {token!r}"
            raise ModelError(problem, fix="write the token's id", key="decoding")
    return {str(token): value for token, value in decoding.logit_bias}


def form_of(call: Call) -> dict[str, Any]:
    """The output form in the protocol's words: a JSON Schema. The reply is checked all the same."""
    for guide in call.guides:
        if isinstance(guide, GrammarSettings) and guide.form == "json":
            schema = {"name": "reply", "schema": json.loads(guide.source)}
            return {"response_format": {"type": "json_schema", "json_schema": schema}}
    return {}


def open_server(spec: ModelSpec, *, retries: int = RETRIES) -> ServerChat:
    """Connect to a server.

    Raises:
        ModelError: It cannot be reached, refuses the key, or does not serve the model.
        UsageError: The key's environment variable is not set.
    """
    key = _key(spec)
    redact = Redactor(key)
    window = look_up(spec, key, redact)
    try:
        import langchain_openai  # noqa: F401
    except ImportError as exc:
        fix = "pip install 'langchain-openai>=1.1.14,<2'"
        raise ModelError("a server needs the package langchain-openai", fix=fix) from exc
    from langchain.chat_models import init_chat_model

    client = init_chat_model(
        spec.model,
        model_provider="openai",
        base_url=spec.server,
        api_key=key,
        max_retries=retries,
        use_responses_api=False,
    )
    longest = spec.window or window or DEFAULT_WINDOW
    return ServerChat(client=client, spec=spec, longest=longest, redact=redact)


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


def _reply(message: AIMessage) -> Reply:
    usage = message.usage_metadata or {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    reason = message.response_metadata.get("finish_reason", "stop")
    if reason not in {"stop", "length"}:
        return Reply("", "error", error=f"{reason}: the server ended the reply")
    return Reply(str(message.text), reason, usage["input_tokens"], usage["output_tokens"])
