"""`toxicity`: rejects or scores texts with slurs, threats, insults, obscenity.

    - {kind: toxicity}                                   # every column, above 0.5 is rejected
    - {kind: toxicity, fields: [reply], max_score: 0.3, words: [blocklist.txt]}
    - {kind: toxicity, action: flag, adds: toxicity}     # the score as a column

    rejected: {"reason": "toxic", "detail": {"score": 0.94, "found": {"insult": 1, "threat": 1},
               "spans": [["reply", 10, 15, "insult"], ...]}}

A list of words with a few rules about their company. It knows what is said and not what is meant:
abuse without such a word passes, and a quotation or a word its own group uses is counted.
"""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from pipelines.rows import JSON, Outcome, Rejection, Row, digest
from pipelines.stages.base import STAGES, Context, JobView, Stage, rejected_by
from pipelines.stages.safety.spans import texts
from pipelines.stages.safety.toxic_terms import Hit, Lexicon, read_words, total
from pipelines.stages.safety.toxic_words import WEIGHTS
from prompts.errors import UsageError, unknown

if TYPE_CHECKING:
    from pipelines.sources.base import SourceView


@STAGES.register
class Toxicity(Stage):
    """Reject texts that score above `max_score`, or give every row its score.

    Attributes:
        fields: The columns to look at, with the texts inside of lists and objects; left out, all.
        max_score: The highest score, 0 to 1, that is let through.
        categories: What counts; left out, everything.
        words: Files with words or phrases more, one a line, of weight 0.6 each.
        action: `reject`, or `flag`: all rows pass and get their score.
        adds: With `flag`, the column for the score; left out, `toxicity`.
    """

    kind: Literal["toxicity"] = "toxicity"
    fields: tuple[str, ...] = ()
    max_score: Annotated[float, Field(ge=0, lt=1)] = 0.5
    categories: tuple[str, ...] = tuple(WEIGHTS)
    words: tuple[str, ...] = ()
    action: Literal["reject", "flag"] = "reject"
    adds: str = ""

    @model_validator(mode="after")
    def _categories_are_known(self) -> Self:
        if not self.categories:
            raise UsageError("nothing would count", fix="name a category", key="categories")
        for index, category in enumerate(self.categories):
            if category not in WEIGHTS:
                raise unknown("category", category, list(WEIGHTS), key=f"categories.{index}")
        return self

    def columns_needed(self) -> set[str]:
        """The columns that are named."""
        return set(self.fields)

    def columns_added(self) -> set[str]:
        """The column of scores, where the stage flags."""
        return {self.adds or self.kind} if self.action == "flag" else set()

    def check(self, job: JobView) -> None:
        """Whether the word lists can be read."""
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

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Score each row; one that makes the stage raise is rejected."""
        lexicon = context.shared("lexicon", lambda: self._lexicon(context))
        for row in rows:
            try:
                outcome = self._judge(row, lexicon)
            except Exception as exc:
                outcome = rejected_by(exc, row)
            yield outcome

    def _lexicon(self, context: Context) -> Lexicon:
        listed = [word for name in self.words for word in read_words(context.path(name))]
        return Lexicon(listed, self.categories)

    def _judge(self, row: Row, lexicon: Lexicon) -> Outcome:
        missing = [column for column in self.fields if column not in row.data]
        if missing:
            found = {"column": missing[0], "columns": sorted(row.data)}
            return Rejection(row, "missing_column", found)
        hits: list[Hit] = []
        places: list[JSON] = []
        for column in self.fields or tuple(row.data):
            for path, text in texts(row.data[column], column):
                found_here = lexicon.find(text)
                hits += found_here
                places += [[path, hit.start, hit.end, hit.category] for hit in found_here]
        score = total(hits)
        counts = dict(sorted(Counter(hit.category for hit in hits).items()))
        detail: dict[str, JSON] = {"score": score, "found": counts, "spans": places}
        if self.action == "flag":
            event = {"stage": self.name, **detail} if hits else None
            return row.with_data({self.adds or self.kind: score}, event)
        return Rejection(row, "toxic", detail) if score > self.max_score else row
