"""Scripted likelihoods for tests of judging stages: how probable which reply is to which text."""

import math
from collections.abc import Mapping
from typing import Any

from fakes import FakeContext, Script

from chains.calls import Call, Reply
from chains.decoding.score import Score
from pipelines.stages.base import Stage

TEXT_ONLY = """
variables: {text: x}
messages: [{role: user, content: "{{ text }}"}]
"""
"""A prompt whose message is the text itself."""


def likely(table: Mapping[str, Mapping[str, float]]) -> Script:
    """A script from text -> reply -> probability; texts that are not there have even ones."""

    def script(model: str, call: Call) -> Reply:
        assert isinstance(call.decoding, Score)
        target = call.decoding.target
        row = table.get(call.messages[-1].content if call.messages[-1:] else "", {})
        return Reply(target, "stop", logprob=math.log(row.get(target, 0.5)))

    return script


def judging(stage: Stage, table: Mapping[str, Mapping[str, float]], **prompts: str) -> FakeContext:
    """A context in which texts are asked as they are and answered by the table."""
    known: dict[str, Any] = {"ask": TEXT_ONLY, **prompts}
    return FakeContext(stage, likely(table), prompts=known)
