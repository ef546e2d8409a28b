"""`prompts test`: render a prompt with sample rows, ask a model, and check what the file asserts.

    geese          41 words and marks  ok
    row 1          38 words and marks  prompt: the row is worked example 2: the model is shown its
                                       own answer
    2 of 3 passed

What is wrong with prompt or values is a usage error (exit code 2); a reply that is not as asserted
ends the command with 5.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from chains.calls import Call, Message, Reply
from chains.decoding import Greedy
from chains.decoding.grammar import guides_for
from chains.models.spec import ModelSpec
from chains.models.tokens import WordSpans
from chains.parsing import ParseFault, parse_reply
from chains.text.measuring import words as words_of
from pipelines.calling import Caller
from pipelines.console import show, show_json
from pipelines.files import read_jsonl
from pipelines.launch import default_ledger
from pipelines.ledger import Ledger
from pipelines.stages.base import Ask
from pipelines.stages.overlap.words import common, encoded, words
from prompts.assertions import PromptTest
from prompts.errors import CorruptRunError, QuotaError, UsageError
from prompts.prompt import Prompt, load_prompt

_MODEL = "model"
_RUN = 5  # words in a run that counts as repeated
_MOST = 0.8  # share of a text in such runs above which it is a copy


@dataclass(slots=True)
class Case:
    """One set of values.

    Attributes:
        name: The test's, or the row's number.
        test: What it asserts.
        chat: The rendered messages; empty where they cannot be rendered.
        tokens: Their length.
        reply: What the model, or the test in its place, replied; None without one.
        prompt_faults: What is wrong with values and messages.
        reply_faults: What is wrong with the reply.
    """

    name: str
    test: PromptTest
    chat: list[Message] = field(default_factory=list)
    tokens: int = 0
    reply: str | None = None
    prompt_faults: list[str] = field(default_factory=list)
    reply_faults: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        names = ("name", "tokens", "reply", "prompt_faults", "reply_faults")
        messages = [[message.role, message.content] for message in self.chat]
        return {**{name: getattr(self, name) for name in names}, "messages": messages}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to test with.

    Attributes:
        rows: A JSON Lines file with sample rows; None for the prompt's own tests.
        count: Rows to take.
        model: Asked for replies, as in `models.NAME.model` of a job; empty for none.
        max_tokens: Of a reply.
        ledger: Where replies are remembered.
        offline: Never ask the Hub.
    """

    rows: Path | None = None
    count: int = 20
    model: str = ""
    max_tokens: int = 256
    ledger: Path | None = None
    offline: bool = False


def show_prompt_test(name: str, wanted: Wanted, *, as_json: bool) -> None:
    """Test a prompt and show what came of it.

    Raises:
        UsageError: Prompt or values are at fault.
        QuotaError: A reply is not what is asserted.
    """
    prompt = load_prompt(name)
    cases = try_prompt(prompt, wanted)
    if as_json:
        show_json({"prompt": prompt.label, "cases": [case.as_json() for case in cases]})
    else:
        show("\n".join(_lines(cases, wanted)))
    wrong = [case for case in cases if case.prompt_faults]
    if wrong:
        problem = f"{len(wrong)} of {len(cases)} cases fail: {wrong[0].prompt_faults[0]}"
        raise UsageError(problem, fix="mend the prompt, its examples or the rows", file=name)
    missed = [case for case in cases if case.reply_faults]
    if missed:
        problem = f"{len(missed)} of {len(cases)} replies fail: {missed[0].reply_faults[0]}"
        raise QuotaError(problem, fix="mend the prompt or what it asserts", file=name)


def try_prompt(prompt: Prompt, wanted: Wanted) -> list[Case]:
    """The cases of a prompt: its tests and the rows; without both, its examples.

    Raises:
        UsageError: There is nothing to test with.
    """
    cases = _cases(prompt, wanted.rows, wanted.count)
    if not cases:
        fix = "add 'tests' to the file, or give --rows FILE"
        raise UsageError("the prompt has no sample values", fix=fix, file=prompt.name)
    for case in cases:
        _render(prompt, case)
    if wanted.model:
        _ask(prompt, [case for case in cases if not case.prompt_faults], wanted)
    for case in cases:
        if not case.prompt_faults:
            case.prompt_faults += case.test.prompt_faults(case.chat, case.tokens)
        if case.reply is not None:
            case.reply_faults += _reply_faults(prompt, case)
    return cases


def _cases(prompt: Prompt, rows: Path | None, count: int) -> list[Case]:
    cases = [
        Case(test.name or f"test {number}", test, reply=test.reply or None)
        for number, test in enumerate(prompt.tests, start=1)
    ]
    if rows is not None:
        for number, record in enumerate(_records(rows, count), start=1):
            values = record.get("data", record)  # a run's rows hold their columns in `data`
            cases.append(Case(f"row {number}", PromptTest(values=values)))
    if cases:
        return cases
    # An example has values for the last message alone.
    whole = (e for e in prompt.examples if prompt.variables_used() <= e.values.keys())
    return [
        Case(f"example {number}", PromptTest(values=example.values, reply=example.reply))
        for number, example in enumerate(whole, start=1)
    ]


def _records(file: Path, count: int) -> Iterator[dict[str, Any]]:
    if not file.is_file():
        raise UsageError("no such file", fix="give a JSON Lines file of rows", file=file)
    try:
        yield from islice(read_jsonl(file), count)
    except CorruptRunError as exc:
        fix = "write one JSON object a line"
        raise UsageError(exc.problem, fix=fix, file=file, line=exc.line) from exc


def _render(prompt: Prompt, case: Case) -> None:
    try:
        chat = prompt.render(case.test.values)
    except UsageError as exc:
        case.prompt_faults.append(exc.problem.removeprefix(f"prompt {prompt.name}: "))
        return
    case.chat = [Message(role, content) for role, content in chat]
    case.tokens = sum(WordSpans().count(message.content) for message in case.chat)
    if not case.name.startswith("example "):
        case.prompt_faults += _leaks(prompt, case)


def _leaks(prompt: Prompt, case: Case) -> Iterator[str]:
    """Worked examples that are the case itself: their reply is then shown to the model."""
    for number, example in enumerate(prompt.examples, start=1):
        ours = _said(case.test.values, example.values)
        if ours and words(ours) == words(_said(example.values, example.values)):
            yield f"its values are those of worked example {number}, which shows the reply"


def _said(values: dict[str, Any], names: dict[str, Any]) -> str:
    return "\n".join(json.dumps(values[n], ensure_ascii=False) for n in names if n in values)


def _ask(prompt: Prompt, cases: Sequence[Case], wanted: Wanted) -> None:
    """Fill in tokens and replies of a model."""
    decoding = Greedy(max_tokens=wanted.max_tokens)
    specs = {_MODEL: ModelSpec(model=wanted.model)}
    with (
        Ledger(wanted.ledger or default_ledger()) as ledger,
        closing(Caller(specs, "embedded", ledger, offline=wanted.offline)) as caller,
    ):
        guides = guides_for(prompt.output)
        calls = tuple(Call(tuple(case.chat), decoding, 0, guides) for case in cases)
        replies = caller.answer(Ask(_MODEL, calls))
        for case, (reply, *_) in zip(cases, replies, strict=True):
            case.tokens = reply.prompt_tokens or caller.model(_MODEL).count_tokens(case.chat)
            case.reply = None if reply.finish == "error" else reply.text
            if fault := _fault(reply, wanted.max_tokens):
                case.reply_faults.append(fault)


def _fault(reply: Reply, max_tokens: int) -> str:
    if reply.finish == "error":
        return f"no reply: {reply.error}"
    return f"cut at {max_tokens} tokens" if reply.finish == "length" else ""


def _reply_faults(prompt: Prompt, case: Case) -> Iterator[str]:
    reply = case.reply or ""
    parsed = parse_reply(prompt.output, reply)
    if isinstance(parsed, ParseFault):
        yield f"{parsed.reason}: {parsed.detail}".rstrip(": ")
        return
    yield from case.test.reply_faults(reply.strip(), parsed.value, lambda text: len(words_of(text)))
    if prompt.output.form == "text" and not case.name.startswith("example "):
        yield from _repeats(prompt, reply)


def _repeats(prompt: Prompt, reply: str) -> Iterator[str]:
    """A worked example that came back in the place of a reply."""
    ours = words(reply)
    for number, example in enumerate(prompt.examples, start=1):
        shared = common(*encoded(ours, words(example.reply)), _RUN)
        if shared.share > _MOST:
            yield f"repeats worked example {number}"


def _lines(cases: Sequence[Case], wanted: Wanted) -> Iterator[str]:
    width = max(len(case.name) for case in cases)
    unit = "tokens" if wanted.model else "words and marks"
    for case in cases:
        said = [f"prompt: {fault}" for fault in case.prompt_faults]
        said += [f"reply: {fault}" for fault in case.reply_faults]
        if not said:
            asserts = case.test.asserts_reply and case.reply is None
            said = ["ok, its reply not tried: give --model" if asserts else "ok"]
        yield f"{case.name:<{width}}  {case.tokens:>5} {unit}  {said[0]}"
        yield from (f"{'':<{width}}  {'':>5} {'':<{len(unit)}}  {more}" for more in said[1:])
        if wanted.model and case.reply is not None:
            yield from (f"{'':<{width}}  | {line}" for line in case.reply.strip().split("\n"))
    good = sum(not case.prompt_faults and not case.reply_faults for case in cases)
    yield f"{good} of {len(cases)} passed"
