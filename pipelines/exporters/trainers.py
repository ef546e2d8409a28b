"""Exports for one trainer: the rows as JSON Lines, and a file that tells the trainer about them.

{kind: llama_factory, format: messages}     data.jsonl, dataset_info.json
{kind: axolotl, format: preference}         data.jsonl, axolotl.yaml
"""

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import field_validator

from pipelines.exporters.base import Exporter, Finished
from pipelines.exporters.jsonl import Jsonl
from pipelines.exporters.settings import Columns
from pipelines.rows import JSON
from prompts.errors import unknown

DATA_FILE = "data.jsonl"


class TrainerExporter(Exporter):
    """Rows in a format that the trainer reads, with its description.

    Attributes:
        format: One of the formats that the trainer reads.
        columns: Part of the format -> column of the rows; left out, those with usual names.
    """

    formats: ClassVar[Mapping[str, Mapping[str, JSON]]]

    format: str = "messages"
    columns: Columns = {}

    @field_validator("format")
    @classmethod
    def _is_read_by_the_trainer(cls, value: str) -> str:
        if value not in cls.formats:
            raise ValueError(unknown("format", value, list(cls.formats)).fix)
        return value

    def check(self, columns: set[str]) -> None:
        """The format finds its columns."""
        self._table().check(columns)

    def write(self, run: Finished, folder: Path) -> dict[str, Any]:
        """Write data and description.

        Returns:
            `{"rows": 30}`.

        Raises:
            UsageError: The rows do not fit the format; names column and row.
        """
        written = self._table().write(run, folder)
        self.describe(run, folder)
        return written

    @abstractmethod
    def describe(self, run: Finished, folder: Path) -> None:
        """Write the file that tells the trainer about the data."""

    def _table(self) -> Jsonl:
        return Jsonl(format=self.format, columns=self.columns)
