"""`toxicity`: rejects or scores texts with slurs, threats, insults, obscenity.

    - {kind: toxicity}                                   # every column, above 0.5 is rejected
    - {kind: toxicity, fields: [reply], max_score: 0.3, words: [blocklist.txt]}
    - {kind: toxicity, action: flag, adds: toxicity}     # the score as a column
    - {kind: toxicity, model: detector, labels: [toxic]} # and a classifier's probability

    rejected: {"reason": "toxic", "detail": {"score": 0.94, "found": {"insult": 1, "threat": 1},
               "spans": [["reply", 10, 15, "insult"], ...]}}

A list of words with a few rules about their company. It knows what is said and not what is meant:
abuse without such a word passes, and a quotation or a word its own group uses is counted. With a
classifier beside it the higher of the two scores counts.
"""

import math
from collections import Counter
from collections.abc import Generator
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from chains.calls import Call, Message
from chains.decoding.score import Score
from pipelines.rows import JSON, Fault, Rejection, Row, digest
from pipelines.stages.base import STAGES, Ask, Context, JobView, ModelStage, Request, Work
from pipelines.stages.judging.answers import check_head, logprob_of, open_head
from pipelines.stages.safety.spans import texts
from pipelines.stages.safety.toxic_terms import Hit, Lexicon, read_words, total
from pipelines.stages.safety.toxic_words import WEIGHTS
from prompts.errors import UsageError, unknown

if TYPE_CHECKING:
    from pipelines.sources.base import SourceView


@STAGES.register
class Toxicity(ModelStage):
    """Reject texts that score above `max_score`, or give every row its score.

    Attributes:
        fields: The columns to look at, with the texts inside of lists and objects; left out, all.
        max_score: The highest score, 0 to 1, that is let through.
        categories: What counts; left out, everything.
        words: Files with words or phrases more, one a line, of weight 0.6 each.
        model: Name of one of the job's models, a classifier, asked besides.
        labels: Those of the classifier's labels that count; of several the most probable one.
        action: `reject`, or `flag`: all rows pass and get their score.
        adds: With `flag`, the column for the score; left out, `toxicity`.
    """

    kind: Literal["toxicity"] = "toxicity"
    fields: tuple[str, ...] = ()
    max_score: Annotated[float, Field(ge=0, lt=1)] = 0.5
    categories: tuple[str, ...] = tuple(WEIGHTS)
    words: tuple[str, ...] = ()
    model: str = ""
    labels: tuple[str, ...] = ()
    action: Literal["reject", "flag"] = "reject"
    adds: str = ""

    @model_validator(mode="after")
    def _categories_are_known(self) -> Self:
        if not self.categories:
            raise UsageError("nothing would count", fix="name a category", key="categories")
        for index, category in enumerate(self.categories):
            if category not in WEIGHTS:
                raise unknown("category", category, list(WEIGHTS), key=f"categories.{index}")
        if self.model and not self.labels:
            fix = "write those of the classifier's labels that mean toxic"
            raise UsageError("a model needs labels", fix=fix, key="labels")
        if self.labels and not self.model:
            fix = "name one of the job's models, a classifier"
            raise UsageError("labels are those of a model", fix=fix, key="model")
        return self

    def columns_needed(self) -> set[str]:
        """The columns that are named."""
        return set(self.fields)

    def columns_added(self) -> set[str]:
        """The column of scores, where the stage flags."""
        return {self.adds or self.kind} if self.action == "flag" else set()

    def check(self, job: JobView) -> None:
        """Whether the word lists can be read and the classifier has the labels."""
        if self.model:
            own = check_head(job.model(self.model, key="model"))
            if own is not None:
                self._check_labels(own)
        for index, name in enumerate(self.words):
            path = job.path(name)
            try:
                read_words(path)
            except (OSError, UnicodeDecodeError) as exc:
                fix = "give a UTF-8 text file with one word a line"
                raise UsageError(f"cannot read {path.name}", fix=fix, key=f"words.{index}") from exc

    def fingerprint(self, view: "SourceView") -> str:
        """A hash of the word lists."""
        if not self.words:
            return ""
        return digest([read_words(view.path(name)) for name in self.words])

    def work(self, row: Row, context: Context) -> Work:
        """Score the row, and reject it where it scores too high."""
        missing = [column for column in self.fields if column not in row.data]
        if missing:
            found = {"column": missing[0], "columns": sorted(row.data)}
            return [Rejection(row, "missing_column", found)]
        columns = self.fields or tuple(row.data)
        found_texts = [pair for column in columns for pair in texts(row.data[column], column)]
        detail = self._listed(
            found_texts, context.shared("lexicon", lambda: self._lexicon(context))
        )
        if self.model:
            probability = yield from self._asked([text for _, text in found_texts], context)
            if isinstance(probability, Fault):
                return [Rejection(row, probability.reason, probability.detail)]
            detail |= {"probability": probability, "score": max(detail["score"], probability)}
        score = detail["score"]
        if self.action == "flag":
            event = {"stage": self.name, **detail} if score else None
            return [row.with_data({self.adds or self.kind: score}, event)]
        return [Rejection(row, "toxic", detail) if score > self.max_score else row]

    def _lexicon(self, context: Context) -> Lexicon:
        listed = [word for name in self.words for word in read_words(context.path(name))]
        return Lexicon(listed, self.categories)

    def _listed(self, found: list[tuple[str, str]], lexicon: Lexicon) -> dict[str, Any]:
        """What the list of words finds in texts, each given with its path in the row."""
        hits: list[Hit] = []
        places: list[JSON] = []
        for path, text in found:
            found_here = lexicon.find(text)
            hits += found_here
            places += [[path, hit.start, hit.end, hit.category] for hit in found_here]
        counts = dict(sorted(Counter(hit.category for hit in hits).items()))
        return {"score": total(hits), "found": counts, "spans": places}

    def _asked(self, found: list[str], context: Context) -> Generator[Request, Any, float | Fault]:
        """The highest probability of one of the labels for one of the texts."""
        context.shared("labels", lambda: self._check_labels(open_head(self.model, context)))
        pairs = [(text, label) for text in found if text.strip() for label in self.labels]
        calls = [
            Call((Message("user", text),), Score(target=label, end=False)) for text, label in pairs
        ]
        answers = yield Ask(self.model, tuple(calls))
        highest = 0.0
        for replies in answers:
            logprob = logprob_of(replies)
            if isinstance(logprob, Fault):
                return logprob
            highest = max(highest, math.exp(logprob))
        return round(highest, 4)

    def _check_labels(self, own: tuple[str, ...] | None) -> bool:
        if own is None:
            fix = "name a sequence classifier"
            raise UsageError("the model writes and is no classifier", fix=fix, key="model")
        if stray := sorted(set(self.labels) - set(own)):
            problem = f"the classifier has no label '{stray[0]}'"
            raise UsageError(problem, fix=f"its labels: {', '.join(own)}", key="labels")
        return True
