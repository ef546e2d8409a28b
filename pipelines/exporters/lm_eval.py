"""An evaluation task for lm-evaluation-harness: its YAML and its questions.

    {kind: lm_eval, question: question, answer: answer, context: context}

    support_qa.yaml     task: support_qa, output_type: generate_until, ...
    test.jsonl          {"question": "How many days?", "answer": "Twenty.", "context": "..."}

    cd FOLDER && lm_eval --include_path . --tasks support_qa --model hf ...

With `choices` it is a multiple-choice task, scored by the likelihood of each choice.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from pipelines.exporters.base import EXPORTERS, Exporter, Finished
from pipelines.exporters.jsonl import JsonlFile
from pipelines.exporters.parts import part_of, shown
from pipelines.files import dump_yaml
from pipelines.rows import JSON, Row
from prompts.errors import UsageError, unknown

DATA_FILE = "test.jsonl"

Metric = Literal["exact_match", "bleu", "chrf"]

_METRICS: Mapping[Metric, Mapping[str, JSON]] = {
    "exact_match": {
        "metric": "exact_match",
        "aggregation": "mean",
        "higher_is_better": True,
        "ignore_case": True,
        "ignore_punctuation": True,
    },
    "bleu": {"metric": "bleu", "aggregation": "bleu", "higher_is_better": True},
    "chrf": {"metric": "chrf", "aggregation": "chrf", "higher_is_better": True},
}
_LIKELIHOODS = [
    {"metric": name, "aggregation": "mean", "higher_is_better": True}
    for name in ("acc", "acc_norm")
]


@EXPORTERS.register
class LmEval(Exporter):
    """A task of questions with answers.

    Attributes:
        question: The column of questions.
        answer: The column of the right answer; with choices, one of them or its number from 0.
        context: A column that stands before the question; left out, none.
        choices: A column with the list of choices, or a list of choices that all rows share.
        metric: How a written answer is compared; with choices, accuracy is measured.
        task: The task's name; left out, the job's.
        max_tokens: The most tokens of a written answer.
    """

    kind: Literal["lm_eval"] = "lm_eval"
    question: str = "question"
    answer: str = "answer"
    context: str = ""
    choices: str | tuple[str, ...] = ""
    metric: Metric = "exact_match"
    task: Annotated[str, Field(pattern=r"^\w*$")] = ""
    max_tokens: Annotated[int, Field(gt=0)] = 64

    @field_validator("choices")
    @classmethod
    def _choices_are_several(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not isinstance(value, str) and len(set(value)) < max(2, len(value)):
            raise ValueError("name a column, or two or more different choices")
        return value

    def check(self, columns: set[str]) -> None:
        """All columns will exist."""
        for key in ("question", "answer", "context", "choices"):
            column = getattr(self, key)
            if isinstance(column, str) and column and column not in columns:
                raise unknown("column", column, list(columns), key=key)

    def write(self, run: Finished, folder: Path) -> dict[str, Any]:
        """Write task and questions.

        Returns:
            `{"rows": 30, "task": "support_qa"}`.

        Raises:
            UsageError: A question is no text, or an answer none of its choices.
        """
        name = self.task or re.sub(r"\W+", "_", run.manifest["job"]["name"])
        count = 0
        with JsonlFile(folder / DATA_FILE) as file:
            for row in run.rows():
                file.add(self._record(row))
                count += 1
        text = dump_yaml(self._settings(name))
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8", newline="\n")
        return {"rows": count, "task": name}

    def _record(self, row: Row) -> dict[str, JSON]:
        record = {"question": part_of(row, self.question, "text", "a question", key="question")}
        if self.context:
            record["context"] = part_of(row, self.context, "text", "a context", key="context")
        if not self.choices:
            return {
                **record,
                "answer": part_of(row, self.answer, "text", "an answer", key="answer"),
            }
        choices = self._choices(row)
        if isinstance(self.choices, str):
            record["choices"] = choices
        return {**record, "answer": self._number(row, choices)}

    def _choices(self, row: Row) -> list[str]:
        if not isinstance(self.choices, str):
            return list(self.choices)
        choices: list[str] = part_of(row, self.choices, "texts", "the choices", key="choices")
        return choices

    def _number(self, row: Row, choices: list[str]) -> int:
        """The place of the right answer among its choices."""
        answer = row.data.get(self.answer)
        if isinstance(answer, str) and choices.count(answer) == 1:
            return choices.index(answer)
        if type(answer) is int and 0 <= answer < len(choices):
            return answer
        problem = f"column '{self.answer}' holds {shown(answer)} in row {row.id}"
        fix = f"give one of its choices or its number: {shown(choices)}"
        raise UsageError(f"{problem}, which is none of its choices", fix=fix, key="answer")

    def _settings(self, name: str) -> dict[str, JSON]:
        context = "{{context}}\n\n" if self.context else ""
        return {
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": DATA_FILE}},
            "test_split": "test",
            "doc_to_text": f"{context}Question: {{{{question}}}}\nAnswer:",
            **(self._choosing() if self.choices else self._writing()),
            "metadata": {"version": 1.0},
        }

    def _choosing(self) -> dict[str, JSON]:
        listed = "choices" if isinstance(self.choices, str) else list(self.choices)
        return {
            "output_type": "multiple_choice",
            "doc_to_choice": listed,
            "doc_to_target": "answer",
            "metric_list": _LIKELIHOODS,
        }

    def _writing(self) -> dict[str, JSON]:
        return {
            "output_type": "generate_until",
            "doc_to_target": "{{answer}}",
            "generation_kwargs": {
                "until": ["\n"],
                "do_sample": False,
                "max_gen_toks": self.max_tokens,
            },
            "metric_list": [dict(_METRICS[self.metric])],
        }
