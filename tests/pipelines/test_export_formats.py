from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from exports import rows_of

from pipelines.exporters import EXPORTERS
from pipelines.exporters.columns import TEXT, Type
from pipelines.exporters.formats import FORMATS, MESSAGES, format_names, resolve
from pipelines.exporters.parquet import ParquetFile
from pipelines.exporters.projection import PartsProjection, Projection, RowsProjection
from prompts.errors import UsageError


def project(
    projection: Projection, records: list[dict[str, Any]], *, strict: bool = True
) -> list[dict[str, Any]]:
    rows = rows_of(records)
    for row in rows:
        projection.survey(row)
    types = projection.types()
    projected = [projection.record(row) for row in rows]
    assert not strict or all(list(record) == list(types) for record in projected)
    return projected


@pytest.mark.parametrize(
    ("name", "columns", "record", "expected"),
    [
        ("text", {}, {"text": "T", "id": 1}, {"text": "T"}),
        ("text", {"text": "story"}, {"story": "S", "text": "T"}, {"text": "S"}),
        (
            "prompt-completion",
            {},
            {"question": "Q", "answer": "A", "context": "C"},
            {"prompt": "Q", "completion": "A"},
        ),
        (
            "prompt-completion",
            {},
            {"instruction": "I", "response": "R"},
            {"prompt": "I", "completion": "R"},
        ),
        (
            "prompt-completion",
            {},
            {"instruction": "I", "output": "O"},
            {"prompt": "I", "completion": "O"},
        ),
        (
            "prompt-completion",
            {},
            {"prompt": "P", "completion": "C", "question": "Q", "answer": "A"},
            {"prompt": "P", "completion": "C"},
        ),
        (
            "prompt-completion",
            {"prompt": "context"},
            {"question": "Q", "answer": "A", "context": "C"},
            {"prompt": "C", "completion": "A"},
        ),
        (
            "messages",
            {},
            {"question": "Q", "answer": "A"},
            {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]},
        ),
        (
            "messages",
            {},
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
            "instruction",
            {},
            {"instruction": "I", "output": "O"},
            {"instruction": "I", "input": "", "output": "O"},
        ),
        (
            "instruction",
            {"input": "context"},
            {"question": "Q", "answer": "A", "context": "C"},
            {"instruction": "Q", "input": "C", "output": "A"},
        ),
    ],
)
def test_a_format_takes_its_parts_and_nothing_else(
    name: str, columns: dict[str, str], record: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert project(PartsProjection(name, columns), [record]) == [expected]


PARTS: dict[str, Any] = {
    "text": "x",
    "texts": ["x", "y"],
    "contexts": [{"text": "x", "score": 0.5}],
    "exchange": [{"role": "user", "content": "x"}],
    "turns": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}],
    "chat": [{"role": "user", "content": "x"}, {"role": "assistant", "tool_calls": [{}]}],
    "tools": [{"type": "function"}],
    "flag": True,
    "flags": [True, False],
    "score": 1,
    "label": "good",
}
"""A value for each kind of part."""

WAYS = [(name, way) for name, form in FORMATS.items() for way in form.ways()]


@pytest.mark.parametrize(("name", "way"), WAYS, ids=str)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "bare"])
def test_every_format_declares_the_columns_it_builds(
    name: str, way: tuple[str, ...], whole: bool, tmp_path: Path
) -> None:
    form = FORMATS[name]
    parts = (*way, *form.optional) if whole else way
    record = {part: PARTS[form.kind(part)] for part in parts}
    declared = ("good", "bad") if form.kind("label") == "label" else ()
    projection = PartsProjection(name, {part: part for part in parts}, declared)
    (built,) = project(projection, [record], strict=not form.lines_only)
    if not form.lines_only:
        with ParquetFile(tmp_path / "x.parquet", projection.types()) as file:
            file.add(built)
        (read,) = pyarrow.parquet.read_table(tmp_path / "x.parquet").to_pylist()
        assert read == built


def test_formats_are_listed_with_the_rows_own_columns() -> None:
    assert format_names() == ["rows", *FORMATS]
    assert MESSAGES.describe() == "list of object (role: text, content: text)"


def test_an_optional_part_may_be_missing_in_any_row() -> None:
    records = [
        {"question": "Q0", "answer": "A0"},
        {"question": "Q1", "answer": "A1", "context": "C1"},
        {"question": "Q2", "answer": "A2", "context": None},
    ]
    projected = project(PartsProjection("instruction", {"input": "context"}), records)
    assert [record["input"] for record in projected] == ["", "C1", ""]


@pytest.mark.parametrize(
    ("records", "problem"),
    [
        ([{"text": "a"}, {"text": None}], "column 'text' holds null in row r1"),
        ([{"text": "a"}, {}], "column 'text' holds null in row r1"),
        ([{"text": ["a"]}], "column 'text' holds [\"a\"] in row r0"),
        ([{"text": "x", "n": 1}, {"text": 5}], "column 'text' holds 5 in row r1"),
    ],
)
def test_a_row_without_a_text_is_named(records: list[dict[str, Any]], problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        project(PartsProjection("text", {}), records)
    assert caught.value.problem == f"{problem}; 'text' of format 'text' is text"


@pytest.mark.parametrize(
    ("name", "given", "available", "key", "line"),
    [
        (
            "prompt-completion",
            {},
            {"question", "context"},
            "columns",
            "columns: format 'prompt-completion' finds no column for prompt and completion; fix: "
            "write 'columns: {prompt: COLUMN, completion: COLUMN}' with columns of the rows: "
            "context, question",
        ),
        (
            "prompt-completion",
            {"prompt": "question"},
            {"question"},
            "columns",
            "columns: format 'prompt-completion' finds no column for completion; fix: write "
            "'columns: {completion: COLUMN}' with columns of the rows: question",
        ),
        (
            "prompt-completion",
            {"prompt": "questoin"},
            {"question", "answer"},
            "columns.prompt",
            "columns.prompt: no column 'questoin'; fix: columns of the rows: answer, question",
        ),
        (
            "prompt-completion",
            {"promt": "question"},
            {"question", "answer"},
            "columns.promt",
            "columns.promt: unknown part 'promt'; fix: write 'prompt' (known: completion, prompt)",
        ),
    ],
)
def test_what_is_missing_and_what_is_there_is_said(
    name: str, given: dict[str, str], available: set[str], key: str, line: str
) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(name, given, available)
    assert caught.value.key == key
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("values", "declared", "names", "indices"),
    [
        (["good", "bad", "good"], (), ("bad", "good"), [1, 0, 1]),
        ([10, 8, 1, 10], (), ("1", "8", "10"), [2, 1, 0, 2]),
        ([True, False], (), ("false", "true"), [1, 0]),
        (["good", "bad"], ("good", "fair", "bad"), ("good", "fair", "bad"), [0, 2]),
        (["only"], ("only", "other"), ("only", "other"), [0]),
    ],
)
def test_classes_are_sorted_or_as_declared(
    values: list[Any], declared: tuple[str, ...], names: tuple[str, ...], indices: list[int]
) -> None:
    projection = PartsProjection("classification", {}, declared)
    records = [{"text": "t", "label": value} for value in values]
    assert [record["label"] for record in project(projection, records)] == indices
    assert projection.types()["label"] == Type("label", names=names)


@pytest.mark.parametrize(
    ("values", "declared", "problem"),
    [
        (["good", None], (), "column 'label' holds null in row r1, which is no label"),
        ([0.5], (), "column 'label' holds 0.5 in row r0, which is no label"),
        (["1", 1], (), "column 'label' holds 1 in row r1 and other types before"),
        ([1, True], (), "column 'label' holds true in row r1 and other types before"),
        (["good", "ugly"], ("good", "bad"), "column 'label' holds \"ugly\" in row r1"),
        (["only"] * 3, (), "column 'label' holds one class, \"only\", in row r0 and all others"),
    ],
)
def test_what_is_no_label_is_named(
    values: list[Any], declared: tuple[str, ...], problem: str
) -> None:
    records = [{"text": "t", "label": value} for value in values]
    with pytest.raises(UsageError) as caught:
        project(PartsProjection("classification", {}, declared), records)
    assert caught.value.problem == problem


def test_rows_keep_their_columns_in_order_of_appearance() -> None:
    records = [{"b": "x"}, {"a": 1, "b": "y"}]
    assert project(RowsProjection({}), records) == [{"b": "x", "a": None}, {"b": "y", "a": 1}]


def test_rows_can_be_renamed_and_carry_their_id() -> None:
    projection = RowsProjection({"q": "question"}, row_id="id")
    projected = project(
        projection, [{"question": "Q", "answer": 5}, {"question": None, "answer": "?"}]
    )
    assert projected == [{"id": "r0", "q": "Q"}, {"id": "r1", "q": None}]
    assert projection.types() == {"id": TEXT, "q": TEXT}


@pytest.mark.parametrize(
    ("settings", "columns", "line"),
    [
        (
            {"columns": ["question", "anwser"]},
            {"question", "answer"},
            "columns: unknown column 'anwser'; fix: write 'answer' (known: answer, question)",
        ),
        (
            {"row_id": "question"},
            {"question"},
            "row_id: the rows have a column 'question' already; fix: choose another name",
        ),
        (
            {"columns": {"id": "question"}, "row_id": "id"},
            {"question"},
            "row_id: the rows have a column 'id' already; fix: choose another name",
        ),
        (
            {"label": "sentiment"},
            {"question"},
            "label: unknown column 'sentiment'; fix: use one of: question",
        ),
        (
            {"format": "classification", "label": "sentiment"},
            {"text", "mood"},
            "columns.label: no column 'sentiment'; fix: columns of the rows: mood, text",
        ),
        (
            {"format": "text"},
            {"question"},
            "columns: format 'text' finds no column for text; fix: write 'columns: {text: COLUMN}' "
            "with columns of the rows: question",
        ),
    ],
)
def test_check_finds_missing_columns_before_the_run(
    settings: dict[str, Any], columns: set[str], line: str
) -> None:
    exporter = EXPORTERS.build({"kind": "hf_dataset", **settings})
    with pytest.raises(UsageError) as caught:
        exporter.check(columns)
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"format": "prompt-compleation"},
            "exports.0.format: found 'prompt-compleation'; fix: write 'prompt-completion' (known: "
            "alpaca, classification, conversational-preference, conversational-prompt-completion, "
            "conversational-prompt-only, implicit-preference, instruction, messages, openai, "
            "pairs, preference, prompt-completion, prompt-only, ragas, rows, scored-pairs, setfit, "
            "sharegpt, stepwise, text, triplets, unpaired-preference)",
        ),
        (
            {"splits": {"train": 0.8, "test": 0.1}},
            "exports.0.splits: found {'train': 0.8, 'test': 0.1}; fix: make the parts add up to 1",
        ),
        (
            {"splits": {"all": 1}},
            "exports.0.splits: found {'all': 1}; fix: name splits with letters, digits and _, and "
            "none of them 'all'",
        ),
        (
            {"splits": {"../x": 1}},
            "exports.0.splits: found {'../x': 1}; fix: name splits with letters, digits and _, and "
            "none of them 'all'",
        ),
        (
            {"splits": {"train": 1.0, "test": 0}},
            "exports.0.splits.test: found 0; fix: input should be greater than 0",
        ),
        ({"splits": {}}, "exports.0.splits: found {}; fix: make the parts add up to 1"),
        (
            {"columns": ["a", "a"]},
            "exports.0.columns: found ['a', 'a']; fix: name each column once",
        ),
        (
            {"colums": ["a"]},
            "exports.0.colums: unknown key 'colums'; fix: write 'columns'",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError) as caught:
        EXPORTERS.build({"kind": "hf_dataset", **settings}, key="exports.0")
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("settings", "fix"),
    [
        (
            {"format": "text", "row_id": "id"},
            "row_id is for format 'rows'; the lineage config has all ids",
        ),
        ({"labels": ["a"]}, "labels is for format 'classification' or 'setfit'"),
        ({"format": "openai"}, "export it as jsonl, or write 'messages'"),
        (
            {"format": "classification", "labels": ["a", "a"]},
            "name each of the labels once",
        ),
        (
            {"format": "classification", "label": "x", "columns": {"label": "y"}},
            "name the label column once, in label or in columns",
        ),
        ({"language": "English"}, "string should match pattern '^[a-z]{2,3}(-[A-Za-z0-9]+)*$'"),
        ({"license": "Apache 2"}, "string should match pattern '^([a-z0-9][a-z0-9.+-]*)?$'"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    settings: dict[str, Any], fix: str
) -> None:
    with pytest.raises(UsageError) as caught:
        EXPORTERS.build({"kind": "hf_dataset", **settings}, key="exports.0")
    assert caught.value.fix == fix
