"""A call in the words of the OpenAI protocol, and a reply out of them.

    request_body("qwen3", call, 0)    # {"model": "qwen3", "messages": [...], ...}
    reply_of({"choices": [...], "usage": {...}})               # Reply("Blue.", "stop", 11, 3)

What the protocol cannot say (beam search, min_p, ...) is refused by name instead of left out. Seeds
are reduced to 31 bits, the most that every server reads.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from chains.calls import Call, Reply
from chains.decoding import Decoding, Greedy, Sample
from chains.decoding.grammar import GrammarSettings
from chains.decoding.seeds import reply_seed
from prompts.errors import ModelError

SEED_MASK = 2**31 - 1
ROLES = {"system", "user", "assistant"}

_PENALTIES = ("frequency_penalty", "presence_penalty")
SAYABLE = {"strategy", "max_tokens", "stop", "n", "logit_bias", "temperature", "top_p", *_PENALTIES}
"""Settings that the protocol has; any other one must be at its default."""


def request_body(model: str, call: Call, number: int) -> dict[str, Any]:
    """The body of the request for the `number`-th reply to a call.

    Raises:
        ModelError: The protocol has no word for a strategy or setting.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in call.messages],
        **settings_of(call.decoding),
        **form_of(call),
    }
    if not call.decoding.deterministic:
        body["seed"] = reply_seed(call.seed, number) & SEED_MASK
    return body


def refuse_unsayable(calls: Sequence[Call]) -> None:
    """Refuse what the protocol has no word for.

    Raises:
        ModelError: A strategy, a setting, or a turn that is left open for the model to write on.
    """
    for decoding in {id(call.decoding): call.decoding for call in calls}.values():
        settings_of(decoding)
    if any(message.role not in ROLES for call in calls for message in call.messages):
        problem = "a server cannot write on an open turn of the user"
        raise ModelError(problem, fix="use a local model")


def settings_of(decoding: Decoding) -> dict[str, Any]:
    """The parameters of a request.

    Raises:
        ModelError: The protocol has no word for a strategy or setting.
    """
    if not isinstance(decoding, (Greedy, Sample)):
        name = getattr(decoding, "strategy", type(decoding).__name__)
        problem = f"a server cannot decode with strategy '{name}'"
        raise ModelError(problem, fix="use greedy or sample, or a local model", key="decoding")
    return dict(_said(decoding))


@lru_cache(maxsize=64)
def _said(decoding: Greedy | Sample) -> dict[str, Any]:
    """Worked out once for all calls with the same settings."""
    fields = type(decoding).model_fields
    for name, value in decoding:
        if name not in SAYABLE and value != fields[name].default:
            problem = f"a server's protocol has no '{name}'"
            raise ModelError(problem, fix=f"leave {name} out, or use a local model", key="decoding")
    said: dict[str, Any] = {"max_tokens": decoding.max_tokens}
    if decoding.stop:
        said["stop"] = list(decoding.stop)
    if decoding.logit_bias:
        said["logit_bias"] = _biases(decoding)
    said |= {name: value for name in _PENALTIES if (value := getattr(decoding, name))}
    if isinstance(decoding, Sample):
        return {**said, "temperature": decoding.temperature, "top_p": decoding.top_p}
    return {**said, "temperature": 0.0}


def form_of(call: Call) -> dict[str, Any]:
    """The output form in the protocol's words: a JSON Schema. The reply is checked all the same."""
    for guide in call.guides:
        if isinstance(guide, GrammarSettings) and guide.form == "json":
            schema = {"name": "reply", "schema": json.loads(guide.source)}
            return {"response_format": {"type": "json_schema", "json_schema": schema}}
    return {}


def reply_of(completion: Any) -> Reply:
    """The reply in a chat completion.

    Raises:
        ValueError: It is not one.
    """
    try:
        choice = completion["choices"][0]
        text = choice["message"]["content"]
        reason = choice.get("finish_reason") or "stop"
        usage = completion.get("usage") or {}
        asked, written = (
            int(usage.get(name) or 0) for name in ("prompt_tokens", "completion_tokens")
        )
    except (LookupError, TypeError, AttributeError, ValueError) as exc:
        raise ValueError("not a chat completion") from exc
    if reason not in {"stop", "length"}:
        return Reply("", "error", error=f"{reason}: the server ended the reply")
    if not isinstance(text, str):
        return Reply("", "error", error="no_text: the message of the reply has no text")
    return Reply(text, "length" if reason == "length" else "stop", asked, written)


def _biases(decoding: Decoding) -> dict[str, float]:
    """By token id, as text: JSON has no other keys."""
    for token, _ in decoding.logit_bias:
        if isinstance(token, str):
            problem = f"a server's logit_bias knows token ids only, not {token!r}"
            raise ModelError(problem, fix="write the token's id", key="decoding")
    return {str(token): value for token, value in decoding.logit_bias}
