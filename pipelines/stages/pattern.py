r"""`pattern`: keeps rows whose text matches regular expressions and refuses what others match.

- {kind: pattern, field: question, require: ['\?$'], forbid: ['(?i)as an ai']}

Expressions are those of the `regex` package and are searched for anywhere in the text. One that
takes longer than a second on one text rejects that row: no expression can hang a run.
"""

from functools import cache
from typing import Any, Literal, Self

import regex
from pydantic import model_validator

from pipelines.rows import Fault, Row
from pipelines.stages.base import STAGES, Filter
from prompts.errors import UsageError

_SECONDS = 1.0


@STAGES.register
class Pattern(Filter):
    """Require and forbid regular expressions.

    Attributes:
        field: The column, a text.
        require: Every one of these must be found; reason `pattern_missing`.
        forbid: None of these may be found; reason `pattern_found`.
    """

    kind: Literal["pattern"] = "pattern"
    field: str
    require: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _expressions_are_valid(self) -> Self:
        if not self.require and not self.forbid:
            raise UsageError("a pattern needs 'require' or 'forbid'", fix="give a list of one")
        for key in ("require", "forbid"):
            for index, expression in enumerate(getattr(self, key)):
                try:
                    _compiled(expression)
                except regex.error as exc:
                    fix = f"mend the expression: {exc}"
                    problem = f"'{expression}' is no regular expression"
                    raise UsageError(problem, fix=fix, key=f"{key}.{index}") from exc
        return self

    def columns_needed(self) -> set[str]:
        """The column that is looked at."""
        return {self.field}

    def fault(self, row: Row) -> Fault | None:
        """The first expression that is missing, found, or too slow to tell."""
        text = row.data[self.field]
        if not isinstance(text, str):
            return Fault("not_text", {"found": type(text).__name__})
        expected = [(e, True) for e in self.require] + [(e, False) for e in self.forbid]
        for expression, wanted in expected:
            try:
                found = _compiled(expression).search(text, timeout=_SECONDS)
            except TimeoutError:
                return Fault("pattern_too_slow", {"pattern": expression, "seconds": _SECONDS})
            if wanted and found is None:
                return Fault("pattern_missing", {"pattern": expression})
            if not wanted and found is not None:
                return Fault("pattern_found", {"pattern": expression, "found": found.group()})
        return None


@cache
def _compiled(expression: str) -> "regex.Pattern[str]":
    compiled: Any = regex.compile(expression)
    return compiled  # type: ignore[no-any-return]
