"""`language`: keeps rows whose text is in one of the languages wanted.

- {kind: language, field: answer, languages: en}
- {kind: language, field: answer, languages: [de, en], each: sentence, adds: language}

answer "Das Museum ist am Montag geschlossen."
rejected: {"reason": "other_language", "detail": {"language": "de", "score": 0.0, "bound": 0.1,
           "found": "Das Museum ist am Montag geschlossen."}}
"""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, field_validator

from chains.text.language import LANGUAGES, ScoreLanguages, evidence, open_language_scores
from chains.text.sentences import sentences
from pipelines.rows import Fault, Outcome, Rejection, Row
from pipelines.stages.base import STAGES, Context, Stage, rejected_by
from pipelines.stages.columns import read_text
from prompts.errors import UsageError, unknown

_SHOWN = 120  # characters of a text that are shown as evidence


@STAGES.register
class Language(Stage):
    """Reject what is in another language.

    A text is rejected where the languages wanted have less than `min_score` of the probability
    between them, not where another one has more: sentences of neighbours (Czech and Slovak, Spanish
    and Galician) are often a near thing, and a wanted one should not be lost over that.

    Attributes:
        field: The column.
        languages: ISO 639 code of the language wanted, or a list of several.
        min_score: The least probability that the languages wanted have together, 0 to 1.
        min_letters: Texts with fewer letters are not judged, code and addresses left out; a
            Chinese character, kana or Hangul syllable counts as three.
        short: What becomes of those: `keep`, or `reject` as `undecided`.
        each: Judge the `text` as a whole, or each `sentence` that is long enough.
        adds: A column for the likeliest language of the whole text, null where it is too short.
    """

    kind: Literal["language"] = "language"
    field: Annotated[str, Field(min_length=1)]
    languages: str | tuple[str, ...]
    min_score: Annotated[float, Field(gt=0, le=1)] = 0.1
    min_letters: Annotated[int, Field(ge=0)] = 12
    short: Literal["keep", "reject"] = "keep"
    each: Literal["text", "sentence"] = "text"
    adds: str = ""

    @field_validator("languages")
    @classmethod
    def _are_known(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        codes = (value,) if isinstance(value, str) else value
        if not codes:
            raise UsageError("no language is wanted", fix="give a code such as en", key="languages")
        for code in codes:
            if code not in LANGUAGES:
                raise unknown("language", code, list(LANGUAGES), key="languages")
        return value

    def columns_needed(self) -> set[str]:
        """The column that is judged."""
        return {self.field}

    def columns_added(self) -> set[str]:
        """The column for the language, if one is wanted."""
        return {self.adds} - {""}

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        """Keep the rows in a language wanted; one that makes the stage raise is rejected."""
        score = context.shared("languages", open_language_scores)
        for row in rows:
            try:
                outcome = self._outcome(row, score)
            except Exception as exc:
                outcome = rejected_by(exc, row)
            yield outcome

    def _outcome(self, row: Row, score: ScoreLanguages) -> Outcome:
        text = read_text(row, self.field)
        if isinstance(text, Fault):
            return Rejection(row, text.reason, text.detail)
        if fault := self._fault(text, score):
            return Rejection(row, fault.reason, fault.detail)
        if not self.adds:
            return row
        judged = evidence(text) >= self.min_letters
        return row.with_data({self.adds: next(iter(score(text))) if judged else None})

    def _fault(self, text: str, score: ScoreLanguages) -> Fault | None:
        """`other_language` of the first piece that is in one, or `undecided`."""
        letters = evidence(text)
        if letters < self.min_letters:
            found = {"letters": letters, "bound": self.min_letters}
            return Fault("undecided", found) if self.short == "reject" else None
        wanted = (self.languages,) if isinstance(self.languages, str) else self.languages
        pieces = [text] if self.each == "text" else sentences(text)
        for piece in pieces:
            if evidence(piece) < self.min_letters:
                continue
            scores = score(piece)
            share = round(sum(scores[code] for code in wanted), 4)
            if share < self.min_score:
                detail = {"language": next(iter(scores)), "score": share, "bound": self.min_score}
                return Fault("other_language", {**detail, "found": piece[:_SHOWN]})
        return None
