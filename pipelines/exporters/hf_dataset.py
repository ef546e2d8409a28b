"""A Hugging Face dataset: Parquet splits, a lineage config and a card for `load_dataset(folder)`.

    {kind: hf_dataset, format: prompt-completion, splits: {train: 0.8, validation: 0.1, test: 0.1}}

    README.md                                     the card
    data/train-00000-of-00001.parquet             prompt, completion
    lineage/train-00000-of-00001.parquet          id, split, index, family, ..., history

The rows are read twice, once to learn types, classes and families, once to write; what is held in
memory is the split of each family.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.exporters.about import About
from pipelines.exporters.base import EXPORTERS, Exporter, Finished
from pipelines.exporters.card import write_card
from pipelines.exporters.columns import Type
from pipelines.exporters.formats import FORMATS, ROWS, resolve
from pipelines.exporters.layout import DATA, LINEAGE_CONFIG
from pipelines.exporters.lineage import LINEAGE, lineage
from pipelines.exporters.parquet import ParquetFile
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
from pipelines.exporters.shapes import Record
from pipelines.exporters.shards import Limit, Shards
from pipelines.exporters.splitting import Division, Splitting
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
        split_of = self._survey(run, projection)
        files = self._splits_with_files(split_of)
        limit = Limit(self.shard_rows, self.shard_mb)
        profile = Profile(left_out=self.row_id)
        counts, example = _write_files(run, folder, projection, split_of, files, limit, profile)
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

    def _survey(self, run: Finished, projection: Projection) -> dict[str, str]:
        """Show all rows to the projection, and give each family its split."""
        label = self._label_column()
        division = Division(self.splitting, label)
        for row in run.rows():
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


def _write_files(
    run: Finished,
    folder: Path,
    projection: Projection,
    split_of: Mapping[str, str],
    splits: Sequence[str],
    limit: Limit,
    profile: Profile,
) -> tuple[dict[str, int], Record | None]:
    """Write both configs and show all records to `profile`.

    Returns:
        The rows of each split, and the first record as an example.
    """
    example: Record | None = None
    with ExitStack() as stack:
        data, origins = (
            {
                split: stack.enter_context(_shards(folder / config, split, columns, limit))
                for split in splits
            }
            for config, columns in ((DATA, projection.types()), (LINEAGE_CONFIG, LINEAGE))
        )
        for row in run.rows():
            split = split_of[row.family]
            record = projection.record(row)
            origins[split].add(lineage(row, split, data[split].rows))
            data[split].add(record)
            profile.add(record)
            example = example or record
    return {split: file.rows for split, file in data.items()}, example


def _shards(folder: Path, split: str, types: Mapping[str, Type], limit: Limit) -> Shards:
    """The files of a split in the folder of a config."""

    def open_file(path: Path) -> ParquetFile:
        return ParquetFile(path, types)

    return Shards(folder, split, ".parquet", open_file, limit, numbered=True)
