"""The LangChain face of every model: it batches for real under every composition.

    model = open_model(ModelSpec(model="embedded"))
    chain = prompt | model.bind(temperature=0.8, seed=7) | StrOutputParser()
    chain.batch([{"topic": "rain"}, {"topic": "snow"}])        # one batch of two

Settings per call are those of the strategies by their own names (`temperature`, `top_p`,
`max_tokens`, ...; or `decoding=Beam(num_beams=4)`), `seed`, `stop`, and `guides`, which hold a
reply to an output form.
"""

import asyncio
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import merge_configs
from pydantic import ConfigDict, PrivateAttr

from chains.calls import Call, Message, Reply, Role
from chains.decoding import STRATEGIES, Decoding, Greedy, Sample
from chains.models.coalesce import Coalescer
from prompts.errors import ModelError, UsageError
from prompts.registry import validate

ROLES: dict[str, Role] = {"system": "system", "human": "user", "ai": "assistant"}


class BatchChatModel(BaseChatModel):
    """A LangChain chat model over `answer`, the batched protocol of `chains.calls.Model`.

    Attributes:
        decoding: Settings of calls that bring none of their own.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    decoding: Decoding = Greedy()

    _coalescer: Coalescer = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Give the model its own queue."""
        super().model_post_init(context)
        self._coalescer = Coalescer(self.answer)

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Identifies all that decides a reply besides the call."""

    @property
    @abstractmethod
    def window(self) -> int:
        """Context window in tokens, prompt and reply together."""

    @abstractmethod
    def answer(self, calls: Sequence[Call]) -> Iterator[list[tuple[int, list[Reply]]]]:
        """Answer all calls, yielding what is finished after every batch as (index, replies)."""

    @abstractmethod
    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Prompt length in tokens, chat template included."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """For the manifest and the dataset card."""

    @property
    def _llm_type(self) -> str:
        return type(self).__name__

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"fingerprint": self.fingerprint, "decoding": self.decoding.model_dump(mode="json")}

    def batch(
        self,
        inputs: list[Any],
        config: RunnableConfig | list[RunnableConfig] | None = None,
        *,
        return_exceptions: bool = False,
        **kwargs: Any,
    ) -> list[AIMessage]:
        """Answer all inputs as one batch; a pool of threads would make batches of six."""
        wide = _widened(config, len(inputs))
        return super().batch(inputs, wide, return_exceptions=return_exceptions, **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return self._result(self._coalescer.submit(self._call(messages, stop, kwargs)).result())

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        future = self._coalescer.submit(self._call(messages, stop, kwargs))
        return self._result(await asyncio.wrap_future(future))

    def _call(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]
    ) -> Call:
        settings = {key: value for key, value in kwargs.items() if value is not None}
        seed = settings.pop("seed", 0)
        guides = tuple(settings.pop("guides", ()))
        if stop:
            settings["stop"] = tuple(stop)
        chat = tuple(_message(message) for message in messages)
        return Call(chat, settings_for(self.decoding, settings), seed, guides)

    def _result(self, replies: list[Reply]) -> ChatResult:
        failed = next((reply for reply in replies if reply.finish == "error"), None)
        if failed is not None:
            fix = "mend what the error says, and call again"
            raise ModelError(f"the model did not reply: {failed.error}", fix=fix)
        return ChatResult(generations=[self._generation(reply) for reply in replies])

    def _generation(self, reply: Reply) -> ChatGeneration:
        usage = UsageMetadata(
            input_tokens=reply.prompt_tokens,
            output_tokens=reply.completion_tokens,
            total_tokens=reply.prompt_tokens + reply.completion_tokens,
        )
        about = {"finish_reason": reply.finish, "logprob": reply.logprob}
        message = AIMessage(reply.text, usage_metadata=usage, response_metadata=about)
        return ChatGeneration(message=message, generation_info=about)


def settings_for(default: Decoding, settings: dict[str, Any]) -> Decoding:
    """The strategy that settings given by name mean, over a default.

    `decoding` alone is taken as it is. Without `strategy` it is the default's where that knows all
    the names, else sampling; `temperature=0` means greedy, as everywhere in LangChain.

    Raises:
        UsageError: An unknown name or a value out of range.
    """
    settings = dict(settings)
    given = settings.pop("decoding", None)
    base = default if given is None else _strategy(given)
    if settings.get("temperature") == 0:
        del settings["temperature"]
        settings.setdefault("strategy", "greedy")
    if not settings:
        return base
    name = settings.pop("strategy", None)
    if name is None:
        fits = settings.keys() <= type(base).model_fields.keys()
        cls = type(base) if fits else Sample
    else:
        cls = STRATEGIES.find(name, key="strategy")
    kept = base.model_dump(exclude={"strategy"}, exclude_unset=True)
    kept = {key: value for key, value in kept.items() if key in cls.model_fields}
    return validate(cls, {**kept, **settings})


def _strategy(given: Any) -> Decoding:
    return given if isinstance(given, Decoding) else STRATEGIES.build(given, key="decoding")


def _message(message: BaseMessage) -> Message:
    if message.type not in ROLES:
        fix = "use system, human and AI messages"
        raise UsageError(f"a message of type '{message.type}' means nothing to this model", fix=fix)
    return Message(ROLES[message.type], str(message.text))


def _widened(
    config: RunnableConfig | list[RunnableConfig] | None, size: int
) -> RunnableConfig | list[RunnableConfig]:
    wide = RunnableConfig(max_concurrency=max(1, size))
    if isinstance(config, list):
        return [merge_configs(one, wide) for one in config]
    return merge_configs(config, wide)
