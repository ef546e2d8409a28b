"""Texts and labels to evaluate: of a run, a file of records, or a Hugging Face dataset.

    load_texts("outputs/sentiment-1", text="", label="")
    Texts(source="sentiment-1", column="text", texts=("A gem.", ...), labels=("positive", ...))

A column that is not named is found out where there is no doubt: by the export of a run, by the
names `text` and `label`, or because only one column holds texts.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from pipelines.folder import RunFolder
from pipelines.launch import find_run, outputs_folder, reopen
from pipelines.rows import JSON
from pipelines.sources.base import Source
from pipelines.sources.hf_dataset import HuggingFaceDataset
from pipelines.sources.records import SUFFIXES, Records
from prompts.errors import SourceError, UsageError, unknown

_LOOK = 200  # records that are looked at to find a column out


@dataclass(frozen=True, slots=True)
class Texts:
    """What is evaluated.

    Attributes:
        source: How it is called in what is shown: never an absolute path.
        column: The column that the texts come from.
        texts: The texts that are not blank.
        labels: Their labels, or nothing.
        blank: Rows that were left out because they have no text.
        unlabelled: Rows that were left out because they have no label.
    """

    source: str
    column: str
    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()
    blank: int = 0
    unlabelled: int = 0

    def __len__(self) -> int:
        return len(self.texts)

    def at(self, places: list[int]) -> "Texts":
        """Those at these places."""
        labels = tuple(self.labels[place] for place in places) if self.labels else ()
        return replace(self, texts=tuple(self.texts[place] for place in places), labels=labels)


class _Here:
    """Finds paths from the working folder."""

    seed = 0

    def path(self, text: str) -> Path:
        path = Path(text).expanduser()
        if not path.exists():
            raise SourceError("no such file or folder", fix="give another path", file=text)
        return path

    def model(self, name: str) -> "None":
        return None


def open_evaluated(name: str) -> RunFolder | None:
    """The run of that name or path; None where it is a file or a dataset."""
    path = Path(name)
    if path.suffix.lower() in SUFFIXES:
        return None
    inside = outputs_folder() / name
    if path.name == name and not path.exists() and inside.exists():
        path = inside
    if (path.is_dir() and RunFolder(path).begun()) or not (path.exists() or "/" in name):
        return find_run(name)
    return None


def load_texts(name: str, *, text: str = "", label: str = "", labelled: bool = False) -> Texts:
    """Read texts, and labels where there are any.

    Args:
        name: A run, a file of records (jsonl, csv, tsv, parquet), or a dataset's folder or Hub id.
        text: The column with the texts; empty finds it out.
        label: The column with the labels; empty takes `label` where it is there.
        labelled: Whether labels are needed.

    Raises:
        UsageError: A column is missing, holds no text, or cannot be found out.
        SourceError: Nothing can be read.
    """
    run = open_evaluated(name)
    shown, records = _open(name, run)
    usual = _exported_columns(run) if run else {}
    column = _text_column(records, text or usual.get("text", ""), shown)
    found = _label_column(records, label or usual.get("label", ""), shown, labelled)
    return _texts(records, shown, column, found)


def load_columns(name: str, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """The texts of several columns, of all rows that have text in each.

    Raises:
        UsageError: There is no such column, or no row has text in all.
    """
    shown, records = _open(name, open_evaluated(name))
    for column in columns:
        if not any(column in record for record in records):
            raise _no_column(records, column, shown, "--fine-tune")
    found: list[tuple[str, ...]] = []
    for record in records:
        row = tuple(value for column in columns if isinstance(value := record.get(column), str))
        if len(row) == len(columns) and all(text.strip() for text in row):
            found.append(row)
    if not found:
        problem = f"'{shown}' has no row with text in {' and '.join(columns)}"
        raise UsageError(problem, fix="name other columns", key="--fine-tune")
    return found


def _open(name: str, run: RunFolder | None) -> tuple[str, list[Mapping[str, JSON]]]:
    """How it is called, and its records."""
    records = [row.data for row in run.rows()] if run else list(_records(name))
    shown = run.path.resolve().name if run else Path(name).name
    if not records:
        fix = "evaluate one that has accepted rows"
        raise UsageError(f"'{shown}' has no rows", fix=fix)
    return shown, records


def _records(name: str) -> Iterator[Mapping[str, JSON]]:
    path = Path(name).expanduser()
    source: Source
    if path.suffix.lower() in SUFFIXES:
        source = Records(path=(name,))
    elif path.is_file():
        endings = ", ".join(sorted(SUFFIXES))
        raise UsageError("not a file of records", fix=f"give one of: {endings}", file=name)
    else:
        source = HuggingFaceDataset(path=name)
    for seed in source.read(_Here()):  # type: ignore[arg-type]
        if hasattr(seed, "data"):
            yield seed.data


def _exported_columns(run: RunFolder) -> dict[str, str]:
    """Which columns the run's own export takes for text and label."""
    for exporter in reopen(run).job.exports:
        columns = getattr(exporter, "columns", None)
        if isinstance(columns, Mapping) and isinstance(columns.get("text"), str):
            return {part: columns[part] for part in ("text", "label") if part in columns}
    return {}


def _text_column(records: list[Mapping[str, JSON]], wanted: str, shown: str) -> str:
    if wanted:
        if not any(wanted in record for record in records):
            raise _no_column(records, wanted, shown, "--text")
        if not any(isinstance(record.get(wanted), str) for record in records):
            fix = "name a column with text"
            raise UsageError(f"column '{wanted}' of '{shown}' holds no text", fix=fix, key="--text")
        return wanted
    holders = {
        column
        for record in islice(records, _LOOK)
        for column, value in record.items()
        if isinstance(value, str) and column != "label"
    }
    if "text" in holders or len(holders) == 1:
        return "text" if "text" in holders else holders.pop()
    fix = f"name one with --text: {', '.join(sorted(holders)) or 'it has none with text'}"
    raise UsageError(f"'{shown}' has several columns with text or none", fix=fix, key="--text")


def _label_column(records: list[Mapping[str, JSON]], wanted: str, shown: str, needed: bool) -> str:
    column = wanted or "label"
    if any(column in record for record in records):
        return column
    if wanted or needed:
        raise _no_column(records, column, shown, "--label")
    return ""


def _no_column(records: list[Mapping[str, JSON]], wanted: str, shown: str, key: str) -> UsageError:
    known = sorted({column for record in islice(records, _LOOK) for column in record})
    error = unknown("column", wanted, known, key=key)
    return UsageError(f"'{shown}' has no column '{wanted}'", fix=error.fix, key=key)


def _texts(records: list[Mapping[str, JSON]], shown: str, column: str, label: str) -> Texts:
    texts: list[str] = []
    labels: list[str] = []
    blank = unlabelled = 0
    for record in records:
        text, mark = record.get(column), record.get(label) if label else ""
        if not isinstance(text, str) or not text.strip():
            blank += 1
        elif mark is None or isinstance(mark, list | dict):
            unlabelled += 1
        else:
            texts.append(text)
            labels.append(str(mark))
    if not texts:
        problem = f"'{shown}' has no row with text in '{column}'"
        raise UsageError(problem, fix="name another column", key="--text")
    return Texts(shown, column, tuple(texts), tuple(labels) if label else (), blank, unlabelled)
