"""Records for annotation in Argilla, with the settings of the dataset they go into.

{kind: argilla, fields: [question, answer], questions: {verdict: [good, bad]}}

settings.json    fields, questions and metadata, for `Settings.from_json`
records.json     [{"id": "9f2c...", "fields": {"question": "When?", ...},
                   "metadata": {"family": "41aa..."}, "suggestions": {}, ...}, ...]

dataset.records.from_json("records.json")
"""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from pipelines.exporters.base import EXPORTERS, Exporter, Finished
from pipelines.exporters.parts import part_of, shown
from pipelines.exporters.settings import Columns
from pipelines.rows import JSON, Row
from prompts.errors import UsageError, unknown

Answers = Annotated[tuple[str, ...], Field(min_length=2)]


@EXPORTERS.register
class Argilla(Exporter):
    """Rows to be looked at by people.

    Attributes:
        fields: Name of a field -> column of text that is shown; a list keeps the names.
        questions: What is asked of each record -> the answers to choose from.
        suggest: Question -> the column with a suggested answer; null suggests none.
        guidelines: What annotators are told.
    """

    kind: Literal["argilla"] = "argilla"
    fields: Columns
    questions: dict[str, Answers] = {"quality": ("good", "bad")}
    suggest: dict[str, str] = {}
    guidelines: str = ""

    @field_validator("fields", "questions")
    @classmethod
    def _names_are_argillas(cls, value: dict[str, Any]) -> dict[str, Any]:
        if not value:
            raise ValueError("name at least one")
        for name in value:
            if not name.replace("_", "").replace("-", "").isalnum() or name != name.lower():
                raise ValueError("name fields and questions with small letters, digits, - and _")
        return value

    def check(self, columns: set[str]) -> None:
        """All columns will exist, and what is suggested is asked."""
        for key, used in (("fields", self.fields), ("suggest", self.suggest)):
            for column in used.values():
                if column not in columns:
                    raise unknown("column", column, list(columns), key=key)
        for question in self.suggest:
            if question not in self.questions:
                raise unknown("question", question, list(self.questions), key="suggest")

    def write(self, run: Finished, folder: Path) -> dict[str, Any]:
        """Write settings and records.

        Returns:
            `{"rows": 30}`.

        Raises:
            UsageError: A field is no text, or a suggestion none of the answers.
        """
        text = json.dumps(self._settings(), ensure_ascii=False, indent=2)
        (folder / "settings.json").write_text(text + "\n", encoding="utf-8", newline="\n")
        count = 0
        with (folder / "records.json").open("w", encoding="utf-8", newline="\n") as file:
            for row in run.rows():
                file.write(",\n" if count else "[\n")
                file.write(json.dumps(self._record(row), ensure_ascii=False))
                count += 1
            file.write("\n]\n" if count else "[]\n")
        return {"rows": count}

    def _record(self, row: Row) -> dict[str, JSON]:
        return {
            "id": row.id,
            "fields": {
                name: part_of(row, column, "text", f"field '{name}'", key="fields")
                for name, column in self.fields.items()
            },
            "metadata": {"family": row.family},
            "suggestions": self._suggestions(row),
            "responses": {},
            "vectors": {},
        }

    def _suggestions(self, row: Row) -> dict[str, JSON]:
        found: dict[str, JSON] = {}
        for question, column in self.suggest.items():
            value = row.data.get(column)
            if value is None:
                continue
            if value not in self.questions[question]:
                problem = f"column '{column}' holds {shown(value)} in row {row.id}"
                fix = f"write it into 'questions', which has: {', '.join(self.questions[question])}"
                raise UsageError(f"{problem}, which is no answer", fix=fix, key="suggest")
            found[question] = {"value": value, "score": None, "agent": "textmill"}
        return found

    def _settings(self) -> dict[str, JSON]:
        """The settings as Argilla's own `to_json` writes them."""
        return {
            "guidelines": self.guidelines or None,
            "questions": [_question(name, answers) for name, answers in self.questions.items()],
            "fields": [_field(name) for name in self.fields],
            "vectors": [],
            "metadata": [
                {
                    "name": "family",
                    "title": "family",
                    "visible_for_annotators": True,
                    "settings": {"type": "terms", "values": None},
                }
            ],
            "allow_extra_metadata": False,
            "distribution": {"strategy": "overlap", "min_submitted": 1},
            "mapping": None,
        }


def _question(name: str, answers: tuple[str, ...]) -> dict[str, JSON]:
    options = [{"value": answer, "text": answer, "description": None} for answer in answers]
    return {
        "name": name,
        "title": name,
        "description": None,
        "required": True,
        "settings": {"type": "label_selection", "options": options, "visible_options": None},
    }


def _field(name: str) -> dict[str, JSON]:
    settings = {"type": "text", "use_markdown": False}
    return {"name": name, "title": name, "required": True, "settings": settings}
