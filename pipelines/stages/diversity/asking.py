"""Asking a model for one text, and what may be wrong with it before anybody has judged it.

reply = yield from ask_text("writer", call)        # "Name three rivers.", or a Fault
"""

from collections.abc import Generator, Sequence
from typing import Any

from chains.calls import Call, Reply
from chains.parsing import ParseFault, parse_reply
from pipelines.cleaning import Cleaning
from pipelines.rows import Fault
from pipelines.stages.augment.base import reply_fault
from pipelines.stages.base import Context, JobView, Request
from pipelines.stages.shapes.asking import ask_once
from prompts.errors import UsageError
from prompts.file_format import Output
from prompts.prompt import Prompt

TEXTS = ("text", "regex")
"""Output forms whose reply is one text."""

_SHOWN = 10_000  # characters of a refused reply that are kept


def ask_text(
    model: str, call: Call, output: Output | None = None
) -> Generator[Request, Any, tuple[str | Fault, Reply]]:
    """A whole reply, cleaned, or why there is none; and the reply as it came.

    The reply to a call that is guided by an output form is read as that form; free text is not.
    """
    reply = yield from ask_once(model, call)
    value = value_of(reply, output or Output(), call)
    if isinstance(value, Fault):
        return value, reply
    text = Cleaning(ending=False).clean(str(value)).text.strip()
    return text or Fault("empty", {"reply": reply.text}), reply


def value_of(reply: Reply, output: Output, call: Call) -> Any | Fault:
    """What a whole reply holds, or why it cannot be read; the fault has the reply."""
    fault = reply_fault(reply, call.decoding.max_tokens)
    if fault is None:
        parsed = parse_reply(output, reply.text)
        if not isinstance(parsed, ParseFault):
            return parsed.value
        fault = Fault(parsed.reason, {"found": parsed.detail})
    return Fault(fault.reason, {**fault.detail, "reply": reply.text[:_SHOWN]})


def check_prompt(
    job: JobView,
    name: str,
    *,
    given: set[str],
    forms: Sequence[str] = ("text",),
    key: str = "prompt",
) -> Prompt:
    """The prompt of that name, whose variables are `given` or columns.

    Raises:
        UsageError: There is none, it answers in another form, or a column is missing.
    """
    prompt = job.prompt(name, key=key)
    if prompt.output.form not in forms:
        problem = f"prompt '{name}' answers with {prompt.output.form}, not {' or '.join(forms)}"
        raise UsageError(problem, fix=f"use one with 'output: {{form: {forms[0]}}}'", key=key)
    job.need(set(prompt.variables_used()) - given, key=key)
    return prompt


def chat_values(context: Context, name: str, columns: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Values of a prompt's variables: those given, and columns of the same names."""
    used = sorted(context.prompt(name).variables_used())
    return {each: given[each] if each in given else columns[each] for each in used}
