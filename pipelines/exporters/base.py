"""What a finished dataset looks like. A new format is one file beside this one.

An exporter reads a finished run's rows, in order, and writes files into the folder it is given. The
folder is new and empty; the caller puts it in place in one rename when the export has succeeded.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from pipelines.rows import Row
from prompts.registry import Registry

Map = Callable[[Callable[[Any], Any], Iterable[Any]], Iterator[Any]]
"""Applies a function to each of some things, and gives what came of them in their order."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Where an export's files can be made, several at a time.

    Attributes:
        path: The run's `rows.jsonl`.
        map: Applies a function that can be pickled in other processes. It takes no more of what it
            is given than these can work on.
    """

    path: Path
    map: Map

    def lines(self) -> Iterator[bytes]:
        """The rows as they are written, each with the end of its line."""
        with self.path.open("rb") as file:
            yield from file


@dataclass(frozen=True, slots=True)
class Finished:
    """A finished run, as exporters see it.

    Attributes:
        rows: Reads the accepted rows from the start, in order; call it as often as needed.
        manifest: `manifest.json`, parsed: job name, models, prompts, stages' counts, versions.
        job: The resolved job as plain data.
        spread: Other processes for the work; None for this one. What is written is the same.
    """

    rows: Callable[[], Iterator[Row]]
    manifest: dict[str, Any]
    job: dict[str, Any]
    spread: Spread | None = None


class Exporter(BaseModel):
    """One export of a job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str

    def check(self, columns: set[str]) -> None:
        """Check against the columns that the rows will have, before the run.

        Raises:
            UsageError: With `key` relative to the exporter, such as "format".
        """

    def write(self, run: Finished, folder: Path) -> dict[str, Any]:
        """Write the export into `folder`.

        Returns:
            What was written, for the manifest: `{"splits": {"train": 24, ...}}` or `{"rows": 30}`.

        Raises:
            UsageError: The rows do not fit the format; names column and row.
        """
        raise NotImplementedError


EXPORTERS: Registry[Exporter] = Registry("exporter")
