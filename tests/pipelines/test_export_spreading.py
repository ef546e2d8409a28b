"""Parquet files that other processes make: the bytes of those that one process makes."""

import copy
import json
import random
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from exports import files_in, finished, questions, rows_of
from pyarrow.parquet import ParquetFile

from pipelines.exporters import Exporter, Finished, HfDataset, Parquet, parquet, place
from pipelines.exporters.base import Spread
from pipelines.exporters.profile import Profile
from pipelines.exporters.spreading import Parcel, parcels, write_export
from pipelines.rows import Row, canonical
from prompts.errors import UsageError


@dataclass
class Elsewhere:
    """Applies functions to copies, as other processes do, and counts what it was given."""

    given: int = 0

    def __call__(self, function: Callable[[Any], Any], given: Iterable[Any]) -> Iterator[Any]:
        kept = copy.deepcopy(function)
        for one in given:
            self.given += 1
            yield copy.deepcopy(kept)(copy.deepcopy(one))


def whole(exporter: Exporter, run: Finished, target: Path) -> Any:
    """Write an export without a second attempt in this process."""
    return place(lambda folder: exporter.write(run, folder), target)


def both(
    exporter: Exporter, rows: list[Row], tmp_path: Path, write: Any = whole
) -> tuple[Any, Any, Elsewhere]:
    """What is written and said here and elsewhere, and how much was done there."""
    elsewhere, lines = Elsewhere(), tmp_path / "rows.jsonl"
    lines.write_text("".join(canonical(row.as_json()) + "\n" for row in rows), encoding="utf-8")
    run = finished(rows, {"rows": len(rows)})
    spread = replace(run, spread=Spread(lines, elsewhere))
    here = written(exporter, run, tmp_path / "a", write)
    return here, written(exporter, spread, tmp_path / "b", write), elsewhere


def written(
    exporter: Exporter, run: Finished, target: Path, write: Any
) -> tuple[str, Any, dict[str, bytes]]:
    """The error, what the exporter said, and the files."""
    try:
        said, error = write(exporter, run, target), ""
    except UsageError as exc:
        said, error = None, str(exc)
    return error, said, files_in(target) if target.exists() else {}


SPLITS = {"train": 0.6, "validation": 0.2, "test": 0.2}
ODD = [
    {"a": 1, "b": None, "c": [], "d": {"x": 1}, "e": "one\u2028\x85 text", "n": 2**60},
    {"a": 0.5, "b": None, "c": [1], "d": {"y": None}, "e": "Zwei"},
    {"z": [None, {"q": "in a list that is new here"}], "b": None, "d": {"y": "x", "x": 2}},
]


@pytest.mark.parametrize(
    "exporter",
    [
        Parquet(shard_rows=7),
        Parquet(shard_rows=10, format="prompt-completion", columns={
            "prompt": "question", "completion": "answer"}),
        Parquet(shard_rows=20, format="classification", columns={
            "text": "question", "label": "topic"}),
        Parquet(shard_rows=3, columns={"q": "question"}),
        HfDataset(shard_rows=7, splits=SPLITS, row_id="id", images=False),
        HfDataset(shard_rows=10, splits=SPLITS, format="classification", columns={
            "text": "question", "label": "topic"}),
        HfDataset(shard_rows=5, images=False),
    ],
)  # fmt: skip
def test_files_made_elsewhere_are_those_made_here(exporter: Exporter, tmp_path: Path) -> None:
    here, there, elsewhere = both(exporter, questions(60, replies=3), tmp_path)
    assert here[0] == ""
    assert len([name for name in here[2] if name.endswith(".parquet")]) >= 3
    assert there == here
    assert elsewhere.given >= 3


@pytest.mark.parametrize("kind", [Parquet, HfDataset])
def test_types_and_figures_are_those_of_all_rows(kind: Any, tmp_path: Path) -> None:
    records: list[dict[str, Any]] = [ODD[number % 3] for number in (0, 1, 1, 2, 0, 2, 1)]
    here, there, elsewhere = both(kind(shard_rows=2), rows_of(records), tmp_path)
    assert here[0] == ""
    assert there == here
    assert elsewhere.given >= 4


def test_the_card_draws_the_same_sample_of_many_rows(tmp_path: Path) -> None:
    # Short texts stand first, so that columns and openings depend on who is asked first.
    records = [
        {"note": f"A note of {n}" if n % 5 else "", "text": f"Words {n % 40} and more of {n}."}
        for n in range(1_500)
    ]
    exporter = HfDataset(shard_rows=300, splits={"train": 0.5, "test": 0.5}, images=False)
    here, there, _ = both(exporter, rows_of(records), tmp_path)
    assert there == here


def test_joined_profiles_are_that_of_all_rows_with_the_columns_in_its_order() -> None:
    records = [
        {
            "a": f"One text of {n}" if n > 3 else None,
            "b": f"Another of {n * n}",
            "c": f"{n} {n} {n}",
        }
        for n in range(1_200)
    ]
    one, odd, even = Profile(), Profile(), Profile()
    for number, record in enumerate(records):
        one.add(record)
        (odd if number % 2 else even).add(record, number)
    joined = Profile()
    for part in (odd, even):
        joined.join(part)
    assert list(joined.columns().items()) == list(one.columns().items())
    assert list(one.columns()) == ["b", "c", "a"]


@pytest.mark.parametrize(
    "records",
    [
        [{"a": 1}] * 5 + [{"a": "text"}],
        [{"a": 1}, {"a": 1}, {"a": 2**60}, {"a": 1}, {"a": 1}, {"a": 0.5}],
        [{"a": 1}, {"a": 1}, {"a": 0.5}, {"a": 1}, {"a": 1}, {"a": 2**60}],
        [{"a": [1]}] * 5 + [{"a": ["x"]}],
        [{"a": {"b": 1}}] * 5 + [{"a": {"b": {}}}],
    ],
)
def test_a_row_that_does_not_fit_is_named_as_ever(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    here, there, elsewhere = both(Parquet(shard_rows=2), rows_of(records), tmp_path, write_export)
    assert "r5" in here[0]
    assert there == here
    assert elsewhere.given


def test_labels_of_two_types_are_refused_as_ever(tmp_path: Path) -> None:
    records = [{"text": f"text {n}", "label": n % 2 if n < 4 else "no"} for n in range(6)]
    exporter = Parquet(shard_rows=2, format="classification")
    here, there, _ = both(exporter, rows_of(records), tmp_path, write_export)
    assert "other types before" in here[0]
    assert there == here


@pytest.mark.parametrize("kind", [Parquet, HfDataset])
def test_a_file_that_its_size_ends_first_is_made_here(
    kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_GROUP_BYTES", 1000)  # each 100 rows are a group
    drawn = random.Random(3)
    rows = rows_of({"text": b64encode(drawn.randbytes(12_000)).decode()} for _ in range(120))
    exporter = kind(shard_rows=110, shard_mb=1)
    here, there, elsewhere = both(exporter, rows, tmp_path, write_export)
    assert here[0] == ""
    first = next((tmp_path / "a").rglob("*-00000-of-00002.parquet"))
    assert ParquetFile(first).metadata.num_rows == 100
    assert there == here
    assert elsewhere.given


def test_no_more_rows_than_a_file_takes_stay_here(tmp_path: Path) -> None:
    here, there, elsewhere = both(Parquet(shard_rows=60), questions(60), tmp_path)
    assert there == here
    assert elsewhere.given == 0


def test_parcels_hold_one_split_each_and_know_their_places() -> None:
    lines = [json.dumps(n).encode() for n in range(7)]
    found = list(parcels(lines, "abaaaba", 2))
    assert found == [
        Parcel("a", 0, [0, 2], [b"0", b"2"]),
        Parcel("a", 2, [3, 4], [b"3", b"4"]),
        Parcel("b", 0, [1, 5], [b"1", b"5"]),
        Parcel("a", 4, [6], [b"6"]),
    ]
