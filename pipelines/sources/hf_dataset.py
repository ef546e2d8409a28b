"""`hf_dataset`: rows of a Hugging Face dataset, from a local folder or by its Hub id.

    - {kind: hf_dataset, path: SetFit/sst2, split: train, columns: {text: sentence, label: label}}

    {"sentence": "a gem", "label": 1}  ->  Seed(data={"text": "a gem", "label": "positive"})

Class labels become their names, no label (-1) becomes null; other values are converted as for
`records`. A local folder may hold data files with or without a dataset card, or what `save_to_disk`
wrote.
"""

import errno
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from chains.loading.base import Unreadable
from pipelines.rows import digest
from pipelines.sources.base import SOURCES, BadSeed, Seed, Source, SourceView
from pipelines.sources.files import find_files, hash_files
from pipelines.sources.stream import require_some
from pipelines.sources.values import ColumnChoice, missing_columns, record_seed
from pipelines.sources.where import Where, check_where, matcher
from prompts.errors import ResourceError, SourceError, TextmillError

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


@SOURCES.register
class HuggingFaceDataset(Source):
    """A dataset that the `datasets` library reads without running code of the dataset's own.

    Attributes:
        path: A local folder or a Hub id.
        config: The dataset's configuration, where it has several.
        split: `train`, `train[:100]`, `train+test` ...; left out, train or the only one.
        revision: Branch, tag or commit of a Hub dataset.
        columns: The columns to take: `{new: old}`, or a list of names; left out, all.
        key: A column whose value names the row.
        where: Which rows are taken; see `pipelines.sources.where`.
        streaming: Read as a stream instead of fetching all of it and converting it first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    kind: Literal["hf_dataset"] = "hf_dataset"
    path: str = Field(min_length=1)
    config: str = ""
    split: str = ""
    revision: str = ""
    choice: ColumnChoice = Field(default=None, alias="columns")
    key: str = ""
    where: Where = {}
    streaming: bool = False

    @model_validator(mode="after")
    def _stream_is_of_a_whole_split(self) -> "HuggingFaceDataset":
        if self.streaming and set(self.split) & set("[+"):
            raise ValueError("a stream is of one whole split; take less by 'where' or 'rows'")
        return self

    def columns(self, view: SourceView) -> set[str]:
        """Those of `columns`, else all that the dataset has.

        Raises:
            SourceError: The dataset cannot be had, or lacks a column.
        """
        dataset = self._open(view, look=True)
        with _wrapped(self.path):
            known = dataset.column_names or list(next(iter(dataset), {}))
        self._require(known)
        check_where(self.where, known, self.path)
        return set(self.choice or known)

    def read(self, view: SourceView) -> Iterator[Seed | BadSeed]:
        """One seed a row of the split."""
        items = self._read(self._open(view))
        yield from require_some(items, [self.path], where=bool(self.where))

    def fingerprint(self, view: SourceView) -> str:
        """Changes with the rows of the split, in the columns that are taken.

        Of a stream: with the files of the folder, or the commit on the Hub.
        """
        if self.streaming:
            return digest(self.model_dump(mode="json", exclude={"path"}), self._version(view))
        dataset = self._open(view)
        content = hashlib.sha256(repr(dataset.features).encode())
        for table in dataset.with_format("arrow").iter(batch_size=1000):
            for batch in table.combine_chunks().to_batches():
                content.update(batch.serialize())
        return digest(self.model_dump(mode="json", exclude={"path"}), content.hexdigest())

    def _read(self, dataset: Any) -> Iterator[Seed | BadSeed]:
        taken = matcher(self.where)
        features = dataset.features or {}  # a stream of JSON has none, and no class labels
        for place, record in enumerate(_records(dataset, self.path), 1):
            named = {name: _named(value, features.get(name)) for name, value in record.items()}
            try:
                if taken(named):
                    yield record_seed(named, self.choice, self.key)
            except Unreadable as bad:
                yield BadSeed.of(bad, f"{self.path}:{place}")

    def _open(self, view: SourceView, *, look: bool = False) -> Any:
        """The split with the columns that are wanted; to `look`, as a stream without a download."""
        with _wrapped(self.path):
            folder = self._folder(view)
            if folder is not None and _is_saved(folder):
                dataset = self._saved(folder)
            else:
                dataset = self._loaded(folder, look or self.streaming)
        if look:
            return dataset
        if dataset.column_names:  # a stream may not know them
            self._require(dataset.column_names)
        wanted = [*missing_columns(self.choice, self.key, []), *self.where] if self.choice else []
        dataset = dataset.select_columns(list(dict.fromkeys(wanted))) if wanted else dataset
        for name, feature in (dataset.features or {}).items():
            if hasattr(feature, "decode_example"):
                fix = "name the columns with text: 'columns: [...]'"
                what = type(feature).__name__
                raise SourceError(f"column '{name}' of '{self.path}' is of type {what}", fix=fix)
        return dataset

    def _version(self, view: SourceView) -> Any:
        folder = self._folder(view)
        if folder is None:
            from huggingface_hub import HfApi

            with _wrapped(self.path):
                return HfApi().dataset_info(self.path, revision=self.revision or None).sha
        endings = {path.suffix.lower() for path in folder.rglob("*")}
        return hash_files(find_files([self.path], view, endings))

    def _folder(self, view: SourceView) -> Path | None:
        try:
            folder = view.path(self.path)
        except SourceError:
            if _HUB_ID.fullmatch(self.path):
                return None
            raise
        if folder.is_dir():
            return folder
        fix = "use 'kind: records' for a single file, or give the folder"
        raise SourceError(f"'{self.path}' is a file, not a dataset folder", fix=fix)

    def _saved(self, folder: Path) -> Any:
        import datasets

        loaded = datasets.load_from_disk(str(folder))
        if isinstance(loaded, datasets.DatasetDict):
            return self._choose(loaded, self.split)
        if self.split:
            problem = f"'{self.path}' was saved without splits"
            raise SourceError(problem, fix="leave 'split' out", key="split")
        return loaded

    def _loaded(self, folder: Path | None, look: bool) -> Any:
        import datasets

        split = re.split(r"[\[+]", self.split)[0] if look else self.split
        with _no_bars():
            loaded = datasets.load_dataset(
                self.path if folder is None else str(folder),
                self.config or None,
                split=split or None,
                revision=self.revision or None,
                streaming=look,
            )
        return loaded if split else self._choose(loaded, "")

    def _choose(self, splits: Any, wanted: str) -> Any:
        names = list(splits)
        wanted = wanted or ("train" if "train" in names or len(names) != 1 else names[0])
        if wanted not in names:
            fix = f"its splits: {', '.join(names)}"
            raise SourceError(f"'{self.path}' has no split '{wanted}'", fix=fix, key="split")
        return splits[wanted]

    def _require(self, known: list[str]) -> None:
        missing = missing_columns(self.choice, self.key, known)
        if missing:
            fix = f"its columns: {', '.join(known)}"
            raise SourceError(f"'{self.path}' has no column '{missing[0]}'", fix=fix, key="columns")


def _records(dataset: Any, path: str) -> Iterator[dict[str, Any]]:
    """The rows; what a stream meets on its way is said like what loading meets."""
    rows = iter(dataset)
    while True:
        with _wrapped(path):
            record = next(rows, None)
        if record is None:
            return
        yield record


def _is_saved(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("state.json", "dataset_dict.json"))


def _named(value: Any, feature: Any) -> Any:
    """`value` with the numbers of class labels replaced by their names."""
    if hasattr(feature, "int2str"):
        return None if value is None or value < 0 else feature.int2str(value)
    if isinstance(value, dict) and isinstance(feature, dict):
        return {name: _named(item, feature[name]) for name, item in value.items()}
    if isinstance(value, list) and hasattr(feature, "feature"):
        return [_named(item, feature.feature) for item in value]
    return value


@contextmanager
def _no_bars() -> Iterator[None]:
    """Keep the library's progress bars off; the run has one of its own."""
    from datasets.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    were_off = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not were_off:
            enable_progress_bars()


@contextmanager
def _wrapped(path: str) -> Iterator[None]:
    """Turn what `datasets` raises into a `SourceError` that says what to do."""
    try:
        yield
    except TextmillError:
        raise
    except Exception as exc:
        if isinstance(exc, OSError) and exc.errno == errno.ENOSPC:
            raise ResourceError(f"no space left to load '{path}'", fix="free some") from exc
        raise _explained(path, exc) from exc


def _explained(path: str, exc: Exception) -> SourceError:
    from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError

    cause = exc.__cause__ if isinstance(exc, DatasetGenerationError) else None
    found = str(cause or exc).split("\n")[0]
    if "scripts are no longer supported" in found:
        fix = "take its Parquet version (revision: refs/convert/parquet), or convert it once"
        return SourceError(f"dataset '{path}' needs a script of its own to load", fix=fix)
    if isinstance(exc, ConnectionError | DatasetNotFoundError):
        fix = (
            "give a local folder, or fetch it first on a machine with a network: "
            f"hf download --repo-type dataset {path}"
        )
        return SourceError(f"dataset '{path}' cannot be reached: {found}", fix=fix)
    return SourceError(
        f"dataset '{path}' cannot be loaded: {found}", fix="check path, config and split"
    )
