"""A job's view of paths and models, without a job: what a source is handed to read with."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chains.models.spec import ModelSpec
from pipelines.sources import SOURCES, BadSeed, Seed, Source
from prompts.errors import SourceError, UsageError


@dataclass(frozen=True)
class View:
    """Finds paths below `folder`; its models `""` and `writer` count words as tokens."""

    folder: Path
    seed: int = 7

    def path(self, text: str) -> Path:
        found = self.folder / text
        if found.exists() or (set(text) & set("*?[") and any(self.folder.glob(text))):
            return found
        raise SourceError(f"no such file or folder: '{text}'")

    def model(self, name: str = "", *, key: str = "") -> ModelSpec:
        if name not in {"", "writer"}:
            raise UsageError(f"unknown model '{name}'", key=key)
        return ModelSpec(model="scripted")

    def need(self, columns: set[str], *, key: str = "") -> None:
        raise UsageError(f"columns may be missing: {columns}", key=key)


def build(kind: str, **settings: Any) -> Source:
    """A source as a job would build it."""
    return SOURCES.build({"kind": kind, **settings}, key="sources.0")


def parted(items: Iterable[Seed | BadSeed]) -> tuple[list[Seed], list[BadSeed]]:
    """Rows and what could not be read."""
    found = list(items)
    return [i for i in found if isinstance(i, Seed)], [i for i in found if isinstance(i, BadSeed)]
