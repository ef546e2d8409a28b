"""`reward`: the value that a reward model gives to an answer.

    - {kind: reward, model: preference, prompt: question, answer: answer, adds: reward, min: 0.0}

    {"question": "Name a colour.", "answer": "Blue."}  ->  {..., "reward": 1.3047}

The model is a sequence classifier with one output. One with a chat template is given the prompt and
the answer as a chat, any other one as a pair of texts.
"""

from typing import Annotated, Literal

from pydantic import Field

from chains.calls import Call, Message
from chains.decoding.score import Score
from pipelines.rows import Fault, Rejection, Row
from pipelines.stages.base import STAGES, Ask, Context, JobView, ModelStage, Work
from pipelines.stages.columns import read_text
from pipelines.stages.judging.answers import check_head, fault_of
from prompts.errors import UsageError


@STAGES.register
class Reward(ModelStage):
    """Put a reward model's value into a column.

    Attributes:
        model: Name of one of the job's models, with one output.
        prompt: The column with the prompt; left out, the answer is judged alone.
        answer: The column with the answer.
        adds: The column for the value.
        min: The least value that a row needs.
    """

    kind: Literal["reward"] = "reward"
    model: Annotated[str, Field(min_length=1)]
    prompt: str = ""
    answer: Annotated[str, Field(min_length=1)]
    adds: Annotated[str, Field(min_length=1)] = "reward"
    min: Annotated[float, Field(allow_inf_nan=False)] | None = None

    def columns_needed(self) -> set[str]:
        """The answer, and the prompt where there is one."""
        return {self.answer, *filter(None, [self.prompt])}

    def columns_added(self) -> set[str]:
        """The value."""
        return {self.adds}

    def check(self, job: JobView) -> None:
        """The model exists and has one output, as far as its files are here."""
        labels = check_head(job.model(self.model, key="model"))
        if labels is not None and len(labels) > 1:
            fix = "use the stage 'classify' for labels"
            raise UsageError(
                f"the model has {len(labels)} labels, not a value", fix=fix, key="model"
            )

    def work(self, row: Row, context: Context) -> Work:
        """Add the value, or reject the row."""
        texts = [read_text(row, column) for column in filter(None, (self.prompt, self.answer))]
        for text in texts:
            if isinstance(text, Fault):
                return [Rejection(row, text.reason, text.detail)]
        roles: list[Literal["user", "assistant"]] = ["user", "assistant"]
        chat = tuple(Message(role, str(text)) for role, text in zip(roles, texts, strict=False))
        answers = yield Ask(self.model, (Call(chat, Score(target="")),))
        reply = answers[0][0]
        if reply.finish == "error":
            fault = fault_of(reply)
            return [Rejection(row, fault.reason, fault.detail)]
        if reply.score is None:
            return [Rejection(row, "no_score", {"model": context.model_label(self.model)})]
        value = round(reply.score, 4)
        event = {"stage": self.name, "model": context.model_label(self.model), "reward": value}
        if self.min is not None and value < self.min:
            return [Rejection(row.with_data({}, event), "low_reward", {"reward": value})]
        return [row.with_data({self.adds: value}, event)]
