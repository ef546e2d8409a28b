import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from exports import exported, files_in, loaded, questions, rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.exporters import EXPORTERS
from pipelines.exporters.jsonl import JsonlFile
from pipelines.exporters.shards import Limit, Shards
from pipelines.rows import Row
from prompts.errors import UsageError


def built(kind: str, **settings: Any) -> Any:
    return EXPORTERS.build({"kind": kind, **settings})


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def cells(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


TURNS = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]


@pytest.mark.parametrize(
    ("settings", "record", "expected"),
    [
        (
            {"format": "openai"},
            {"question": "Q", "answer": "A", "system": "S"},
            {
                "messages": [
                    {"role": "system", "content": "S"},
                    {"role": "user", "content": "Q"},
                    {"role": "assistant", "content": "A"},
                ]
            },
        ),
        (
            {"format": "openai", "columns": {"messages": "chat", "tools": "functions"}},
            {"chat": TURNS, "functions": [{"type": "function"}]},
            {"messages": TURNS, "tools": [{"type": "function"}]},
        ),
        ({"format": "messages"}, {"messages": TURNS, "prompt": "x"}, {"messages": TURNS}),
        (
            {"format": "sharegpt"},
            {"messages": TURNS},
            {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]},
        ),
        (
            {"format": "conversational-preference"},
            {"prompt": TURNS[:1], "chosen": TURNS[1:], "rejected": "No", "system": "S"},
            {
                "prompt": [{"role": "system", "content": "S"}, TURNS[0]],
                "chosen": [TURNS[1]],
                "rejected": [{"role": "assistant", "content": "No"}],
            },
        ),
        (
            {"format": "stepwise"},
            {"question": "Q", "steps": ["a", "b"], "labels": [True, False]},
            {"prompt": "Q", "completions": ["a", "b"], "labels": [True, False]},
        ),
        (
            {"format": "ragas", "columns": {"retrieved_contexts": "passages"}},
            {"question": "Q", "answer": "A", "passages": [{"text": "P", "score": 1.5}]},
            {
                "user_input": "Q",
                "retrieved_contexts": ["P"],
                "reference_contexts": None,
                "response": None,
                "reference": "A",
            },
        ),
        (
            {"format": "classification", "labels": ["bad", "good"]},
            {"text": "T", "label": "good"},
            {"text": "T", "label": "good"},
        ),
        (
            {"format": "setfit", "labels": ["bad", "good"]},
            {"text": "T", "label": "good"},
            {"text": "T", "label": 1, "label_text": "good"},
        ),
        (
            {"format": "scored-pairs"},
            {"sentence1": "a", "sentence2": "b", "score": 1},
            {"sentence1": "a", "sentence2": "b", "score": 1.0},
        ),
        ({"columns": {"q": "question"}}, {"question": "Q", "answer": "A"}, {"q": "Q"}),
    ],
)
def test_jsonl_has_the_records_of_its_format(
    settings: dict[str, Any], record: dict[str, Any], expected: dict[str, Any], tmp_path: Path
) -> None:
    exporter = built("jsonl", **settings)
    exporter.check(set(record))
    exported(exporter, rows_of([record]), tmp_path / "x")
    assert lines(tmp_path / "x/data.jsonl") == [expected]


@pytest.mark.parametrize(
    ("format_name", "record", "problem"),
    [
        (
            "messages",
            {"messages": [{"role": "robot", "content": "x"}]},
            "column 'messages' holds the role \"robot\" (known: system, developer, user, "
            "assistant, tool) in row r1; 'messages' of format 'messages' is a list of {role, "
            "content}",
        ),
        (
            "messages",
            {"messages": [{"role": "user", "content": "x", "name": "Ada"}]},
            "column 'messages' holds a turn with the key 'name' in row r1; 'messages' of format "
            "'messages' is a list of {role, content}",
        ),
        (
            "openai",
            {"messages": [{"role": "user"}]},
            "column 'messages' holds a message with neither content nor tool_calls in row r1; "
            "'messages' of format 'openai' is a list of messages",
        ),
        (
            "messages",
            {"messages": []},
            "column 'messages' holds [] in row r1; 'messages' of format 'messages' is a list of "
            "{role, content}",
        ),
        (
            "unpaired-preference",
            {"prompt": "p", "completion": "c", "label": 1},
            "column 'label' holds 1 in row r1; 'label' of format 'unpaired-preference' is true or "
            "false",
        ),
        (
            "scored-pairs",
            {"sentence1": "a", "sentence2": "b", "score": float("nan")},
            "column 'score' holds NaN in row r1; 'score' of format 'scored-pairs' is a finite "
            "number",
        ),
        (
            "stepwise",
            {"prompt": "p", "completions": ["a"], "labels": []},
            "row r1 has 1 completions and 0 labels, which format 'stepwise' cannot hold",
        ),
        (
            "triplets",
            {"anchor": "a", "positive": "p\ud800", "negative": "n"},
            "column 'positive' holds text with a lone surrogate at character 1 in row r1; "
            "'positive' of format 'triplets' is text",
        ),
        (
            "triplets",
            {"anchor": "a", "positive": "p"},
            "column 'negative' holds null in row r1; 'negative' of format 'triplets' is text",
        ),
    ],
)
def test_a_part_of_the_wrong_kind_is_named(
    format_name: str, record: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    good: dict[str, Any] = {
        "messages": TURNS,
        "prompt": "p",
        "completion": "c",
        "label": True,
        "sentence1": "a",
        "sentence2": "b",
        "score": 0.5,
        "completions": ["a"],
        "labels": [True],
        "anchor": "a",
        "positive": "p",
        "negative": "n",
    }
    with pytest.raises(UsageError) as caught:
        exported(built("jsonl", format=format_name), rows_of([good, record]), tmp_path / "x")
    assert (caught.value.problem, caught.value.key) == (problem, "columns")
    assert list(tmp_path.iterdir()) == []


def test_two_ways_to_give_a_conversation_exclude_each_other() -> None:
    exporter = built("jsonl", format="messages", columns={"messages": "m", "prompt": "q"})
    with pytest.raises(UsageError) as caught:
        exporter.check({"m", "q"})
    assert caught.value.problem == (
        "format 'messages' takes either {messages} or {prompt, completion}, not both"
    )


def test_csv_is_that_of_rfc_4180(tmp_path: Path) -> None:
    record = {"a": 'x "y", z', "b": "1\r\n2", "c": None, "d": [1, {"k": "é"}], "e": True, "f": -0.5}
    exported(built("csv"), rows_of([record, {"a": ""}]), tmp_path / "x")
    assert (tmp_path / "x/data.csv").read_bytes().decode() == (
        'a,b,c,d,e,f\r\n"x ""y"", z","1\r\n2",,"[1, {""k"": ""é""}]",true,-0.5\r\n,,,,,\r\n'
    )


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_spreadsheet_runs_a_cell_of_text(text: str, tmp_path: Path) -> None:
    rows = rows_of([{"a": text, text: 1}])
    exported(built("csv"), rows, tmp_path / "safe")
    exported(built("csv", formula_safe=False), rows, tmp_path / "plain")
    assert cells(tmp_path / "safe/data.csv") == [["a", f"'{text}"], [f"'{text}", "1"]]
    assert cells(tmp_path / "plain/data.csv") == [["a", text], [text, "1"]]


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=12), min_size=1, max_size=4))
def test_csv_gives_back_any_text(
    texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    rows = rows_of([{"first": text, "second": "x"} for text in texts])
    exported(built("csv", formula_safe=False), rows, folder / "x")
    assert cells(folder / "x/data.csv")[1:] == [[text, "x"] for text in texts]


@pytest.mark.parametrize("kind", ["csv", "parquet", "hf_dataset"])
def test_records_of_unequal_keys_are_for_json_lines(kind: str) -> None:
    with pytest.raises(UsageError, match="export it as jsonl, or write 'messages'"):
        built(kind, format="openai")


def test_parquet_has_types_and_class_names(tmp_path: Path) -> None:
    rows = rows_of([{"text": "a", "label": "good"}, {"text": "b", "label": "bad"}])
    exported(built("parquet", format="classification"), rows, tmp_path / "x")
    table = pyarrow.parquet.read_table(tmp_path / "x/data.parquet")
    assert table.to_pylist() == [{"text": "a", "label": 1}, {"text": "b", "label": 0}]
    info = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]["label"]
    assert info["names"] == ["bad", "good"]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet", "hf_dataset"])
@pytest.mark.parametrize(
    ("rows", "sizes"), [(1, [1]), (4, [4]), (5, [4, 1]), (8, [4, 4]), (9, [4, 4, 1])]
)
def test_files_hold_as_many_rows_as_they_may(
    kind: str, rows: int, sizes: list[int], tmp_path: Path
) -> None:
    exporter = built(kind, columns=["question"], shard_rows=4)
    exported(exporter, questions(rows), tmp_path / "x")
    again = questions(rows)
    exported(exporter, again, tmp_path / "y")
    assert files_in(tmp_path / "x") == files_in(tmp_path / "y")
    folder, stem = (
        (tmp_path / "x/data", "train") if kind == "hf_dataset" else (tmp_path / "x", "data")
    )
    files = sorted(folder.iterdir())
    of = f"-of-{len(sizes):05d}"
    assert [file.stem for file in files] == [f"{stem}-{i:05d}{of}" for i in range(len(sizes))]
    assert [count(file) for file in files] == sizes


def count(file: Path) -> int:
    if file.suffix == ".parquet":
        return int(pyarrow.parquet.read_metadata(file).num_rows)
    return file.read_bytes().count(b"\n") - (file.suffix == ".csv")


def test_load_dataset_reads_all_files_of_a_split_in_order(tmp_path: Path) -> None:
    exporter = built("hf_dataset", columns=["question"], shard_rows=3)
    exported(exporter, questions(8), tmp_path / "x")
    texts = [row.data["question"] for row in questions(8)]
    assert loaded(tmp_path / "x")["train"]["question"][:] == texts
    assert loaded(tmp_path / "x", "lineage")["train"]["index"][:] == list(range(8))


@pytest.mark.parametrize("limit", [Limit(megabytes=1), Limit(rows=10**6, megabytes=1)])
def test_a_file_ends_with_the_record_that_reaches_its_size(limit: Limit, tmp_path: Path) -> None:
    with Shards(tmp_path, "x", ".jsonl", JsonlFile, limit) as shards:
        for _ in range(25):
            shards.add({"text": "é" * 50_000})
    sizes = [path.stat().st_size for path in sorted(tmp_path.iterdir())]
    line = 100_000 + len('{"text": ""}\n')
    assert sizes == [10 * line, 10 * line, 5 * line]
    assert (shards.rows, len(shards.names())) == (25, 3)


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        ("jsonl", {}, {"data.jsonl": b""}),
        ("jsonl", {"shard_rows": 2}, {"data-00000-of-00001.jsonl": b""}),
        ("jsonl", {"format": "openai"}, {"data.jsonl": b""}),
        ("csv", {"columns": ["q"]}, {"data.csv": b"q\r\n"}),
        ("csv", {"format": "pairs"}, {"data.csv": b"anchor,positive\r\n"}),
        ("csv", {}, {"data.csv": b""}),
    ],
)
def test_a_run_without_rows_gives_an_empty_file(
    kind: str, settings: dict[str, Any], expected: dict[str, bytes], tmp_path: Path
) -> None:
    assert exported(built(kind, **settings), [], tmp_path / "x") == {"rows": 0}
    assert files_in(tmp_path / "x") == expected


def test_parquet_without_rows_has_the_columns(tmp_path: Path) -> None:
    exported(built("parquet", format="triplets"), [], tmp_path / "x")
    table = pyarrow.parquet.read_table(tmp_path / "x/data.parquet")
    assert (table.num_rows, table.column_names) == (0, ["anchor", "positive", "negative"])


BAD = [
    ("parquet", 2**70, "column 'v' holds a whole number of 71 bits in row r1"),
    ("hf_dataset", 2**70, "column 'v' holds a whole number of 71 bits in row r1"),
    ("parquet", "x", "column 'v' holds text in row r1 and whole numbers before it"),
    ("hf_dataset", "x", "column 'v' holds text in row r1 and whole numbers before it"),
    ("parquet", float("inf"), "column 'v' holds inf in row r1, which is no number of JSON"),
    ("csv", float("nan"), "column 'v' of row r1 cannot be written as csv: "),
    ("csv", "\udfff", "column 'v' of row r1 cannot be written as csv: "),
    ("csv", [float("nan")], "column 'v' of row r1 cannot be written as csv: "),
]


@pytest.mark.parametrize(("kind", "value", "problem"), BAD)
def test_a_value_that_the_file_cannot_hold_is_named(
    kind: str, value: Any, problem: str, tmp_path: Path
) -> None:
    rows = rows_of([{"w": 1, "v": 1}, {"w": 2, "v": value}])
    with pytest.raises(UsageError) as caught:
        exported(built(kind), rows, tmp_path / "x")
    assert caught.value.problem.startswith(problem)
    assert caught.value.fix
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_files_without_types_hold_any_mixture_and_any_number(kind: str, tmp_path: Path) -> None:
    rows = rows_of([{"v": 2**70}, {"w": 1, "v": "x"}, {"v": [1]}])
    exported(built(kind), rows, tmp_path / "x")
    if kind == "jsonl":
        expected: Any = [{"v": 2**70, "w": None}, {"v": "x", "w": 1}, {"v": [1], "w": None}]
        assert lines(tmp_path / "x/data.jsonl") == expected
    else:
        expected = [["v", "w"], [str(2**70), ""], ["x", "1"], ["[1]", ""]]
        assert cells(tmp_path / "x/data.csv") == expected


def test_a_column_that_the_first_row_lacks_is_found(tmp_path: Path) -> None:
    rows: list[Row] = rows_of([{"a": 1}, {"b": 2}])
    exported(built("parquet", columns=["b"]), rows, tmp_path / "x")
    table = pyarrow.parquet.read_table(tmp_path / "x/data.parquet")
    assert table.to_pylist() == [{"b": None}, {"b": 2}]
