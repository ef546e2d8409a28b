"""Sets of texts beside the rows: read by the sources `records` and `hf_dataset`, with their keys.

source.read(SetPlaces(job))           # paths are found as the job's, and no model is there

What is made of their records is the stages' own; see `dedup.against` and `overlap.benchmarks`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.rows import digest
from pipelines.sources import Source
from pipelines.sources.base import SourceView
from pipelines.sources.files import PathView
from prompts.errors import UsageError

if TYPE_CHECKING:
    from chains.models.spec import ModelSpec

KINDS = ("records", "hf_dataset")


@dataclass(frozen=True)
class SetPlaces:
    """What a set's source may look up, from what a stage may: paths, and no model."""

    view: PathView
    seed: int = 0  # sets are read in their own order

    def path(self, text: str) -> Path:
        """A path of the job as an existing path."""
        return self.view.path(text)

    def model(self, name: str) -> "ModelSpec":
        """Refused: raises UsageError."""
        raise UsageError("a set asks no model", fix="leave its 'model' out")


def fingerprint_sets(sets: Mapping[str, Source], places: SourceView) -> str:
    """Changes with the sets' names, files and settings; empty where there are none."""
    if not sets:
        return ""
    return digest([[name, source.fingerprint(places)] for name, source in sets.items()])
