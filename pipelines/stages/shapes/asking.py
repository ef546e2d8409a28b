"""Asking a model for one reply."""

from collections.abc import Generator
from typing import Any

from chains.calls import Call, Reply
from pipelines.stages.base import Ask, Request


def ask_once(model: str, call: Call) -> Generator[Request, Any, Reply]:
    """The first reply to a call; an error reply `no_reply` where there is none."""
    [replies] = yield Ask(model, (call,))
    return replies[0] if replies else Reply("", "error", error="no_reply: the model gave none")
