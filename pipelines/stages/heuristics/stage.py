"""`heuristics`: rejects what is wrong with a text by rules that need no model.

- {kind: heuristics, field: answer}
- kind: heuristics
  field: answer
  prompt: qa/answer               # its own words in an answer are a leak
  repetition: {loop: 20}          # another bound
  urls: false                     # a check that is not wanted
  action: flag
  adds: flags

answer "I'm sorry, but I cannot help with that."
rejected: {"reason": "refusal", "detail": {"rule": "cannot_help", ...}}
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import Annotated, Literal

from pydantic import Field, model_validator

from chains.text.sentences import sentences
from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.stages.base import STAGES, Context, JobView, Stage, rejected_by
from pipelines.stages.columns import read_text
from pipelines.stages.heuristics.base import Check, Text
from pipelines.stages.heuristics.boilerplate import Boilerplate
from pipelines.stages.heuristics.markup import Markup
from pipelines.stages.heuristics.mojibake import Mojibake
from pipelines.stages.heuristics.prompt_leak import PromptLeak
from pipelines.stages.heuristics.refusal import Refusal
from pipelines.stages.heuristics.repetition import Repetition
from pipelines.stages.heuristics.shares import Digits, Symbols, Urls
from pipelines.stages.heuristics.unfinished import Unfinished
from pipelines.stages.heuristics.words import Words
from prompts.errors import UsageError

CHECKS: dict[str, type[Check]] = {
    "words": Words,
    "refusal": Refusal,
    "boilerplate": Boilerplate,
    "prompt_leak": PromptLeak,
    "repetition": Repetition,
    "unfinished": Unfinished,
    "symbols": Symbols,
    "digits": Digits,
    "urls": Urls,
    "markup": Markup,
    "mojibake": Mojibake,
}
"""In the order in which they look at a text."""

_VARIABLE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.S)


@STAGES.register
class Heuristics(Stage):
    """Look at one column with all checks that are switched on.

    A rejected row has the first check's reason, whose name is the check's, and under `also` those
    of further ones. A blank text is `empty`.

    Attributes:
        field: The column.
        action: `reject` the row, or `flag` it: then all rows stay, and `adds` says what was found.
        adds: For `flag`, the column for the list of reasons, empty where nothing was found. The
            evidence is in the row's history.
        prompt: The prompt that the text answers: its own words in the text are a `prompt_leak`.

    Each further field is a check: its bounds, true for the defaults, or false to leave it out.
    """

    kind: Literal["heuristics"] = "heuristics"
    field: Annotated[str, Field(min_length=1)]
    action: Literal["reject", "flag"] = "reject"
    adds: str = ""
    prompt: str = ""
    words: Words | bool = True
    refusal: Refusal | bool = True
    boilerplate: Boilerplate | bool = True
    prompt_leak: PromptLeak | bool = True
    repetition: Repetition | bool = True
    unfinished: Unfinished | bool = True
    symbols: Symbols | bool = True
    digits: Digits | bool = True
    urls: Urls | bool = True
    markup: Markup | bool = True
    mojibake: Mojibake | bool = True

    @model_validator(mode="after")
    def _flags_have_a_column(self) -> "Heuristics":
        if (self.action == "flag") != bool(self.adds):
            fix = "name the column with 'adds' for 'action: flag', and only then"
            raise UsageError("'action: flag' and 'adds' go together", fix=fix, key="adds")
        return self

    def columns_needed(self) -> set[str]:
        """The column that is looked at."""
        return {self.field}

    def columns_added(self) -> set[str]:
        """The column for flags, if rows are flagged."""
        return {self.adds} - {""}

    def check(self, job: JobView) -> None:
        """The prompt exists."""
        if self.prompt:
            job.prompt(self.prompt, key="prompt")

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Reject or flag; a row that makes a check raise is rejected."""
        instructions = context.shared("instructions", partial(self._instructions, context))
        for row in rows:
            try:
                outcome = self._outcome(row, instructions)
            except Exception as exc:
                outcome = rejected_by(exc, row)
            yield outcome

    def checks(self) -> list[Check]:
        """Those that are switched on, with their bounds, in order."""
        chosen = ((getattr(self, name), made) for name, made in CHECKS.items())
        return [made() if setting is True else setting for setting, made in chosen if setting]

    def faults(self, content: str, instructions: tuple[str, ...] = ()) -> list[Fault]:
        """What the checks find in a text, one fault a check at most."""
        content = content.strip()
        if not content:
            return [Fault("empty")]
        text = Text(content, instructions)
        return [fault for check in self.checks() if (fault := check.find(text))]

    def _instructions(self, context: Context) -> tuple[str, ...]:
        """The sentences of the prompt's system and user messages, cut where a variable stands."""
        if not self.prompt:
            return ()
        messages = context.prompt(self.prompt).messages
        contents = [message.content for message in messages if message.role != "assistant"]
        pieces = [piece for content in contents for piece in _VARIABLE.split(content)]
        return tuple(sentence for piece in pieces for sentence in sentences(piece))

    def _outcome(self, row: Row, instructions: tuple[str, ...]) -> Outcome:
        content = read_text(row, self.field)
        if isinstance(content, Fault):
            return Rejection(row, content.reason, content.detail)
        faults = self.faults(content, instructions)
        if self.action == "flag":
            return self._flagged(row, faults)
        if not faults:
            return row
        first, *others = faults
        also = {"also": [fault.reason for fault in others]} if others else {}
        return Rejection(row, first.reason, {**first.detail, **also})

    def _flagged(self, row: Row, faults: list[Fault]) -> Row:
        reasons: list[JSON] = [fault.reason for fault in faults]
        found: list[JSON] = [{"reason": f.reason, **f.detail} for f in faults]
        event: dict[str, JSON] = {"stage": self.name, "field": self.field, "found": found}
        return row.with_data({self.adds: reasons}, event if found else None)
