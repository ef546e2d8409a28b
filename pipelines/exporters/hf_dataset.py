"""A Hugging Face dataset: Parquet splits, a lineage config and a card for `load_dataset(folder)`.

    {kind: hf_dataset, format: prompt-completion, splits: {train: 0.8, validation: 0.1, test: 0.1}}

    README.md                                     the card
    data/train-00000-of-00001.parquet             prompt, completion
    lineage/train-00000-of-00001.parquet          id, split, index, family, ..., history

The rows are read twice, once to learn types, classes and families, once to write; what is held in
memory is the split of each family.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pipelines.exporters.about import About
from pipelines.exporters.base import EXPORTERS, Exporter, Finished
from pipelines.exporters.card import write_card
from pipelines.exporters.formats import FORMATS, ROWS, Record, format_names, resolve
from pipelines.exporters.layout import DATA, LINEAGE_CONFIG, shard
from pipelines.exporters.lineage import LINEAGE, lineage
from pipelines.exporters.parquet import ParquetFile
from pipelines.exporters.projection import (
    PartsProjection,
    Projection,
    RowsProjection,
    check_columns,
)
from pipelines.exporters.splits import assign
from pipelines.rows import canonical
from prompts.errors import unknown

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
        license: Identifier of a license as the Hub knows it, such as `apache-2.0`.
        language: Language codes, ISO 639.
        pretty_name: Title of the card; left out, the job's name.
    """

    kind: Literal["hf_dataset"] = "hf_dataset"
    format: str = ROWS
    columns: dict[str, str] = {}
    row_id: str = ""
    label: str = ""
    labels: tuple[str, ...] = ()
    splits: dict[str, Annotated[float, Field(gt=0, le=1)]] = {"train": 1.0}
    license: Annotated[str, Field(pattern=r"^([a-z0-9][a-z0-9.+-]*)?$")] = ""
    language: tuple[Language, ...] = ()
    pretty_name: str = ""

    @field_validator("format")
    @classmethod
    def _format_exists(cls, value: str) -> str:
        if value not in format_names():
            raise ValueError(unknown("format", value, format_names()).fix)
        return value

    @field_validator("columns", mode="before")
    @classmethod
    def _list_keeps_names(cls, value: Any) -> Any:
        if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
            if len(set(value)) < len(value):
                raise ValueError("name each column once")
            return {name: name for name in value}
        return value

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
        if self.labels and not self._is_labelled():
            raise ValueError("labels is for format 'classification'")
        if len(set(self.labels)) < len(self.labels):
            raise ValueError("name each of the labels once")
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
        counts, example = _write_files(run, folder, projection, split_of, files)
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
            example=example,
        )
        write_card(folder / "README.md", about, run)
        return {"splits": dict(about.rows)}

    def _is_labelled(self) -> bool:
        return self.format != ROWS and "label" in FORMATS[self.format].parts

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
        sizes: Counter[tuple[str, str]] = Counter()
        label = self._label_column()
        labelled = not label
        for row in run.rows():
            projection.survey(row)
            sizes[row.family, canonical(row.data.get(label)) if label else ""] += 1
            labelled = labelled or label in row.data
        if sizes and not labelled:
            raise unknown("column", label, list(projection.types()), key="label")
        return assign(sizes, self.splits, run.manifest["job"]["seed"])

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
) -> tuple[dict[str, int], Record | None]:
    """Write both configs; gives the rows of each split, and the first record as an example."""
    example: Record | None = None
    types = projection.types()
    with ExitStack() as stack:
        data, origins = (
            {
                split: stack.enter_context(ParquetFile(folder / shard(config, split), columns))
                for split in splits
            }
            for config, columns in ((DATA, types), (LINEAGE_CONFIG, LINEAGE))
        )
        for row in run.rows():
            split = split_of[row.family]
            record = projection.record(row)
            origins[split].add(lineage(row, split, data[split].rows))
            data[split].add(record)
            example = example or record
    return {split: file.rows for split, file in data.items()}, example
