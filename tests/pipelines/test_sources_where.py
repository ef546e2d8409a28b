import gzip
import json
from pathlib import Path
from typing import Any

import datasets
import pytest
import zstandard
from source_views import View, build, parted

from pipelines.sources import BadSeed
from prompts.errors import SourceError, UsageError

REVIEWS = [
    {"text": "good", "label": "pos", "stars": 5, "seen": True, "tags": ["a", "b"]},
    {"text": "not so good", "label": "neg", "stars": 2, "seen": False, "tags": []},
    {"text": "fair enough", "label": "mid", "stars": 3.5, "seen": None, "tags": ["a"]},
]
JSONL = "".join(json.dumps(review) + "\n" for review in REVIEWS)
CSV = "text,label,stars,seen\ngood,pos,5,true\nnot so good,neg,2,FALSE\nfair enough,mid,3.5,\n"


def taken(folder: Path, name: str, content: bytes | str, **settings: Any) -> list[str]:
    data = content.encode() if isinstance(content, str) else content
    (folder / name).write_bytes(data)
    rows, bad = parted(build("records", path=name, **settings).read(View(folder)))
    assert bad == []
    return [str(row.data["label"]) for row in rows]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, ["pos", "neg", "mid"]),
        ({"label": "neg"}, ["neg"]),
        ({"label": ["pos", "mid"]}, ["pos", "mid"]),
        ({"stars": 5}, ["pos"]),
        ({"stars": [2, 3.5]}, ["neg", "mid"]),
        ({"seen": True}, ["pos"]),
        ({"stars": {"min": 3.5}}, ["pos", "mid"]),
        ({"stars": {"min": 2, "max": 4}}, ["neg", "mid"]),
        ({"text": {"min_length": 5, "max_length": 11}}, ["neg", "mid"]),
        ({"text": {"max_length": 4}, "label": ["pos", "neg"]}, ["pos"]),
    ],
)
def test_conditions_mean_the_same_in_json_and_csv(
    tmp_path: Path, where: dict[str, Any], expected: list[str]
) -> None:
    assert taken(tmp_path, "r.jsonl", JSONL, where=where) == expected
    assert taken(tmp_path, "r.csv", CSV, where=where) == expected


def test_types_are_told_apart_where_the_file_has_types(tmp_path: Path) -> None:
    lines = '{"label": "one", "v": 1}\n{"label": "true", "v": true}\n{"label": "null", "v": null}\n'
    for value, expected in ((1, "one"), (True, "true"), (None, "null")):
        assert taken(tmp_path, "v.jsonl", lines, where={"v": value}) == [expected]
    assert taken(tmp_path, "v.jsonl", lines, where={"v": {"min": 0}}) == ["one"]
    assert taken(tmp_path, "r.jsonl", JSONL, where={"tags": {"min_length": 1}}) == ["pos", "mid"]


def test_a_column_of_where_need_not_be_taken(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"columns": {"label": "text"}, "where": {"label": "neg"}}
    assert taken(tmp_path, "r.jsonl", JSONL, **settings) == ["not so good"]
    table = datasets.Dataset.from_list([{"text": "t", "label": "neg"}, {"text": "u", "label": "x"}])
    table.to_parquet(tmp_path / "r.parquet")
    source = build("records", path="r.parquet", **settings)
    assert [row.data for row in parted(source.read(View(tmp_path)))[0]] == [{"label": "t"}]


def test_a_record_without_the_column_is_listed_and_one_left_out_is_not(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(JSONL + '{"text": "x"}\n', encoding="utf-8")
    source = build("records", path="r.jsonl", where={"label": "neg"})
    rows, bad = parted(source.read(View(tmp_path)))
    assert len(rows) == 1
    assert [(each.key, each.reason) for each in bad] == [("r.jsonl:4", "missing_column")]


def test_what_is_wrong_with_where_is_said(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(JSONL, encoding="utf-8")
    with pytest.raises(SourceError, match=r"where: no column 'lable' in 'r.jsonl'; fix: its col"):
        build("records", path="r.jsonl", where={"lable": 1}).columns(View(tmp_path))
    with pytest.raises(SourceError, match=r"where: no record of 'r.jsonl' is as 'where' asks"):
        list(build("records", path="r.jsonl", where={"label": "none"}).read(View(tmp_path)))
    for wrong in ({"stars": {}}, {"stars": {"least": 3}}, {"text": {"min_length": -1}}):
        with pytest.raises(UsageError, match=r"sources\.0\.where"):
            build("records", path="r.jsonl", where=wrong)


def test_where_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(JSONL, encoding="utf-8")
    prints = {
        build("records", path="r.jsonl", where=where).fingerprint(View(tmp_path))
        for where in ({}, {"label": "neg"}, {"label": "pos"})
    }
    assert len(prints) == 3


# Compressed files.


def zst(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".zst", zst)])
def test_compressed_files_give_the_rows_of_the_plain_ones(
    tmp_path: Path, ending: str, pack: Any
) -> None:
    expected = ["pos", "neg", "mid"]
    assert taken(tmp_path, f"a.jsonl{ending}", pack(JSONL.encode())) == expected
    assert taken(tmp_path, f"a.csv{ending}", pack(CSV.encode())) == expected
    assert taken(tmp_path, f"b.CSV{ending}", pack(CSV.encode("utf-16"))) == expected
    twice = pack(JSONL.encode()) + pack(JSONL.encode())
    assert taken(tmp_path, f"c.ndjson{ending}", twice) == expected * 2
    assert build("records", path=f"a.csv{ending}").columns(View(tmp_path)) == {
        *("text", "label", "stars", "seen")
    }


def only_fault(folder: Path, name: str, data: bytes) -> BadSeed:
    """What is wrong with a file, which stands beside a good one."""
    (folder / name).write_bytes(data)
    (folder / "good.jsonl").write_text(JSONL, encoding="utf-8")
    rows, bad = parted(build("records", path=[name, "good.jsonl"]).read(View(folder)))
    assert [row.data for row in rows][-3:] == REVIEWS
    assert len(bad) == 1
    return bad[0]


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_damaged_and_cut_files_are_said_and_not_taken_as_ended(tmp_path: Path, ending: str) -> None:
    packed = (gzip.compress if ending == "gz" else zst)(JSONL.encode() * 500)
    assert only_fault(tmp_path, f"r.jsonl.{ending}", packed[:-9]).reason == "malformed"
    assert only_fault(tmp_path, f"r.jsonl.{ending}", b"nothing packed").reason == "malformed"
    assert only_fault(tmp_path, f"r.txt.{ending}", packed).reason == "unsupported_type"
    assert only_fault(tmp_path, f"r.{ending}", packed).reason == "unsupported_type"


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_bomb_is_left_when_it_has_grown_too_much(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.sources.compressed._FREE", 1 << 20)
    line = b'{"a": "' + b"x" * 10_000 + b'"}\n'
    packed = (gzip.compress if ending == "gz" else zst)(line * 2000)
    limit = max(200 * len(packed), 1 << 20)
    assert limit < 2000 * len(line)
    (tmp_path / f"r.jsonl.{ending}").write_bytes(packed)
    rows, bad = parted(build("records", path=f"r.jsonl.{ending}").read(View(tmp_path)))
    assert [each.reason for each in bad] == ["zip_bomb"]
    assert len(rows) <= limit / len(line)


# Datasets.


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_text(JSONL, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("streaming", [False, True])
def test_rows_of_a_dataset_are_chosen_as_those_of_files(dataset: Path, streaming: bool) -> None:
    settings: dict[str, Any] = {"path": "data", "streaming": streaming, "columns": ["text"]}
    source = build("hf_dataset", **settings, where={"stars": {"min": 3}}, key="label")
    assert source.columns(View(dataset)) == {"text"}
    rows, _ = parted(source.read(View(dataset)))
    assert [(row.key, row.data) for row in rows] == [
        ("pos", {"text": "good"}),
        ("mid", {"text": "fair enough"}),
    ]
    with pytest.raises(SourceError, match="where: no column 'star'"):
        build("hf_dataset", **settings, where={"star": 3}).columns(View(dataset))


def test_class_labels_go_by_their_names_in_a_stream_too(dataset: Path) -> None:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])}
    )
    made = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [0, 1]}, features=features)
    (dataset / "table").mkdir()
    made.to_parquet(dataset / "table" / "train.parquet")
    for streaming in (False, True):
        source = build("hf_dataset", path="table", streaming=streaming, where={"label": "pos"})
        rows, _ = parted(source.read(View(dataset)))
        assert [row.data for row in rows] == [{"text": "b", "label": "pos"}]


def test_a_stream_converts_nothing_and_knows_when_its_files_change(dataset: Path) -> None:
    source = build("hf_dataset", path="data", streaming=True)
    first = source.fingerprint(View(dataset))
    assert len(parted(source.read(View(dataset)))[0]) == 3
    assert list((dataset / "cache").rglob("*.arrow")) == []
    assert source.fingerprint(View(dataset)) == first
    (dataset / "data" / "train.jsonl").write_text(JSONL + JSONL, encoding="utf-8")
    assert source.fingerprint(View(dataset)) != first
    with pytest.raises(UsageError, match="a stream is of one whole split"):
        build("hf_dataset", path="data", streaming=True, split="train[:10]")
