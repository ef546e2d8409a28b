"""`rank`: the best of several candidates, by comparison in pairs or by a reward model.

    - {kind: rank, model: writer, field: replies, inputs: {task: question}, adds: best,
       rejected: worst, min_margin: 0.2}

    {"question": "Name a colour.", "replies": ["Blue.", "I do not know."]}
    ->  {..., "best": "Blue.", "worst": "I do not know."}, and in the history
    {"strengths": [0.71, 0.29], "margin": 0.42}

In pairs, each is asked for in both orders and the mean taken, which cancels what the model gives to
the place alone (Zheng et al. 2023). A candidate's strength is the mean probability of it winning.
With `over: family` the candidates are the texts of a row's family, such as the n replies of
`generate`: the best row goes on, and the others are rejected as `not_best`.
"""

import math
from collections.abc import Generator, Iterator, Sequence
from itertools import permutations
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from chains.calls import Call, Message
from chains.decoding.score import Score
from pipelines.rows import JSON, Fault, Outcome, Rejection, Row
from pipelines.stages.base import (
    STAGES,
    Ask,
    Context,
    JobView,
    ModelStage,
    Request,
    Work,
    drive,
    rejected_by,
)
from pipelines.stages.judging.answers import check_head, fault_of, logprob_of, open_head
from prompts.errors import UsageError

PLACES = {"first", "second"}
SLOT = "{choice}"


@STAGES.register
class Rank(ModelStage):
    """Find the best candidate, and the worst.

    Attributes:
        model: Name of one of the job's models: one that writes, or a reward model.
        field: The column with the candidates: a list, or with `over: family` one text a row.
        over: `list` or `family`.
        prompt: For a model that writes: a prompt with `first`, `second`, and columns.
        inputs: Prompt variable -> column, where the names differ.
        reply: How a reply would name the better one, with `{choice}`.
        choices: How the two places are named.
        task: For a reward model: the column with what the candidates answer.
        adds: The column for the best candidate.
        rejected: A column for the worst candidate, as preference data has it.
        margin: A column for by how much the best is stronger than the worst.
        min_margin: By how much the best has to be stronger than the worst.
    """

    kind: Literal["rank"] = "rank"
    model: Annotated[str, Field(min_length=1)]
    field: Annotated[str, Field(min_length=1)]
    over: Literal["list", "family"] = "list"
    prompt: Annotated[str, Field(min_length=1)] = "judge/pair"
    inputs: dict[str, str] = {}
    reply: str = "The better reply is {choice}"
    choices: tuple[str, str] = ("A", "B")
    task: str = ""
    adds: Annotated[str, Field(min_length=1)] = "best"
    rejected: str = ""
    margin: str = ""
    min_margin: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _settings_fit(self) -> "Rank":
        if self.reply.count(SLOT) != 1:
            raise ValueError("write {choice} once in 'reply', where A or B goes")
        if self.choices[0] == self.choices[1]:
            raise ValueError("name the two places differently")
        return self

    def columns_needed(self) -> set[str]:
        """The candidates, and the columns that `inputs` and `task` name."""
        return {self.field, *self.inputs.values(), *filter(None, [self.task])}

    def columns_added(self) -> set[str]:
        """The best candidate, and the worst and the margin where they are wanted."""
        return {self.adds, *filter(None, [self.rejected, self.margin])}

    def check(self, job: JobView) -> None:
        """The model exists, and a prompt that shows two candidates where it writes."""
        labels = check_head(job.model(self.model, key="model"))
        if labels is not None:
            if len(labels) > 1:
                fix = "take a reward model, or one that writes"
                raise UsageError(f"the model has {len(labels)} labels", fix=fix, key="model")
            return
        prompt = job.prompt(self.prompt, key="prompt")
        if missing := sorted(PLACES - set(prompt.variables)):
            problem = f"prompt '{self.prompt}' has no variable '{missing[0]}'"
            fix = "declare 'first' and 'second' and show both candidates"
            raise UsageError(problem, fix=fix, key="prompt")
        others = prompt.variables_used() - PLACES
        job.need({self.inputs.get(name, name) for name in others}, key="prompt")

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Row by row, or family by family; a family's rows come in one block."""
        if self.over == "list":
            yield from super().run(rows, context)
            return
        families: dict[str, list[Row]] = {}
        for row in rows:
            families.setdefault(row.family, []).append(row)
        works = [self._family(members, context) for members in families.values()]
        for outcomes in drive(works, context):
            yield from outcomes

    def work(self, row: Row, context: Context) -> Work:
        """The row with its best candidate, or a rejection."""
        if self.over == "family":
            return (yield from self._family([row], context))
        texts = row.data.get(self.field)
        if self.field not in row.data:
            detail = {"column": self.field, "columns": sorted(row.data)}
            return [Rejection(row, "missing_column", detail)]
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            return [Rejection(row, "not_a_list", {"column": self.field})]
        if not texts:
            return [Rejection(row, "empty_list", {"column": self.field})]
        found = yield from self._strengths(row, texts, context)
        return [self._settled(row, texts, found, context)]

    def _family(self, rows: Sequence[Row], context: Context) -> Work:
        try:
            whole = [row for row in rows if isinstance(row.data.get(self.field), str)]
            detail = {"column": self.field}
            refused: list[Outcome] = [
                Rejection(row, "not_text", detail) for row in rows if row not in whole
            ]
            if not whole:
                return refused
            texts = [row.data[self.field] for row in whole]
            found = yield from self._strengths(whole[0], texts, context)
            if isinstance(found, Fault):
                return [*refused, *(Rejection(row, found.reason, found.detail) for row in whole)]
        except Exception as exc:
            return [rejected_by(exc, row) for row in rows]
        best = _best(found)
        losers = (row for place, row in enumerate(whole) if place != best)
        lost: list[Outcome] = [
            Rejection(row, "not_best", {"best": whole[best].id}) for row in losers
        ]
        return [*refused, self._settled(whole[best], texts, found, context), *lost]

    def _settled(
        self, row: Row, texts: list[str], found: list[float] | Fault, context: Context
    ) -> Outcome:
        """The row with its columns; `no_preference` where the best is hardly ahead."""
        if isinstance(found, Fault):
            return Rejection(row, found.reason, found.detail)
        best, worst = _best(found), _best([-each for each in found])
        lead = round(found[best] - found[worst], 4)
        event: dict[str, JSON] = {
            "stage": self.name,
            "model": context.model_label(self.model),
            "strengths": found,
            "margin": lead,
        }
        alone = bool(self.rejected) and texts[best] == texts[worst]
        if alone or lead < self.min_margin:
            return Rejection(row.with_data({}, event), "no_preference", {"margin": lead})
        columns: dict[str, JSON] = {self.adds: texts[best]}
        if self.rejected:
            columns[self.rejected] = texts[worst]
        if self.margin:
            columns[self.margin] = lead
        return row.with_data(columns, event)

    def _strengths(
        self, row: Row, texts: list[str], context: Context
    ) -> Generator[Request, Any, list[float] | Fault]:
        """How good each candidate is: mean probability of winning, or the reward."""
        head = context.shared("head", lambda: open_head(self.model, context))
        if head is not None:
            return (yield from self._rewards(row, texts))
        if len(texts) == 1:
            return [1.0]
        pairs = list(permutations(range(len(texts)), 2))
        calls = [call for a, b in pairs for call in self._pair(row, texts[a], texts[b], context)]
        answers = yield Ask(self.model, tuple(calls))
        wins = [0.0] * len(texts)
        for number, (first, second) in enumerate(pairs):
            both = [logprob_of(replies) for replies in answers[2 * number : 2 * number + 2]]
            for each in both:
                if isinstance(each, Fault):
                    return each
            chance = 1 / (1 + math.exp(max(-700, min(700, both[1] - both[0]))))  # type: ignore[operator]
            wins[first] += chance
            wins[second] += 1 - chance
        return [round(each / (2 * (len(texts) - 1)), 4) for each in wins]

    def _pair(self, row: Row, first: str, second: str, context: Context) -> Iterator[Call]:
        prompt = context.prompt(self.prompt)
        others = prompt.variables_used() - PLACES
        values: dict[str, JSON] = {name: row.data[self.inputs.get(name, name)] for name in others}
        shown = {"first": first, "second": second}
        used = {name: text for name, text in shown.items() if name in prompt.variables_used()}
        chat = context.chat(prompt, {**values, **used})
        for choice in self.choices:
            yield Call(chat, Score(target=self.reply.replace(SLOT, choice), end=False))

    def _rewards(self, row: Row, texts: list[str]) -> Generator[Request, Any, list[float] | Fault]:
        task = (Message("user", str(row.data[self.task])),) if self.task else ()
        role: Literal["user", "assistant"] = "assistant" if task else "user"
        calls = tuple(Call((*task, Message(role, text)), Score(target="")) for text in texts)
        answers = yield Ask(self.model, calls)
        found: list[float] = []
        for replies in answers:
            if replies[0].finish == "error":
                return fault_of(replies[0])
            if replies[0].score is None:
                return Fault("no_score")
            found.append(round(replies[0].score, 4))
        return found


def _best(strengths: Sequence[float]) -> int:
    """The place of the highest, the first of equals."""
    return max(range(len(strengths)), key=lambda place: (strengths[place], -place))
