"""`generate` with prompts that want a form: what the model is held to, what is accepted."""

import pytest
from fakes import FakeContext, FakeJob, outcomes, reasons, row

from chains.calls import Reply
from chains.decoding.grammar import GrammarSettings
from pipelines.rows import Row
from pipelines.stages import Generate
from prompts.errors import UsageError

MESSAGES = "messages: [{role: user, content: 'Rate it.'}]\n"
PROMPTS = {
    "choice": MESSAGES + "output: {form: choice, choices: ['yes', 'no']}\n",
    "code": MESSAGES + "output: {form: code, language: python}\n",
    "text": MESSAGES,
}
YES_OR_NO = GrammarSettings(form="choice", source='["yes", "no"]')


def generate(prompt: str, **settings: object) -> Generate:
    given = {"name": "ask", "model": "writer", "prompt": prompt, "adds": "reply", "attempts": 1}
    return Generate.model_validate({**given, **settings})


@pytest.mark.parametrize(
    ("prompt", "guides"), [("choice", (YES_OR_NO,)), ("code", ()), ("text", ())]
)
def test_every_call_carries_the_form(prompt: str, guides: tuple[object, ...]) -> None:
    stage = generate(prompt, decoding={"strategy": "sample", "n": 2})
    context = FakeContext(stage, lambda model, call: "no", prompts=PROMPTS)
    found = outcomes(stage, [row(id="r1")], context)
    assert [outcome.data["reply"] for outcome in found if isinstance(outcome, Row)] == ["no"] * 2
    assert [call.guides for ask in context.asked for call in ask.calls] == [guides] * 2


@pytest.mark.parametrize(
    ("prompt", "reply", "reason"),
    [
        ("choice", Reply("maybe", "stop"), "not_a_choice"),
        ("choice", Reply("yes", "length"), "cut_at_max_tokens"),
        ("code", Reply("def f(:", "stop"), "not_code"),
    ],
)
def test_a_reply_of_another_form_is_rejected(prompt: str, reply: Reply, reason: str) -> None:
    stage = generate(prompt)
    context = FakeContext(stage, lambda model, call: reply, prompts=PROMPTS)
    assert reasons(outcomes(stage, [row(id="r1")], context)) == [reason]


def test_settings_that_end_a_reply_elsewhere_are_found_before_the_run() -> None:
    job = FakeJob(prompts=PROMPTS, models=["writer"])
    stop = {"strategy": "greedy", "stop": ["\n"]}
    with pytest.raises(UsageError) as caught:
        generate("choice", decoding=stop).check(job)
    assert caught.value.key == "decoding.stop"
    generate("text", decoding=stop).check(job)
