"""What an exporter tells the card about one dataset, besides what the run's manifest and job say.

About(format="prompt-completion", rows={"train": 24, "test": 6}, files=("train", "test"), ...)
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.exporters.columns import Type
from pipelines.exporters.profile import Figures
from pipelines.rows import JSON


@dataclass(frozen=True, slots=True)
class About:
    """One dataset, described.

    Attributes:
        title: Heading; empty takes the job's name.
        license: Identifier of the license; empty where none was chosen.
        language: Language codes.
        format: Name of the format.
        tasks: `task_categories` as the Hub knows them.
        types: The columns.
        shares: Split -> the part of the rows it was to have.
        rows: Split -> the number of rows it has.
        files: The splits that have a file.
        label: The column that splits are stratified by; empty for none.
        together: What besides families splits keep together, as sentences; empty for nothing.
        example: The first record; None where there are no rows.
        figures: Column -> its lengths and how much it repeats.
        images: Whether the card has pictures.
    """

    title: str
    license: str
    language: tuple[str, ...]
    format: str
    tasks: tuple[str, ...]
    types: Mapping[str, Type]
    shares: Mapping[str, float]
    rows: Mapping[str, int]
    files: tuple[str, ...]
    label: str
    together: str
    example: Mapping[str, JSON] | None
    figures: Mapping[str, Figures]
    images: bool
