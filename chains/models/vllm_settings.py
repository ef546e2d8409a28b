"""A call's settings in the words of vLLM's `SamplingParams`, or a refusal that names what it lacks.

    sampling_of(Call((Message("user", "Hi"),), Sample(temperature=0.8, min_p=0.1), seed=7), 0)
    # {"n": 1, "max_tokens": 256, "temperature": 0.8, "min_p": 0.1, "seed": 1234, ...}

A pure function, so that what vLLM will be told can be tested without it. The names are those of
vLLM 0.33's `vllm/sampling_params.py`.
"""

import json
from typing import Any

from chains.calls import Call
from chains.decoding import Decoding, Greedy, Sample
from chains.decoding.grammar import GrammarSettings
from chains.decoding.seeds import reply_seed
from prompts.errors import ModelError

SAME = ("max_tokens", "min_tokens", "repetition_penalty", "frequency_penalty", "presence_penalty")
"""Settings of all strategies that vLLM calls by the same name and means the same by."""

TEMPERED = ("temperature", "top_k", "top_p", "min_p")
"""Those of `sample`."""

_KNOWN = {"strategy", "n", "stop", "logit_bias", "bad_words", *SAME, *TEMPERED}


def sampling_of(call: Call, number: int) -> dict[str, Any]:
    """The arguments of `SamplingParams` for the `number`-th reply to a call.

    `logprobs=0` asks for the log-probability of the chosen tokens alone. `structured_outputs`,
    where the call has an output form, are the arguments of `StructuredOutputsParams`.

    Raises:
        ModelError: vLLM has no word for a strategy or setting.
    """
    decoding = call.decoding
    _refuse_unknown(decoding)
    said: dict[str, Any] = {"n": 1, "logprobs": 0}
    said |= {name: getattr(decoding, name) for name in SAME}
    if decoding.stop:
        said["stop"] = list(decoding.stop)
    if decoding.bad_words:
        said["bad_words"] = list(decoding.bad_words)
    if decoding.logit_bias:
        said["logit_bias"] = _biases(decoding)
    if isinstance(decoding, Sample):
        said |= {name: getattr(decoding, name) for name in TEMPERED}
        said["seed"] = reply_seed(call.seed, number)
    else:
        said["temperature"] = 0.0
    forms = [_form(guide) for guide in call.guides]
    if forms:
        said["structured_outputs"] = forms[0]
    return said


def _refuse_unknown(decoding: Decoding) -> None:
    fix = "leave it out, or use the engine textmill"
    if not isinstance(decoding, (Greedy, Sample)):
        name = getattr(decoding, "strategy", type(decoding).__name__)
        problem = f"vLLM cannot decode with strategy '{name}'"
        raise ModelError(
            problem, fix="use greedy or sample, or the engine textmill", key="decoding"
        )
    fields = type(decoding).model_fields
    for name, value in decoding:
        if name not in _KNOWN and value != fields[name].default:
            raise ModelError(f"vLLM has no '{name}'", fix=fix, key="decoding")


def _biases(decoding: Decoding) -> dict[int, float]:
    for token, _ in decoding.logit_bias:
        if isinstance(token, str):
            problem = f"vLLM's logit_bias knows token ids only, not {token!r}"
            raise ModelError(problem, fix="write the token's id", key="decoding")
    return {int(token): value for token, value in decoding.logit_bias}


def _form(guide: Any) -> dict[str, Any]:
    """The arguments of `StructuredOutputsParams`."""
    if not isinstance(guide, GrammarSettings):
        kind = getattr(guide, "kind", type(guide).__name__)
        problem = f"vLLM cannot hold a reply to '{kind}'"
        raise ModelError(problem, fix="leave it out, or use the engine textmill", key="decoding")
    if guide.form == "json":
        return {"json": json.loads(guide.source)}
    if guide.form == "choice":
        return {"choice": json.loads(guide.source)}
    return {guide.form: guide.source}
