"""`template`: fills templates with a row's columns; of several forms one is drawn for each row.

    - kind: template
      forms:
        - {problem: "{{ name }} has {{ a }} pens and buys {{ b }}. How many now?",
           expression: "{{ a }} + {{ b }}"}
        - {problem: "{{ name }} had {{ a }} pens and lost {{ b }}. How many are left?",
           expression: "{{ a }} - {{ b }}"}

    {"name": "Ada", "a": 7, "b": 5}
    ->  {..., "problem": "Ada has 7 pens and buys 5. How many now?", "expression": "7 + 5"}

The columns of a form belong together, so that a text and what is known of it never part.
"""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import Field

from pipelines.rows import JSON, Outcome, Rejection, Row
from pipelines.stages.base import STAGES, Context, JobView, Stage
from prompts.errors import UsageError
from prompts.template import Template as Compiled
from prompts.template import TemplateFault, check_plain

Form = Annotated[dict[str, str], Field(min_length=1)]


@STAGES.register
class Template(Stage):
    """Fill columns from templates.

    Attributes:
        forms: Column -> template of each form; all forms have the same columns.
    """

    kind: Literal["template"] = "template"
    forms: Annotated[tuple[Form, ...], Field(min_length=1)]

    def model_post_init(self, _context: object) -> None:
        """Check the templates.

        Raises:
            UsageError: A template is none, or forms differ in their columns.
        """
        for place, form in enumerate(self.forms):
            for name, text in form.items():
                _check(text, f"forms.{place}.{name}")
        for place, form in enumerate(self.forms):
            if set(form) != set(self.forms[0]):
                odd = min(set(form) ^ set(self.forms[0]))
                fix = "fill the same columns in every form"
                raise UsageError(f"'{odd}' is not in all forms", fix=fix, key=f"forms.{place}")

    def default_name(self) -> str:
        """The first column."""
        return next(iter(self.forms[0]))

    def columns_added(self) -> set[str]:
        """The columns of the forms."""
        return set(self.forms[0])

    def check(self, job: JobView) -> None:
        """Every variable is a column."""
        for place, form in enumerate(self.forms):
            for name, text in form.items():
                job.need(set(_compiled(text).variables), key=f"forms.{place}.{name}")

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Each row with the columns of one form."""
        for row in rows:
            place = drawn(context.seed(row), len(self.forms))
            yield self._filled(row, place)

    def _filled(self, row: Row, place: int) -> Outcome:
        form = {name: _compiled(text) for name, text in self.forms[place].items()}
        needed = {name for compiled in form.values() for name in compiled.variables}
        if missing := sorted(needed - row.data.keys()):
            detail = {"column": missing[0], "columns": sorted(row.data)}
            return Rejection(row, "missing_column", detail)
        values = {name: row.data[name] for name in needed}
        try:
            check_plain(values)
            columns: dict[str, JSON] = {
                name: compiled.render(values).strip() for name, compiled in form.items()
            }
        except TemplateFault as exc:
            return Rejection(row, "unusable", {"found": exc.problem})
        return row.with_data(columns, {"stage": self.name, "form": place})


def drawn(seed: int, count: int) -> int:
    """A number from 0 to `count` - 1 that depends on the seed alone."""
    found = int.from_bytes(hashlib.sha256(f"form {seed}".encode()).digest()[:8], "big")
    return found % count


@lru_cache(maxsize=1024)
def _compiled(text: str) -> Compiled:
    return Compiled(text)


def _check(text: str, key: str) -> None:
    try:
        _compiled(text)
    except TemplateFault as exc:
        raise UsageError(exc.problem, fix=exc.fix, key=key) from exc
