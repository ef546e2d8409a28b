"""Where seed rows come from. A new source is one file beside this one that yields `Seed`s.

{"kind": "documents", "path": "handbook"}
->  Seed(data={"context": "...", "document": "leave.md", "start": 0, "end": 812}, key="leave.md")
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pydantic import BaseModel, ConfigDict

from chains.loading.base import Unreadable
from pipelines.rows import JSON, Row, digest
from prompts.registry import Registry

if TYPE_CHECKING:
    from chains.models.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Seed:
    """One row as a source found it.

    Attributes:
        data: The columns, plain JSON values.
        key: What names it inside its source and does not move when others come or go: a document's
            path, a record's own id. Empty where it has nothing of the kind; content then
            identifies it.
        moving: Columns that change when something before the row does, such as where in its
            document a passage starts. They say where the row stands, not which row it is.
    """

    data: dict[str, JSON]
    key: str = ""
    moving: frozenset[str] = frozenset()

    def identity(self) -> str:
        """16 hex digits from key and content; equal for rows that only their count tells apart."""
        content = {name: value for name, value in self.data.items() if name not in self.moving}
        return digest(content, self.key)


@dataclass(frozen=True, slots=True)
class BadSeed:
    """Something in a source that could not become a row; it is listed in `rejected.jsonl`.

    Attributes:
        key: Names it: file, or file and line.
        reason: A short name to count by: `not_utf8`, `empty`, `bad_json`, `permission_denied`.
        detail: What was found, in words.
    """

    key: str
    reason: str
    detail: str

    @classmethod
    def of(cls, bad: Unreadable, key: str) -> "BadSeed":
        """What could not be read, of the file or record named `key`."""
        return cls(key, bad.reason, bad.detail)


class SourceView(Protocol):
    """What a source may use while it reads."""

    @property
    def seed(self) -> int:
        """The job's seed."""

    def path(self, text: str) -> Path:
        """A path of the job as an existing one. Raises SourceError where there is none.

        It is tried from the working folder, the job file's folder, then the project's folder.
        """

    def model(self, name: str) -> "ModelSpec":
        """The spec of the job's model of that name; an empty name gives the first one."""


class Source(BaseModel):
    """One source of a job."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    shuffle: bool = False
    """Take the rows in an order drawn by the job's seed. Holds the source in memory."""

    def endless(self) -> bool:
        """Whether it never runs out of rows."""
        return False

    def drawn(self) -> bool:
        """Whether its rows are made up, so that a row which is not taken is no loss."""
        return False

    def combinations(self, names: Sequence[str]) -> list[tuple[JSON, ...]] | None:
        """The values that columns of these names can have together, in the order of the settings.

        None where the settings do not tell, or the source has no such columns.
        """
        return None

    def columns(self, view: SourceView) -> set[str] | None:
        """The columns its rows will have, by a cheap look; None where only reading all can tell.

        Raises:
            SourceError: There is nothing to read.
        """
        raise NotImplementedError

    def read(self, view: SourceView) -> Iterator[Seed | BadSeed]:
        """All seeds in their order. One bad file or record is a `BadSeed`; the rest is read.

        Raises:
            SourceError: Nothing is readable at all.
        """
        raise NotImplementedError

    def fingerprint(self, view: SourceView) -> str:
        """A hash that changes when what the source would yield changes; checked on resume."""
        raise NotImplementedError

    def report(
        self, rows: Iterable[Row], rejected: Iterable[Mapping[str, JSON]]
    ) -> dict[str, JSON]:
        """What the manifest says of a finished run on behalf of this source.

        Args:
            rows: The accepted rows that come from it, in order.
            rejected: The rejected ones, and what could not be read, as they are written.
        """
        return {}


SOURCES: Registry[Source] = Registry("source")
