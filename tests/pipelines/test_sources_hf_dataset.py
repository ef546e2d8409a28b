import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, Value
from pyarrow import parquet
from source_views import View, build, parted

from pipelines.sources import SOURCES
from prompts.errors import SourceError

FEATURES = Features(
    {
        "text": Value("string"),
        "label": ClassLabel(names=["neg", "pos"]),
        "tags": [ClassLabel(names=["a", "b"])],
        "when": Value("timestamp[s]"),
        "deep": {"label": ClassLabel(names=["x", "y"])},
    }
)
ROWS = [
    {"text": "good", "label": 1, "tags": [0, 1], "when": 0, "deep": {"label": 1}},
    {"text": "none", "label": -1, "tags": [], "when": None, "deep": {"label": 0}},
]


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
    datasets.disable_progress_bars()


def saved(folder: Path, name: str = "saved") -> None:
    Dataset.from_list(ROWS, features=FEATURES).save_to_disk(folder / name)


def json_folder(folder: Path, name: str = "loc", **splits: list[dict[str, Any]]) -> None:
    (folder / name).mkdir(exist_ok=True)
    for split, records in splits.items():
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (folder / name / f"{split}.jsonl").write_text(lines, encoding="utf-8")


def rows(folder: Path, **settings: Any) -> list[dict[str, Any]]:
    found, bad = parted(build("hf_dataset", **settings).read(View(folder)))
    assert bad == []
    return [seed.data for seed in found]


def test_class_labels_become_their_names_and_times_text(tmp_path: Path) -> None:
    saved(tmp_path)
    assert rows(tmp_path, path="saved") == [
        {
            "text": "good",
            "label": "pos",
            "tags": ["a", "b"],
            "when": "1970-01-01T00:00:00",
            "deep": {"label": "y"},
        },
        {"text": "none", "label": None, "tags": [], "when": None, "deep": {"label": "x"}},
    ]


def test_columns_are_chosen_renamed_and_one_names_the_row(tmp_path: Path) -> None:
    saved(tmp_path)
    source = build("hf_dataset", path="saved", columns={"review": "text"}, key="label")
    assert source.columns(View(tmp_path)) == {"review"}
    found, bad = parted(source.read(View(tmp_path)))
    assert [(seed.data, seed.key) for seed in found] == [({"review": "good"}, "pos")]
    assert [(item.key, item.reason) for item in bad] == [("saved:2", "no_key")]


def test_a_folder_of_data_files_is_read_by_split(tmp_path: Path) -> None:
    json_folder(tmp_path, train=[{"q": f"train {n}"} for n in range(5)], test=[{"q": "test"}])
    assert [row["q"] for row in rows(tmp_path, path="loc")] == [f"train {n}" for n in range(5)]
    assert rows(tmp_path, path="loc", split="test") == [{"q": "test"}]
    assert rows(tmp_path, path="loc", split="train[1:3]") == [{"q": "train 1"}, {"q": "train 2"}]
    assert len(rows(tmp_path, path="loc", split="train+test")) == 6
    for split in ("", "test", "train[1:3]", "train+test"):
        source = build("hf_dataset", path="loc", split=split)
        assert source.columns(View(tmp_path)) == {"q"}


def test_the_only_split_needs_no_name(tmp_path: Path) -> None:
    json_folder(tmp_path, test=[{"q": "test"}])
    assert rows(tmp_path, path="loc") == [{"q": "test"}]
    DatasetDict(validation=Dataset.from_list([{"q": 1}])).save_to_disk(tmp_path / "one")
    assert rows(tmp_path, path="one") == [{"q": 1}]


def write_script(folder: Path) -> None:
    (folder / "script").mkdir()
    code = f"open({str(folder / 'canary')!r}, 'w')\n"
    (folder / "script" / "script.py").write_text(code, encoding="utf-8")


def write_pictures(folder: Path) -> None:
    (folder / "pictures").mkdir()
    table = Dataset.from_list(
        [{"q": "a", "i": None}], features=Features({"q": Value("string"), "i": Image()})
    )
    table.to_parquet(folder / "pictures" / "train.parquet")


def write_bad_parquet(folder: Path) -> None:
    (folder / "bad").mkdir()
    (folder / "bad" / "train.parquet").write_bytes(b"PAR1 no more")


def write_two_splits(folder: Path) -> None:
    json_folder(folder, "two", validation=[{"q": "a"}], test=[{"q": "b"}])


@pytest.mark.parametrize(
    ("make", "settings", "problem"),
    [
        (saved, {"path": "saved", "columns": ["txt"]}, "columns: text, label, tags"),
        (saved, {"path": "saved", "key": "id"}, "has no column 'id'"),
        (saved, {"path": "saved", "split": "train"}, "saved without splits"),
        (write_two_splits, {"path": "two"}, "no split 'train'.*test.*validation|validation, test"),
        (write_two_splits, {"path": "two", "split": "dev"}, "dev.*(test|validation)"),
        (write_two_splits, {"path": "two", "config": "en"}, "'en' not found. Available"),
        (write_script, {"path": "script"}, "needs a script of its own.*refs/convert/parquet"),
        (write_bad_parquet, {"path": "bad"}, "dataset 'bad' cannot be loaded: Parquet magic"),
        (lambda folder: (folder / "empty").mkdir(), {"path": "empty"}, "any data files"),
        (write_two_splits, {"path": "two/test.jsonl"}, "is a file.*kind: records"),
        (write_two_splits, {"path": "../no/where"}, "no such file or folder"),
        (
            write_two_splits,
            {"path": "some/dataset"},
            "cannot be reached.*hf download.*some/dataset",
        ),
    ],
)
def test_what_cannot_be_read_is_said_with_what_to_do(
    tmp_path: Path, make: Any, settings: dict[str, Any], problem: str
) -> None:
    make(tmp_path)
    source = build("hf_dataset", **settings)
    for use in (source.columns, lambda view: list(source.read(view))):
        with pytest.raises(SourceError, match=problem):
            use(View(tmp_path))
    assert not (tmp_path / "canary").exists()


def test_pictures_are_left_out_by_naming_columns(tmp_path: Path) -> None:
    write_pictures(tmp_path)
    with pytest.raises(SourceError, match="column 'i' of 'pictures' is of type Image"):
        list(build("hf_dataset", path="pictures").read(View(tmp_path)))
    assert rows(tmp_path, path="pictures", columns=["q"]) == [{"q": "a"}]


def test_what_went_wrong_inside_the_library_is_said(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    parquet.write_table(pa.table({"q": pa.array([], pa.string())}), tmp_path / "none" / "a.parquet")
    with pytest.raises(SourceError, match="cannot be loaded: BatchSize must be greater than 0"):
        rows(tmp_path, path="none")


def test_the_fingerprint_tells_what_would_be_read(tmp_path: Path) -> None:
    json_folder(tmp_path, train=[{"q": "a", "n": 1}, {"q": "b", "n": 2}])
    view = View(tmp_path)
    source = build("hf_dataset", path="loc")
    first = source.fingerprint(view)
    assert source.fingerprint(view) == first
    only = build("hf_dataset", path="loc", columns=["q"])
    before = only.fingerprint(view)
    assert before != first
    json_folder(tmp_path, train=[{"q": "a", "n": 1}, {"q": "b", "n": 33}])
    assert source.fingerprint(view) != first
    assert only.fingerprint(view) == before, "a column that is not taken does not matter"
    json_folder(tmp_path, train=[{"q": "a", "n": 1}, {"q": "cc", "n": 33}])
    assert only.fingerprint(view) != before


def test_progress_bars_are_off_and_left_as_they_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    json_folder(tmp_path, train=[{"q": "a"}])
    datasets.enable_progress_bars()
    rows(tmp_path, path="loc")
    assert capsys.readouterr().err == ""
    assert not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    rows(tmp_path, path="loc")
    assert datasets.are_progress_bars_disabled()


def test_a_resolved_source_is_read_back_as_it_was() -> None:
    source = build("hf_dataset", path="a/b", columns=["x"], split="train", revision="main")
    dumped = source.model_dump(mode="json")
    assert dumped["columns"] == {"x": "x"}
    assert SOURCES.build(dumped) == source
