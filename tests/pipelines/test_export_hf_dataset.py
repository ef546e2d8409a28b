import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from exports import exported, files_in, finished, loaded, questions, rows_of

from pipelines.exporters import HfDataset
from pipelines.exporters.parquet import ParquetFile
from pipelines.rows import Row, canonical
from prompts.errors import UsageError

REPOSITORY = Path(__file__).resolve().parents[2]
SPLITS = {"train": 0.8, "validation": 0.1, "test": 0.1}


def plain_rows(dataset: Any) -> dict[str, list[dict[str, Any]]]:
    return {split: list(rows) for split, rows in dataset.items()}


def test_load_dataset_gives_splits_and_lineage(tmp_path: Path) -> None:
    rows = questions(30, replies=3)
    target = tmp_path / "dataset"
    written = exported(HfDataset(format="prompt-completion", splits=SPLITS), rows, target)
    assert written == {"splits": {"train": 24, "validation": 3, "test": 3}}

    data, lineage = loaded(target), loaded(target, "lineage")
    assert list(data) == list(lineage) == ["train", "validation", "test"]
    assert data["train"].column_names == ["prompt", "completion"]
    by_id = {row.id: row for row in rows}
    split_of: dict[str, str] = {}
    for split in data:
        assert len(data[split]) == len(lineage[split]) == written["splits"][split]
        for index, origin in enumerate(lineage[split]):
            row = by_id.pop(origin["id"])
            assert data[split][index] == {
                "prompt": row.data["question"],
                "completion": row.data["answer"],
            }
            assert (origin["split"], origin["index"]) == (split, index)
            assert split_of.setdefault(row.family, split) == split
    assert by_id == {}


def test_lineage_says_where_a_row_comes_from(tmp_path: Path) -> None:
    exported(HfDataset(), questions(3), tmp_path / "dataset")
    assert loaded(tmp_path / "dataset", "lineage")["train"][2] == {
        "id": "r2",
        "split": "train",
        "index": 2,
        "family": "f2",
        "order": "2",
        "source": "source:documents",
        "key": "leave.md:2",
        "document": "leave.md",
        "start": 2,
        "end": 12,
        "history": '[{"key":"leave.md:2","stage":"source:documents"},{"stage":"question"}]',
    }


def test_lineage_takes_no_column_that_only_has_the_name_of_a_place(tmp_path: Path) -> None:
    row = Row("r0", (0,), "f", {"document": ["a"], "start": "noon", "end": 2**70})
    file = HfDataset(columns={"document": "document"})
    exported(file, [row], tmp_path / "dataset")
    origin = loaded(tmp_path / "dataset", "lineage")["train"][0]
    assert [origin[name] for name in ("source", "key", "document", "start", "end")] == [None] * 5
    assert origin["history"] == "[]"


def test_any_column_of_json_survives_the_way_through_parquet(tmp_path: Path) -> None:
    records = [
        {"text": "a\u2028\x00\u202e👩‍👩‍👧 |`", "n": 1, "score": 1, "dots.in": True},
        {"text": None, "n": -(2**63), "score": 0.5, "tags": [], "where": None},
        {"tags": ["x", None], "where": {"line": 3, "names": ["y"]}, "turns": [{"role": "user"}]},
    ]
    exported(HfDataset(), rows_of(records), tmp_path / "dataset")
    data = loaded(tmp_path / "dataset")["train"]
    names = ["text", "n", "score", "dots.in", "tags", "where", "turns"]
    assert data.column_names == names
    assert list(data) == [{name: record.get(name) for name in names} for record in records]


def test_classes_keep_their_names(tmp_path: Path) -> None:
    records = [{"review": f"text {i}", "mood": ("good", "bad")[i % 2]} for i in range(20)]
    exporter = HfDataset(format="classification", label="mood", splits={"train": 0.5, "test": 0.5})
    exported(exporter, rows_of(records), tmp_path / "dataset")
    data = loaded(tmp_path / "dataset")
    assert data["train"].features["label"].names == ["bad", "good"]
    for split in ("train", "test"):
        assert sorted(data[split]["label"]) == [0] * 5 + [1] * 5
        assert all(row["text"].startswith("text ") for row in data[split])


def test_the_label_column_is_spread_evenly_in_any_format(tmp_path: Path) -> None:
    exporter = HfDataset(columns=["topic"], label="topic", splits={"train": 0.5, "test": 0.5})
    exported(exporter, questions(30), tmp_path / "dataset")
    topics = loaded(tmp_path / "dataset")["test"]["topic"]
    assert sorted(topics) == ["leave"] * 5 + ["pay"] * 5 + ["travel"] * 5


def test_a_label_that_no_row_has_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        exported(HfDataset(columns=["topic"], label="topc"), questions(3), tmp_path / "dataset")
    assert str(caught.value).startswith("label: unknown column 'topc'; fix: write 'topic' (known: ")
    assert list(tmp_path.iterdir()) == []


def test_a_column_that_no_row_has_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown column 'topc'"):
        exported(HfDataset(columns=["topc"]), questions(3), tmp_path / "dataset")


def test_mixed_types_are_named_and_nothing_is_left_behind(tmp_path: Path) -> None:
    rows = rows_of([{"score": 1}, {"score": "high"}])
    with pytest.raises(UsageError) as caught:
        exported(HfDataset(), rows, tmp_path / "dataset")
    assert "column 'score' holds text in row r1 and whole numbers before it" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_split_that_gets_no_rows_has_no_file(tmp_path: Path) -> None:
    """`datasets` cannot load any split of a folder in which one is empty."""
    target = tmp_path / "dataset"
    written = exported(HfDataset(splits=SPLITS), questions(4, replies=2), target)
    assert written == {"splits": {"train": 2, "validation": 2, "test": 0}}
    assert list(loaded(target)) == list(loaded(target, "lineage")) == ["train", "validation"]
    assert "Source rows were too few to give any to `test`" in (target / "README.md").read_text()


@pytest.mark.parametrize(
    ("exporter", "columns"),
    [
        (HfDataset(format="messages", splits=SPLITS), ["messages"]),
        (HfDataset(columns=["question"], row_id="id", splits=SPLITS), ["id", "question"]),
        (
            HfDataset(format="classification", labels=["no", "yes"], splits=SPLITS),
            ["text", "label"],
        ),
        (HfDataset(splits=SPLITS), []),
    ],
)
def test_no_rows_make_an_empty_dataset(
    exporter: HfDataset, columns: list[str], tmp_path: Path
) -> None:
    import datasets
    from pyarrow import parquet

    target = tmp_path / "dataset"
    assert exported(exporter, [], target) == {"splits": {"train": 0, "validation": 0, "test": 0}}
    for split in SPLITS:
        table = parquet.read_table(target / f"data/{split}-00000-of-00001.parquet")
        assert (table.num_rows, table.column_names) == (0, columns)
    streamed = datasets.load_dataset(str(target), streaming=True)
    assert [(split, list(rows)) for split, rows in streamed.items()] == [(s, []) for s in SPLITS]
    assert list(streamed["test"].features) == columns


def test_rows_that_unite_families_stay_together(tmp_path: Path) -> None:
    rows = rows_of([{"n": i} for i in range(6)], ["a", "b", "a+b", "c", "c", "d"])
    exported(HfDataset(splits={"train": 0.5, "test": 0.5}), rows, tmp_path / "dataset")
    splits = {tuple(sorted(part["n"])) for part in loaded(tmp_path / "dataset").values()}
    assert splits == {(0, 1, 2), (3, 4, 5)}


def test_every_repeat_gives_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    exporter = HfDataset(format="classification", columns={"text": "question"}, label="topic")
    rows = questions(250, replies=3)
    exported(exporter, rows, tmp_path / "first")
    exported(exporter, rows, tmp_path / "second")
    code = (
        "import sys; from pathlib import Path; from exports import exported, questions\n"
        "from pipelines.exporters import HfDataset\n"
        f"exporter = HfDataset.model_validate({exporter.model_dump()!r})\n"
        "exported(exporter, questions(250, replies=3), Path(sys.argv[1]))\n"
    )
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "123",
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(Path(__file__).parent)]),
        "TZ": "Asia/Tokyo",
        "USER": "ada",
    }
    other = tmp_path / "elsewhere" / "other"
    subprocess.run([sys.executable, "-c", code, str(other)], env=environment, check=True)
    first = files_in(tmp_path / "first")
    assert len(first) == 6  # card, rows, lineage, three pictures
    assert files_in(tmp_path / "second") == first
    assert files_in(other) == first


def test_rows_are_read_twice_and_never_collected(tmp_path: Path) -> None:
    passes = 0
    alive = 0
    most = 0

    class Watched(dict[str, Any]):
        def __init__(self, text: str) -> None:
            nonlocal alive, most
            super().__init__(text=text)
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def rows() -> Any:
        nonlocal passes
        passes += 1
        for index in range(2000):
            yield Row(f"r{index}", (index,), f"f{index}", Watched(f"text {index}"))

    run = finished([])
    exporter = HfDataset(splits=SPLITS)
    exporter.write(type(run)(rows, run.manifest, run.job), tmp_path)
    assert passes == 2
    assert most < 10


def test_row_groups_are_bounded_by_rows_and_by_bytes(tmp_path: Path) -> None:
    from pyarrow import parquet

    from pipelines.exporters.columns import TEXT

    for name, count, text in (("many", 25_000, "x"), ("long", 500, "y" * 100_000)):
        with ParquetFile(tmp_path / "data" / name, {"text": TEXT}) as file:
            for _ in range(count):
                file.add({"text": text})
        found = parquet.ParquetFile(tmp_path / "data" / name)
        groups = [found.metadata.row_group(i).num_rows for i in range(found.num_row_groups)]
        assert sum(groups) == file.rows == count
        assert max(groups) == {"many": 10_000, "long": 200}[name]


def test_history_is_json_that_can_be_read_again(tmp_path: Path) -> None:
    event = {"stage": "question", "seed": 812, "prompt": "qa/question@1f0c9e", "text": "ü \u2028"}
    row = Row("r0", (17, 0, 2), "f", {"q": "Q"}, (event,))
    exported(HfDataset(), [row], tmp_path / "dataset")
    origin = loaded(tmp_path / "dataset", "lineage")["train"][0]
    assert origin["order"] == "17.0.2"
    assert json.loads(origin["history"]) == [event]
    assert origin["history"] == canonical([event])
