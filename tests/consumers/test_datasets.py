from pathlib import Path
from typing import Any

import datasets
import pytest
from exported_rows import exported, rows

from pipelines.exporters.formats import FORMATS

pytestmark = pytest.mark.slow

FILES = {"jsonl": "json", "csv": "csv", "parquet": "parquet"}


@pytest.fixture(autouse=True)
def quiet() -> None:
    datasets.disable_progress_bars()


@pytest.mark.parametrize("kind", FILES)
def test_load_dataset_reads_the_files(kind: str, tmp_path: Path) -> None:
    folder = exported(tmp_path / "x", kind=kind, format="pairs", shard_rows=3)
    files = sorted(str(path) for path in folder.iterdir())
    cache = str(tmp_path / "cache")
    data: Any = datasets.load_dataset(FILES[kind], data_files=files, cache_dir=cache)["train"]
    expected = [{"anchor": r.data["question"], "positive": r.data["context"]} for r in rows()]
    assert list(data) == expected


@pytest.mark.parametrize("name", ["alpaca", "sharegpt", "openai", "classification", "setfit"])
def test_load_dataset_reads_a_format_as_json_lines(name: str, tmp_path: Path) -> None:
    folder = exported(tmp_path / "x", kind="jsonl", format=name)
    file = str(folder / "data.jsonl")
    data: Any = datasets.load_dataset("json", data_files=file, cache_dir=str(tmp_path / "cache"))
    assert data["train"].column_names == list(FORMATS[name].columns)
    assert data["train"].num_rows == 8
