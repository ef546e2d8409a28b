"""Models that vLLM runs in this process, on a GPU: `{model: OWNER/NAME, engine: vllm}`.

    model = open_vllm(ModelSpec(model="Qwen/Qwen3-4B-Instruct-2507", engine="vllm"))

All calls of a round are handed over at once: vLLM schedules them itself, with prefix caching on.
Where it offers batch invariance (`VLLM_BATCH_INVARIANT`), it is asked for, so that a reply does not
depend on its neighbours; whether it holds is vLLM's affair, and verified by nothing here.
"""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import Field

from chains.calls import Call, Message, Reply
from chains.decoding.plans import Plans, answer_by_one
from chains.models.chat import BatchChatModel
from chains.models.identity import vllm_fingerprint
from chains.models.locate import locate
from chains.models.spec import ModelSpec
from chains.models.vllm_settings import sampling_of
from prompts.errors import ModelError, ResourceError

INVARIANT = "VLLM_BATCH_INVARIANT"


class VllmChat(BatchChatModel):
    """A model in vLLM.

    Attributes:
        llm: vLLM's `LLM`.
        spec: What the job says.
        identity: Of the weights.
        name: Of the model, for people.
    """

    llm: Any = Field(repr=False, exclude=True)
    spec: ModelSpec
    identity: str
    name_: str

    @property
    def fingerprint(self) -> str:
        """Weights, number type, window, and vLLM's version."""
        return vllm_fingerprint(self.spec, self.identity)

    @property
    def window(self) -> int:
        """Context window in tokens."""
        return int(self.llm.model_config.max_model_len)

    def count_tokens(self, messages: Sequence[Message]) -> int:
        """Prompt length in tokens, chat template included."""
        chat = _chat(messages)
        ids = self.llm.get_tokenizer().apply_chat_template(
            chat, add_generation_prompt=True, return_dict=False
        )
        return len(ids)

    def describe(self) -> dict[str, Any]:
        """For the manifest and the dataset card."""
        return {"model": self.name_, "engine": "vllm", "window": self.window}

    def answer(self, calls: Sequence[Call]) -> Iterator[list[tuple[int, list[Reply]]]]:
        """Answer all calls, `spec.batch` times eight of them at a time.

        Raises:
            ModelError: A setting that vLLM lacks.
            UsageError: The plan of a composite strategy asks for another model.
        """
        plans = Plans(calls)
        if plans.composite:
            yield from answer_by_one(plans, self.answer)
            return
        settings = [[sampling_of(c, n) for n in range(c.decoding.n)] for c in calls]
        step = 8 * self.spec.batch
        for start in range(0, len(calls), step):
            part = range(start, min(start + step, len(calls)))
            tokens = {i: self.count_tokens(calls[i].messages) for i in part}
            fits = [i for i in part if tokens[i] < self.window]
            replies = iter(
                self._replies([(calls[i].messages, said) for i in fits for said in settings[i]])
            )
            answered = {i: [next(replies) for _ in settings[i]] for i in fits}
            yield [(i, answered.get(i) or self._too_long(tokens[i], settings[i])) for i in part]

    def _too_long(self, tokens: int, settings: Sequence[Any]) -> list[Reply]:
        """VLLM would refuse the whole batch because of one such prompt."""
        counts = f"prompt has {tokens} tokens, the window holds {self.window}"
        return [Reply("", "error", error=f"context_overflow: {counts}") for _ in settings]

    def _replies(self, asked: Sequence[tuple[Sequence[Message], dict[str, Any]]]) -> list[Reply]:
        chats = [_chat(messages) for messages, _ in asked]
        params = [_params(said) for _, said in asked]
        return [_reply(done) for done in self.llm.chat(chats, params, use_tqdm=False)]


def open_vllm(spec: ModelSpec, *, offline: bool = False) -> VllmChat:
    """Load a model into vLLM.

    Raises:
        ModelError: vLLM is not installed, or the model cannot be found.
        ResourceError: It does not fit into the GPU's memory.
    """
    located = locate(spec, offline=offline)
    os.environ.setdefault(INVARIANT, "1")
    try:
        import vllm
    except ImportError as exc:
        raise ModelError("vLLM is not installed", fix="pip install 'vllm>=0.30'") from exc
    options: dict[str, Any] = {"enable_prefix_caching": True, "trust_remote_code": False}
    if spec.window is not None:
        options["max_model_len"] = spec.window
    try:
        llm = vllm.LLM(model=str(located.folder()), dtype=spec.dtype, **options)
    except (RuntimeError, MemoryError) as exc:
        fix = "use a smaller model, or a smaller window"
        raise ResourceError(f"vLLM cannot load the model: {exc}", fix=fix) from exc
    return VllmChat(llm=llm, spec=spec, identity=located.identify(), name_=located.name)


def _params(said: dict[str, Any]) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    form = said.get("structured_outputs")
    if form is None:
        return SamplingParams(**said)
    return SamplingParams(**{**said, "structured_outputs": StructuredOutputsParams(**form)})


def _chat(messages: Sequence[Message]) -> list[dict[str, str]]:
    if any(message.role == "user_start" for message in messages):
        problem = "vLLM's chats end with a whole turn; this one is left open for the model"
        raise ModelError(problem, fix="use the engine textmill")
    return [{"role": message.role, "content": message.content} for message in messages]


def _reply(done: Any) -> Reply:
    output = done.outputs[0]
    if output.finish_reason not in {"stop", "length"}:
        return Reply("", "error", error=f"{output.finish_reason}: vLLM ended the reply")
    return Reply(
        output.text,
        "length" if output.finish_reason == "length" else "stop",
        len(done.prompt_token_ids or ()),
        len(output.token_ids),
        output.cumulative_logprob,
    )
