"""`entailment`: keeps texts each sentence of which follows from a source, by an NLI model.

    - {kind: entailment, model: nli, field: answer, against: context, min: 0.5}

    context "The stove burns for 70 minutes."   answer "It burns. It is made of steel."
    rejected: {"reason": "not_entailed", "detail": {"sentence": "It is made of steel.", ...}}

The model is a cross-encoder with a label for entailment among its own (MNLI and the like), which
reads the source as the premise and one sentence as the hypothesis. What `grounded` cannot see it
can: a false sentence made of the source's own words, and a true one in words of its own.
"""

import math
from typing import Annotated, Literal

from pydantic import Field

from chains.calls import Call, Message
from chains.decoding.score import Score
from chains.text.sentences import sentences as split_sentences
from pipelines.rows import JSON, Fault, Rejection, Row
from pipelines.stages.base import STAGES, Ask, Context, JobView, ModelStage, Work
from pipelines.stages.columns import read_text
from pipelines.stages.judging.answers import check_head, logprob_of, open_head
from prompts.errors import UsageError


@STAGES.register
class Entailment(ModelStage):
    """Reject a text with a sentence that does not follow from the source.

    Attributes:
        model: Name of one of the job's models: an NLI classifier.
        field: The column with the text.
        against: The column with the source.
        label: The classifier's label for entailment; left out, the only one of its labels that
            begins with "entail".
        min: The least probability of entailment that every sentence needs.
        adds: A column for the lowest probability.
    """

    kind: Literal["entailment"] = "entailment"
    model: Annotated[str, Field(min_length=1)]
    field: Annotated[str, Field(min_length=1)]
    against: Annotated[str, Field(min_length=1)] = "context"
    label: str = ""
    min: Annotated[float, Field(ge=0, le=1)] = 0.5
    adds: str = ""

    def columns_needed(self) -> set[str]:
        """The text and the source."""
        return {self.field, self.against}

    def columns_added(self) -> set[str]:
        """The lowest probability, where it is wanted."""
        return set(filter(None, [self.adds]))

    def check(self, job: JobView) -> None:
        """The model exists and has a label for entailment, as far as its files are here."""
        labels = check_head(job.model(self.model, key="model"))
        if labels is not None:
            self._entails(labels)

    def work(self, row: Row, context: Context) -> Work:
        """Keep the row, or reject it with the sentence that follows least."""
        text, source = read_text(row, self.field), read_text(row, self.against)
        for found in (text, source):
            if isinstance(found, Fault):
                return [Rejection(row, found.reason, found.detail)]
        sentences = split_sentences(str(text))
        if not sentences:
            return [Rejection(row, "empty", {"column": self.field})]
        label = context.shared("label", lambda: self._entails(open_head(self.model, context) or ()))
        score = Score(target=label, end=False)
        pairs = [(Message("user", str(source)), Message("user", each)) for each in sentences]
        answers = yield Ask(self.model, tuple(Call(pair, score) for pair in pairs))
        chances: list[float] = []
        for replies in answers:
            logprob = logprob_of(replies)
            if isinstance(logprob, Fault):
                return [Rejection(row, logprob.reason, logprob.detail)]
            chances.append(round(math.exp(logprob), 4))
        event: dict[str, JSON] = {
            "stage": self.name,
            "model": context.model_label(self.model),
            "entailment": chances,
        }
        least = min(chances)
        if least < self.min:
            detail = {"sentence": sentences[chances.index(least)], "probability": least}
            return [Rejection(row.with_data({}, event), "not_entailed", detail)]
        return [row.with_data({self.adds: least} if self.adds else {}, event)]

    def _entails(self, labels: tuple[str, ...]) -> str:
        return entailing(labels, self.label)


def entailing(labels: tuple[str, ...], label: str = "") -> str:
    """The label among a classifier's `labels` that means entailment: `label`, where one is named.

    Raises:
        UsageError: It is not among them, or none is named and not exactly one begins with "entail".
    """
    known = ", ".join(labels)
    if label:
        if label not in labels:
            problem = f"the classifier has no label '{label}'"
            raise UsageError(problem, fix=f"its labels: {known}", key="label")
        return label
    found = [each for each in labels if each.lower().startswith("entail")]
    if len(found) != 1:
        fix = f"write 'label: ...' with the one that means entailment: {known}"
        raise UsageError("no label of the model says that it entails", fix=fix, key="label")
    return found[0]
