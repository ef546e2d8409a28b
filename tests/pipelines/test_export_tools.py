import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from exports import exported, files_in, rows_of

from pipelines.exporters import EXPORTERS, Argilla, Axolotl, Batch, Beir, LlamaFactory, LmEval
from pipelines.exporters.formats import FORMATS
from prompts.errors import UsageError

EXCHANGES = [
    {"question": "When?", "answer": "At noon.", "context": "Lunch is at noon.", "document": "a.md"},
    {"question": "Where?", "answer": "Here.", "context": "Lunch is at noon.", "document": "b.md"},
    {"question": "When?", "answer": "At one.", "context": "Dinner: one.", "document": "a.md"},
]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("cls", [LlamaFactory, Axolotl])
def test_trainers_are_told_of_columns_that_the_data_has(cls: Any, tmp_path: Path) -> None:
    values: dict[str, Any] = {"label": True, "completions": ["a"], "labels": [True]}
    for name, told in cls.formats.items():
        form = FORMATS[name]
        row = {part: values.get(part, "x") for way in form.ways() for part in way}
        row.pop("messages", None)
        exported(cls(format=name), rows_of([row]), tmp_path / name)
        (record,) = lines(tmp_path / name / "data.jsonl")
        assert list(record) == list(form.columns)
        assert columns_told(told) <= set(record)


def columns_told(told: Any) -> set[str]:
    """The columns of the data that a description names."""
    if "columns" in told:
        return set(told["columns"].values())
    fields = {**told, **(told["type"] if isinstance(told["type"], dict) else {})}
    return {value for key, value in fields.items() if key.startswith("field")}


def test_llama_factory_finds_the_data_under_the_job_s_name(tmp_path: Path) -> None:
    assert exported(LlamaFactory(), rows_of(EXCHANGES), tmp_path / "x") == {"rows": 3}
    info = json.loads((tmp_path / "x/dataset_info.json").read_text())
    assert list(info) == ["support-qa"]
    entry = info["support-qa"]
    record = lines(tmp_path / "x" / entry["file_name"])[0]
    turn = record[entry["columns"]["messages"]][0]
    tags = entry["tags"]
    assert (turn[tags["role_tag"]], turn[tags["content_tag"]]) == (tags["user_tag"], "When?")


def test_axolotl_is_told_the_method(tmp_path: Path) -> None:
    row = {"prompt": "p", "chosen": "c", "rejected": "r"}
    exported(Axolotl(format="preference"), rows_of([row]), tmp_path / "x")
    config = yaml.safe_load((tmp_path / "x/axolotl.yaml").read_text())
    assert config["rl"] == "dpo"
    (dataset,) = config["datasets"]
    assert (tmp_path / "x" / dataset["path"]).is_file()
    assert dataset["type"]["field_chosen"] == "chosen"


@pytest.mark.parametrize("kind", ["llama_factory", "axolotl"])
def test_a_format_that_the_trainer_does_not_read_is_refused(kind: str) -> None:
    with pytest.raises(UsageError, match="use one of: alpaca, "):
        EXPORTERS.build({"kind": kind, "format": "rows"})


def test_beir_has_each_text_once(tmp_path: Path) -> None:
    written = exported(Beir(title="document"), rows_of(EXCHANGES), tmp_path / "x")
    assert written == {"queries": 2, "passages": 2, "judgements": 3}
    corpus = {record["_id"]: record for record in lines(tmp_path / "x/corpus.jsonl")}
    queries = {record["_id"]: record["text"] for record in lines(tmp_path / "x/queries.jsonl")}
    assert [record["title"] for record in corpus.values()] == ["a.md", "a.md"]
    header, *judged = (tmp_path / "x/qrels/test.tsv").read_text().splitlines()
    assert header == "query-id\tcorpus-id\tscore"
    pairs = [line.split("\t") for line in judged]
    assert [(queries[q], corpus[p]["text"], score) for q, p, score in pairs] == [
        ("When?", "Lunch is at noon.", "1"),
        ("Where?", "Lunch is at noon.", "1"),
        ("When?", "Dinner: one.", "1"),
    ]


def test_beir_takes_degrees_of_relevance_and_distractors(tmp_path: Path) -> None:
    rows = rows_of(
        [
            {"question": "Q", "context": "C", "grade": 1, "passages": [{"text": "D", "score": 2}]},
            {"question": "Q", "context": "C", "grade": 2, "passages": None},
        ]
    )
    exported(Beir(score="grade", distractors="passages", split="dev"), rows, tmp_path / "x")
    assert [r["text"] for r in lines(tmp_path / "x/corpus.jsonl")] == ["C", "D"]
    assert (tmp_path / "x/qrels/dev.tsv").read_text().splitlines()[1].endswith("\t2")


def test_lm_eval_asks_for_an_answer(tmp_path: Path) -> None:
    written = exported(LmEval(context="context"), rows_of(EXCHANGES), tmp_path / "x")
    assert written == {"rows": 3, "task": "support_qa"}
    task = yaml.safe_load((tmp_path / "x/support_qa.yaml").read_text())
    assert task["doc_to_text"] == "{{context}}\n\nQuestion: {{question}}\nAnswer:"
    assert task["generation_kwargs"]["until"] == ["\n"]
    data = lines(tmp_path / "x" / task["dataset_kwargs"]["data_files"]["test"])
    assert data[1] == {"question": "Where?", "context": "Lunch is at noon.", "answer": "Here."}


@pytest.mark.parametrize(
    ("choices", "records", "answers"),
    [
        (
            "options",
            [{"options": ["a", "b"], "answer": "b"}, {"options": ["c"], "answer": 0}],
            [1, 0],
        ),
        (["no", "yes"], [{"answer": "yes"}, {"answer": 0}], [1, 0]),
    ],
)
def test_lm_eval_numbers_the_right_choice(
    choices: Any, records: list[dict[str, Any]], answers: list[int], tmp_path: Path
) -> None:
    rows = rows_of([{"question": "Q", **record} for record in records])
    exported(LmEval(choices=choices), rows, tmp_path / "x")
    assert [r["answer"] for r in lines(tmp_path / "x/test.jsonl")] == answers
    task = yaml.safe_load((tmp_path / "x/support_qa.yaml").read_text())
    assert task["doc_to_choice"] == ("choices" if choices == "options" else choices)


def test_argilla_suggests_an_answer_where_there_is_one(tmp_path: Path) -> None:
    rows = rows_of([{"text": "a", "verdict": "good"}, {"text": "b", "verdict": None}])
    exporter = Argilla(fields=["text"], suggest={"quality": "verdict"})
    exporter.check({"text", "verdict"})
    assert exported(exporter, rows, tmp_path / "x") == {"rows": 2}
    records = json.loads((tmp_path / "x/records.json").read_text())
    assert [record["fields"] for record in records] == [{"text": "a"}, {"text": "b"}]
    assert [list(record["suggestions"]) for record in records] == [["quality"], []]
    assert json.loads((tmp_path / "x/settings.json").read_text())["fields"][0]["name"] == "text"
    exported(exporter, [], tmp_path / "none")
    assert json.loads((tmp_path / "none/records.json").read_text()) == []


def test_batch_asks_under_the_rows_ids(tmp_path: Path) -> None:
    rows = rows_of(
        [{"prompt": "Hi", "who": "Be kind."}, {"prompt": [{"role": "user", "content": "Ho"}]}]
    )
    exporter = Batch(model="m", system="who", body={"max_tokens": 5})
    assert exported(exporter, rows, tmp_path / "x") == {"rows": 2}
    (name,) = files_in(tmp_path / "x")
    assert name == "requests-00000-of-00001.jsonl"
    first, second = lines(tmp_path / "x" / name)
    assert first == {
        "custom_id": "r0",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {
            "model": "m",
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "Hi"},
            ],
            "max_tokens": 5,
        },
    }
    assert second["body"]["messages"] == [{"role": "user", "content": "Ho"}]


@pytest.mark.parametrize(
    ("exporter", "record", "key", "problem"),
    [
        (Beir(), {"question": 1, "context": "c"}, "query", "column 'question' holds 1 in row r0;"),
        (Beir(score="s"), {"question": "q", "context": "c", "s": 0.5}, "score", "column 's' holds"),
        (
            LmEval(),
            {"question": "q", "answer": None},
            "answer",
            "column 'answer' holds null in row",
        ),
        (
            LmEval(choices=["a", "b"]),
            {"question": "q", "answer": "c"},
            "answer",
            "column 'answer' holds \"c\" in row r0, which is none of its choices",
        ),
        (
            LmEval(choices="o"),
            {"question": "q", "answer": "a", "o": ["a", "a"]},
            "answer",
            "column 'answer' holds \"a\" in row r0, which is none of its choices",
        ),
        (Argilla(fields=["t"]), {"t": ["x"]}, "fields", "column 't' holds [\"x\"] in row r0;"),
        (
            Argilla(fields=["t"], suggest={"quality": "v"}),
            {"t": "x", "v": "fair"},
            "suggest",
            "column 'v' holds \"fair\" in row r0, which is no answer",
        ),
        (Batch(model="m"), {"prompt": None}, "prompt", "column 'prompt' holds null in row r0;"),
    ],
)
def test_a_row_that_does_not_fit_is_named(
    exporter: Any, record: dict[str, Any], key: str, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        exported(exporter, rows_of([record]), tmp_path / "x")
    assert caught.value.key == key
    assert caught.value.problem.startswith(problem)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"kind": "beir", "query": "qestion"}, "query: unknown column 'qestion'; fix: write"),
        ({"kind": "lm_eval", "choices": "x"}, "choices: unknown column 'x'; fix: use one of"),
        ({"kind": "argilla", "fields": ["x"]}, "fields: unknown column 'x'; fix: use one of"),
        (
            {"kind": "argilla", "fields": ["answer"], "suggest": {"x": "answer"}},
            "suggest: unknown question 'x'; fix: use one of: quality",
        ),
        ({"kind": "batch", "model": "m"}, "prompt: unknown column 'prompt'; fix: use one of"),
        ({"kind": "axolotl", "format": "text"}, "columns: format 'text' finds no column for text"),
    ],
)
def test_columns_are_checked_before_the_run(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError) as caught:
        EXPORTERS.build(settings).check({"question", "answer"})
    assert str(caught.value).startswith(line)


@pytest.mark.parametrize(
    ("settings", "fix"),
    [
        ({"kind": "batch", "model": "m", "body": {"messages": []}}, "leave 'messages' out of it"),
        (
            {"kind": "lm_eval", "choices": ["only"]},
            "name a column, or two or more different choices",
        ),
        ({"kind": "argilla", "fields": ["Text"]}, "name fields and questions with small letters"),
        ({"kind": "argilla", "fields": []}, "name at least one"),
        ({"kind": "beir", "split": "../x"}, "string should match pattern"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        EXPORTERS.build(settings)
    assert caught.value.fix.startswith(fix)


@pytest.mark.parametrize(
    "exporter",
    [LlamaFactory(), Axolotl(), Beir(title="document"), LmEval(), Argilla(fields=["question"]),
     Batch(model="m", prompt="question")],
    ids=lambda exporter: exporter.kind,
)  # fmt: skip
def test_a_repeat_gives_the_same_bytes_and_no_rows_give_valid_files(
    exporter: Any, tmp_path: Path
) -> None:
    exporter.check(set(EXCHANGES[0]))
    for name in ("x", "y"):
        exported(exporter, rows_of(EXCHANGES), tmp_path / name)
    assert files_in(tmp_path / "x") == files_in(tmp_path / "y")
    exported(exporter, [], tmp_path / "none")
    assert {Path(n).suffix for n in files_in(tmp_path / "none")} == {
        Path(n).suffix for n in files_in(tmp_path / "x")
    }
