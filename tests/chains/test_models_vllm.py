"""What vLLM is told, against a module that has its names; vLLM itself is not run here."""

import importlib.machinery
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chains.calls import Call, Message
from chains.decoding import Beam, Decoding, Greedy, Sample
from chains.decoding.grammar import GrammarSettings
from chains.models import ModelSpec, fingerprint, open_model
from chains.models.vllm_settings import sampling_of
from prompts.errors import ModelError, UsageError
from prompts.registry import validate

HELLO = (Message("user", "Hi"),)
WITH = {"add_generation_prompt": True, "return_dict": False}


@dataclass
class StructuredOutputsParams:
    json: Any = None
    regex: str | None = None
    choice: list[str] | None = None
    grammar: str | None = None
    json_object: bool | None = None


@dataclass
class SamplingParams:
    """The fields of vLLM 0.33 that are no internal ones; any other name is a TypeError."""

    n: int = 1
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    stop: Any = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool = False
    max_tokens: int | None = 16
    min_tokens: int = 0
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    detokenize: bool = True
    skip_special_tokens: bool = True
    structured_outputs: StructuredOutputsParams | None = None
    logit_bias: dict[int, float] | None = None
    allowed_token_ids: list[int] | None = None
    bad_words: list[str] | None = None


@dataclass
class LLM:
    model: str
    dtype: str
    enable_prefix_caching: bool
    trust_remote_code: bool
    max_model_len: int = 2048
    asked: list[Any] = field(default_factory=list)

    @property
    def model_config(self) -> Any:
        return self

    def get_tokenizer(self) -> Any:
        return self

    def apply_chat_template(self, chat: list[dict[str, str]], **settings: bool) -> list[int]:
        assert settings == {"add_generation_prompt": True, "return_dict": False}
        return [0] * sum(len(turn["content"].split()) for turn in chat)

    def chat(self, chats: list[Any], params: list[SamplingParams], use_tqdm: bool) -> list[Any]:
        if any(len(self.apply_chat_template(chat, **WITH)) >= self.max_model_len for chat in chats):
            raise ValueError("The decoder prompt is longer than the maximum model length")
        self.asked += params
        return [
            types.SimpleNamespace(
                prompt_token_ids=[1, 2, 3],
                outputs=[
                    types.SimpleNamespace(
                        text=f"{chat[-1]['content']}/{one.seed}",
                        finish_reason="stop",
                        token_ids=[4, 5],
                        cumulative_logprob=-1.5,
                    )
                ],
            )
            for chat, one in zip(chats, params, strict=True)
        ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    from tiny_models import save_causal

    return save_causal(tmp_path)


@pytest.fixture
def fake_vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    module, params = types.ModuleType("vllm"), types.ModuleType("vllm.sampling_params")
    module.__spec__ = importlib.machinery.ModuleSpec("vllm", None)
    vars(module).update(LLM=LLM, SamplingParams=SamplingParams, sampling_params=params)
    vars(params).update(StructuredOutputsParams=StructuredOutputsParams)
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setitem(sys.modules, "vllm.sampling_params", params)
    monkeypatch.setenv("VLLM_BATCH_INVARIANT", "1")


def test_every_setting_is_said_by_its_name() -> None:
    settings = Sample(
        temperature=0.7, top_k=40, top_p=0.9, min_p=0.05, max_tokens=33, min_tokens=4,
        stop=("\n\n",), repetition_penalty=1.1, frequency_penalty=0.2, presence_penalty=0.3,
        bad_words=("foo",), logit_bias={17: -3},  # type: ignore[arg-type]
    )  # fmt: skip
    said = sampling_of(Call(HELLO, settings, seed=7), 0)
    seed = said.pop("seed")
    assert said == {
        "n": 1, "logprobs": 0, "temperature": 0.7, "top_k": 40, "top_p": 0.9, "min_p": 0.05,
        "max_tokens": 33, "min_tokens": 4, "stop": ["\n\n"], "repetition_penalty": 1.1,
        "frequency_penalty": 0.2, "presence_penalty": 0.3, "bad_words": ["foo"],
        "logit_bias": {17: -3.0},
    }  # fmt: skip
    assert seed != sampling_of(Call(HELLO, settings, seed=7), 1)["seed"]
    SamplingParams(**said)


def test_greedy_is_temperature_zero_without_a_seed() -> None:
    said = sampling_of(Call(HELLO, Greedy()), 0)
    assert said["temperature"] == 0.0
    assert "seed" not in said


@pytest.mark.parametrize(
    ("form", "source", "said"),
    [
        ("json", '{"type": "object"}', {"json": {"type": "object"}}),
        ("choice", '["yes", "no"]', {"choice": ["yes", "no"]}),
        ("regex", "a+", {"regex": "a+"}),
    ],
)
def test_output_forms_are_guided(form: Any, source: str, said: dict[str, Any]) -> None:
    guide = GrammarSettings(form=form, source=source)
    assert sampling_of(Call(HELLO, Greedy(), guides=(guide,)), 0)["structured_outputs"] == said
    StructuredOutputsParams(**said)


@pytest.mark.parametrize(
    ("decoding", "problem"),
    [
        (Beam(), "vLLM cannot decode with strategy 'beam'"),
        (Sample(typical_p=0.9), "vLLM has no 'typical_p'"),
        (Sample(eta=0.1), "vLLM has no 'eta'"),
        (Sample(top_h=0.5), "vLLM has no 'top_h'"),
        (Greedy(no_repeat_ngram_size=3), "vLLM has no 'no_repeat_ngram_size'"),
    ],
)
def test_what_vllm_lacks_is_refused_by_name(decoding: Decoding, problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        sampling_of(Call(HELLO, decoding), 0)


def test_calls_are_answered_in_their_places(folder: Path, fake_vllm: None) -> None:
    spec = ModelSpec(model=str(folder), engine="vllm", batch=1)
    model: Any = open_model(spec)
    calls = [Call((Message("user", f"Q{n}"),), Sample(n=2), seed=n) for n in range(20)]
    found = {i: replies for done in model.answer(calls) for i, replies in done}
    assert [found[n][0].text.split("/")[0] for n in range(20)] == [f"Q{n}" for n in range(20)]
    assert len({reply.text for replies in found.values() for reply in replies}) == 40
    first = found[0][0]
    assert (first.prompt_tokens, first.completion_tokens, first.logprob) == (3, 2, -1.5)
    assert model.llm.enable_prefix_caching
    assert not model.llm.trust_remote_code
    assert model.fingerprint == fingerprint(spec) != fingerprint(ModelSpec(model=str(folder)))


def test_a_prompt_beyond_the_window_fails_alone(folder: Path, fake_vllm: None) -> None:
    model: Any = open_model(ModelSpec(model=str(folder), engine="vllm", window=16))
    asked = ["Q0", "much " * 16, "Q2", "less " * 15]
    calls = [Call((Message("user", text),), Sample(n=2)) for text in asked]
    found = {i: replies for done in model.answer(calls) for i, replies in done}
    error = "context_overflow: prompt has 16 tokens, the window holds 16"
    assert [reply.error for reply in found[1]] == [error, error]
    texts = [found[n][0].text.split("/")[0] for n in (0, 2, 3)]
    assert texts == [asked[0], asked[2], asked[3]]


def test_without_vllm_the_error_says_what_to_install(folder: Path) -> None:
    with pytest.raises(ModelError, match="vLLM is not installed"):
        open_model(ModelSpec(model=str(folder), engine="vllm"))


@pytest.mark.parametrize("model", ["embedded", "scripted", "a.gguf"])
def test_the_engine_is_for_folders_and_hub_ids(model: str) -> None:
    with pytest.raises(UsageError, match="engine vllm is for a model of the Hub or a folder"):
        validate(ModelSpec, {"model": model, "engine": "vllm"})
