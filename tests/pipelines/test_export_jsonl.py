from pathlib import Path
from typing import Any

import jsonlines
import pytest
from exports import exported, questions, rows_of

from pipelines.exporters import EXPORTERS, Jsonl
from prompts.errors import UsageError


def test_one_record_a_line_with_the_columns_asked_for(tmp_path: Path) -> None:
    exporter = EXPORTERS.build({"kind": "jsonl", "columns": ["answer", "question"]})
    assert exported(exporter, questions(3), tmp_path / "jsonl") == {"rows": 3}
    with jsonlines.open(tmp_path / "jsonl" / "data.jsonl") as reader:
        records = list(reader)
    assert records[1] == {"answer": "It is 1 days.", "question": "How many days, case 1?"}
    assert [list(record) for record in records] == [["answer", "question"]] * 3


def test_all_rows_have_all_columns_by_default(tmp_path: Path) -> None:
    exported(Jsonl(), rows_of([{"b": 1}, {"a": [2.5], "b": None}]), tmp_path / "jsonl")
    assert (tmp_path / "jsonl" / "data.jsonl").read_bytes() == (
        b'{"b": 1, "a": null}\n{"b": null, "a": [2.5]}\n'
    )


def test_line_separators_inside_a_text_do_not_break_lines(tmp_path: Path) -> None:
    text = "a\nb\r\u2028c\u0085d\x00 é"
    exported(Jsonl(), rows_of([{"text": text}]), tmp_path / "jsonl")
    lines = (tmp_path / "jsonl" / "data.jsonl").read_bytes().split(b"\n")
    assert len(lines) == 2
    assert "é".encode() in lines[0]
    with jsonlines.open(tmp_path / "jsonl" / "data.jsonl") as reader:
        assert list(reader) == [{"text": text}]


def test_no_rows_make_an_empty_file(tmp_path: Path) -> None:
    assert exported(Jsonl(columns=["a"]), [], tmp_path / "jsonl") == {"rows": 0}
    assert (tmp_path / "jsonl" / "data.jsonl").read_bytes() == b""


def test_a_column_that_is_not_there_is_an_error_before_the_run_and_after(tmp_path: Path) -> None:
    exporter = Jsonl(columns=["anwser"])
    rows = rows_of([{"question": "Q", "answer": "A"}])
    with pytest.raises(UsageError) as before:
        exporter.check({"question", "answer"})
    with pytest.raises(UsageError) as after:
        exported(exporter, rows, tmp_path / "jsonl")
    line = "columns: unknown column 'anwser'; fix: write 'answer' (known: answer, question)"
    assert (str(before.value), str(after.value)) == (line, line)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [float("nan"), [float("-inf")], {"x": "\ud800"}])
def test_what_json_has_no_form_for_is_named(value: Any, tmp_path: Path) -> None:
    rows = rows_of([{"good": 1, "score": 1}, {"good": 2, "score": value}])
    with pytest.raises(UsageError) as caught:
        exported(Jsonl(), rows, tmp_path / "jsonl")
    assert caught.value.problem.startswith("column 'score' of row r1 cannot be written as jsonl: ")
    assert list(tmp_path.iterdir()) == []


def test_a_column_is_named_once() -> None:
    with pytest.raises(UsageError, match="name each column once"):
        EXPORTERS.build({"kind": "jsonl", "columns": ["a", "a"]})
