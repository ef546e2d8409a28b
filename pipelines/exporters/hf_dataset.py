"""A Hugging Face dataset: Parquet splits, a lineage config and a card for `load_dataset(folder)`.

    {kind: hf_dataset, format: prompt-completion, splits: {train: 0.8, validation: 0.1, test: 0.1}}

    README.md                                     the card
    data/train-00000-of-00001.parquet             prompt, completion
    lineage/train-00000-of-00001.parquet          id, split, index, family, ..., history

The rows are read twice, once to learn types, classes and families, once to write; what is held in
memory is the split of each family.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.exporters.about import About
from pipelines.exporters.base import EXPORTERS, Exporter, Finished
from pipelines.exporters.card import write_card
from pipelines.exporters.dataset_files import Splits, write_files
from pipelines.exporters.formats import FORMATS, ROWS, resolve
from pipelines.exporters.profile import Profile
from pipelines.exporters.projection import (
    PartsProjection,
    Projection,
    RowsProjection,
    check_columns,
)
from pipelines.exporters.settings import (
    Columns,
    Count,
    check_labels,
    check_typed_format,
    has_classes,
)
from pipelines.exporters.shards import Limit
from pipelines.exporters.splitting import Division, Splitting
from pipelines.exporters.spreading import is_spread
from pipelines.rows import JSON, Row
from prompts.errors import UsageError, unknown
from prompts.registry import dotted

Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]+)*$")]


@EXPORTERS.register
class HfDataset(Exporter):
    """A Hugging Face dataset.

    Attributes:
        format: `rows` for the rows' own columns, or one of the formats that trainers read.
        columns: Column (of a format: part) of the dataset -> column of the rows. For `rows` a list
            keeps the names. Left out, all columns, or those with the format's usual names.
        row_id: For `rows`: name of a further column for the rows' ids.
        label: The label column: each of its values gets its share of every split, and
            `classification` takes its classes from it.
        labels: For `classification`: the classes in order, so that numbers agree between datasets;
            left out, those that occur, sorted.
        splits: Split -> its part of the rows. Parts add up to 1.
        splitting: How rows are given to splits, and what besides families stays together.
        license: Identifier of a license as the Hub knows it, such as `apache-2.0`.
        language: Language codes, ISO 639.
        images: Whether the card has pictures.
        pretty_name: Title of the card; left out, the job's name.
        shard_rows: The most rows of a file; 0 for any number.
        shard_mb: Megabytes at which a file ends; 0 for any size.
    """

    kind: Literal["hf_dataset"] = "hf_dataset"
    format: str = ROWS
    columns: Columns = {}
    row_id: str = ""
    label: str = ""
    labels: tuple[str, ...] = ()
    splits: dict[str, Annotated[float, Field(gt=0, le=1)]] = {"train": 1.0}
    splitting: Splitting = Splitting()
    license: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9.+-]*)?$")] = ""
    language: tuple[Language, ...] = ()
    images: bool = True
    pretty_name: str = ""
    shard_rows: Count = 0
    shard_mb: Count = 500

    @field_validator("format")
    @classmethod
    def _format_fits(cls, value: str) -> str:
        return check_typed_format(value)

    @field_validator("language", mode="before")
    @classmethod
    def _one_language(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("splits")
    @classmethod
    def _splits_share_all(cls, value: dict[str, float]) -> dict[str, float]:
        for name in value:
            if not re.fullmatch(r"[A-Za-z0-9_]+", name) or name == "all":
                raise ValueError("name splits with letters, digits and _, and none of them 'all'")
        if abs(sum(value.values()) - 1) > 1e-6:
            raise ValueError("make the parts add up to 1")
        return value

    @model_validator(mode="after")
    def _settings_fit_the_format(self) -> "HfDataset":
        if self.row_id and self.format != ROWS:
            raise ValueError(f"row_id is for format '{ROWS}'; the lineage config has all ids")
        check_labels(self.format, self.labels)
        twice = self._is_labelled() and self.label and "label" in self.columns
        if twice and self.columns["label"] != self.label:
            raise ValueError("name the label column once, in label or in columns")
        return self

    def check(self, columns: set[str]) -> None:
        """The format finds its columns."""
        if self.format == ROWS:
            check_columns(self.columns, self.row_id, columns)
        else:
            resolve(self.format, self._parts(), columns)
        if self.label and self.label not in columns:
            raise unknown("column", self.label, list(columns), key="label")
        try:
            self.splitting.check(columns)
        except UsageError as exc:
            exc.key = dotted("splitting", exc.key)
            raise

    def write(self, run: Finished, folder: Path) -> dict[str, Any]:
        """Write splits, lineage and card.

        Returns:
            `{"splits": {"train": 24, "validation": 3, "test": 3}}`.

        Raises:
            UsageError: The rows do not fit the format; names column and row.
        """
        projection = self._projection()
        families: list[str] = []  # of each row, where others write the files
        split_of = self._survey(run, projection, families)
        files = self._splits_with_files(split_of)
        splits = Splits(projection, files, Limit(self.shard_rows, self.shard_mb))
        profile = Profile(left_out=self.row_id)
        counts, example = write_files(run, folder, splits, split_of, families, profile)
        about = About(
            title=self.pretty_name,
            license=self.license,
            language=self.language,
            format=self.format,
            tasks=() if self.format == ROWS else FORMATS[self.format].tasks,
            types=projection.types(),
            shares=self.splits,
            rows={split: counts.get(split, 0) for split in self.splits},
            files=files,
            label=self._label_column(),
            together=self.splitting.describe(),
            example=example,
            figures=profile.columns(),
            images=self.images,
        )
        write_card(folder / "README.md", about, run)
        return {"splits": dict(about.rows)}

    def _is_labelled(self) -> bool:
        return has_classes(self.format)

    def _label_column(self) -> str:
        """The column that splits are stratified by; empty for none."""
        if self._is_labelled():
            return self.columns.get("label") or self.label or "label"
        return self.label

    def _parts(self) -> dict[str, str]:
        label = {"label": self._label_column()} if self._is_labelled() else {}
        return {**self.columns, **label}

    def _projection(self) -> Projection:
        if self.format == ROWS:
            return RowsProjection(self.columns, self.row_id)
        return PartsProjection(self.format, self._parts(), self.labels)

    def _survey(self, run: Finished, projection: Projection, families: list[str]) -> dict[str, str]:
        """Show all rows to the projection, and give each family its split."""
        label = self._label_column()
        division = Division(self.splitting, label)
        spread = is_spread(run, self.shard_rows)
        for row in run.rows():
            if spread:
                families.append(sys.intern(row.family))
            projection.survey(row)
            division.survey(row)
        division.check_columns()
        projection.types()  # which names the columns where the job does not

        def record(row: Row) -> dict[str, JSON]:
            found = projection.record(row)
            return {name: value for name, value in found.items() if name != self.row_id}

        return division.divide(self.splits, run.manifest["job"]["seed"], run.rows, record)

    def _splits_with_files(self, split_of: Mapping[str, str]) -> tuple[str, ...]:
        """The splits that have rows: `load_dataset` fails on a folder with one empty split in it.

        Where there are no rows at all, every split has a file, so that the columns are on record.
        """
        used = set(split_of.values())
        return tuple(split for split in self.splits if split in used or not used)
