r"""`verify_answer`: keeps solutions whose final answer, and whose every equation, is right.

    - {kind: verify_answer, field: solution, expected: expression}

    {"expression": "3 * 4 + 2", "solution": "3 * 4 = 12. 12 + 2 = 14. The answer is 14."}   # kept
    {"expression": "3 * 4 + 2", "solution": "3 * 4 = 12. 12 + 2 = 15. The answer is 15."}   # wrong

Nothing is run: expressions are read by an evaluator of arithmetic alone (see `arithmetic`). Keeping
what is right of many samples is rejection sampling (Yuan et al. 2023); with `steps` and `labels`
the lines of right and wrong solutions become data for process reward models.
"""

import re
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field

from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.stages.base import STAGES, Map
from pipelines.stages.columns import read_text
from pipelines.stages.shapes.arithmetic import (
    BadArithmetic,
    Equation,
    equations,
    evaluate,
    numbers,
    plain,
)
from prompts.errors import UsageError

_SHOWN = 120
_BOXED = re.compile(r"\\boxed\{([^{}]{1,80})\}")


@STAGES.register
class VerifyAnswer(Map):
    """Compare the final number of a text with the right one, and check its equations.

    Attributes:
        field: The column with the solution.
        expected: The column with the right answer: a number, or an arithmetic expression.
        markers: What stands before the final answer, in any casing; the last one in the text
            counts. Without any the last number of the text is the answer, if `last_number`.
        last_number: Whether the last number will do.
        tolerance: By how much a number may differ.
        equations: Whether every equation between numbers has to hold.
        min_equations: How many there have to be.
        action: `reject`, or `flag`: all rows pass.
        adds: A column for the answer found; null where there is none.
        verdict: With `flag`, the column for whether all is right.
        steps: A column for the solution's lines.
        labels: A column for whether each line is right.
    """

    kind: Literal["verify_answer"] = "verify_answer"
    field: Annotated[str, Field(min_length=1)]
    expected: Annotated[str, Field(min_length=1)] = "answer"
    markers: tuple[str, ...] = ("####", "answer is", "answer:")
    last_number: bool = True
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    equations: bool = True
    min_equations: Annotated[int, Field(ge=0)] = 0
    action: Literal["reject", "flag"] = "reject"
    adds: str = ""
    verdict: str = ""
    steps: str = ""
    labels: str = ""

    def model_post_init(self, _context: object) -> None:
        """A verdict goes with `flag`, and labels with steps.

        Raises:
            UsageError: Otherwise.
        """
        if bool(self.verdict) != (self.action == "flag"):
            fix = "write 'action: flag' and 'verdict: COLUMN', or neither"
            raise UsageError("rows that all pass need a column for the verdict", fix=fix)
        if self.labels and not self.steps:
            fix = "name a column for the lines: 'steps: COLUMN'"
            raise UsageError("labels without steps", fix=fix, key="labels")
        if self.min_equations and not self.equations:
            fix = "leave one of the two out"
            raise UsageError("equations are not looked at", fix=fix, key="min_equations")

    def default_name(self) -> str:
        """The kind: the added column is not what the stage is about."""
        return self.kind

    def columns_needed(self) -> set[str]:
        """The solution and the right answer."""
        return {self.field, self.expected}

    def columns_added(self) -> set[str]:
        """Those that are named."""
        return {*filter(None, [self.adds, self.verdict, self.steps, self.labels])}

    def apply(self, row: Row) -> Outcome:
        """The row with its verdict, or a rejection with what was found and expected."""
        text = read_text(row, self.field)
        if isinstance(text, Fault):
            return Rejection(row, text.reason, text.detail)
        expected = self._expected(row)
        if isinstance(expected, Fault):
            return Rejection(row, expected.reason, expected.detail)
        answer = self.answer(text)
        found = equations(text) if self.equations else []
        fault = self._fault(answer, expected, found)
        columns: dict[str, JSON] = {
            self.adds: None if answer is None else plain(answer),
            self.verdict: fault is None,
            **self._lines(text, fault, found),
        }
        columns.pop("", None)
        if fault is not None and self.action == "reject":
            return Rejection(row.with_data(columns), fault.reason, fault.detail)
        event: dict[str, JSON] = {"stage": self.name, "equations": len(found)}
        if fault is not None:
            event |= {"fault": fault.reason, **fault.detail}
        return row.with_data(columns, event)

    def answer(self, text: str) -> Fraction | None:
        """The final answer of a solution."""
        if boxed := _BOXED.findall(text):
            found = numbers(boxed[-1])
            return found[-1] if found else None
        lower = text.casefold()
        ends = [lower.rfind(marker.casefold()) + len(marker) for marker in self.markers
                if marker.casefold() in lower]  # fmt: skip
        if ends:
            behind = text[max(ends) :].strip().partition("\n")[0]
            sides = [e for e in equations(behind) if e.sides[-1] is not None]
            found = numbers(behind)
            if sides and behind.find(sides[0].text) <= _SHOWN:
                return sides[0].sides[-1]
            if found:
                return found[0]
        found = numbers(text) if self.last_number else []
        return found[-1] if found else None

    def _expected(self, row: Row) -> Fraction | Fault:
        if self.expected not in row.data:
            detail = {"column": self.expected, "columns": sorted(row.data)}
            return Fault("missing_column", detail)
        value = row.data[self.expected]
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return Fault("bad_expected", {"found": type(value).__name__})
        text = value.strip().replace("$", "") if isinstance(value, str) else repr(value)
        try:
            return evaluate(text)
        except BadArithmetic as exc:
            return Fault("bad_expected", {"found": str(exc)})

    def _fault(
        self, answer: Fraction | None, expected: Fraction, found: list[Equation]
    ) -> Fault | None:
        tolerance = Fraction(str(self.tolerance))
        wrong = next((each for each in found if not each.holds(tolerance)), None)
        if wrong is not None:
            return Fault("wrong_step", {"equation": wrong.text[:_SHOWN]})
        if answer is None:
            return Fault("no_answer", {"expected": plain(expected)})
        if abs(answer - expected) > tolerance:
            return Fault("wrong_answer", {"found": plain(answer), "expected": plain(expected)})
        if len(found) < self.min_equations:
            return Fault("no_steps", {"equations": len(found), "min": self.min_equations})
        return None

    def _lines(self, text: str, fault: Fault | None, found: list[Equation]) -> dict[str, JSON]:
        """The lines that hold something; the last is right where the answer is too."""
        if not self.steps:
            return {}
        tolerance = Fraction(str(self.tolerance))
        wrong = [each.start for each in found if not each.holds(tolerance)]
        lines: list[JSON] = []
        labels: list[JSON] = []
        place = 0
        for line in text.splitlines(keepends=True):
            if line.strip():
                lines.append(line.strip())
                labels.append(not any(place <= each < place + len(line) for each in wrong))
            place += len(line)
        if labels and fault is not None:
            labels[-1] = False
        return {self.steps: lines, **({self.labels: labels} if self.labels else {})}
