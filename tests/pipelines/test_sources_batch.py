import json
from pathlib import Path
from typing import Any

import pytest
from source_views import View, build, parted

from prompts.errors import SourceError


def answer(name: str, text: Any, **more: Any) -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {
        "custom_id": name,
        "response": {"status_code": 200, "body": {"choices": [choice]}},
    } | more


def read(folder: Path, answers: list[Any], rows: list[Any] | None = None, **settings: Any) -> Any:
    write(folder / "answers.jsonl", answers)
    if rows is not None:
        write(folder / "rows.jsonl", rows)
        settings["rows"] = "rows.jsonl"
    source = build("batch", path="answers.jsonl", **settings)
    seeds, bad = parted(source.read(View(folder)))
    assert all(set(seed.data) == source.columns(View(folder)) for seed in seeds)
    return [(seed.data, seed.key) for seed in seeds], [(item.key, item.reason) for item in bad]


def write(path: Path, records: list[Any]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


def test_answers_are_rows_named_by_what_was_asked(tmp_path: Path) -> None:
    rows, bad = read(tmp_path, [answer("r1", "One."), answer("r0", "Nought.")], adds="answer")
    assert rows == [
        ({"custom_id": "r1", "answer": "One.", "finish": "stop"}, "r1"),
        ({"custom_id": "r0", "answer": "Nought.", "finish": "stop"}, "r0"),
    ]
    assert bad == []


def test_answers_are_joined_to_the_rows_in_their_order(tmp_path: Path) -> None:
    asked = [{"id": f"r{i}", "data": {"question": f"Q{i}"}} for i in range(3)]
    answers = [answer("r2", "two"), answer("r9", "?"), answer("r0", "nought"), answer("r0", "no")]
    rows, bad = read(tmp_path, answers, asked)
    assert rows == [
        ({"question": "Q0", "response": "nought", "finish": "stop"}, "r0"),
        ({"question": "Q2", "response": "two", "finish": "stop"}, "r2"),
    ]
    assert bad == [("r0", "answered_twice"), ("r9", "not_asked")]


@pytest.mark.parametrize(
    ("record", "key", "reason"),
    [
        (answer("r1", "x", error={"code": "server_error"}), "r1", "failed_request"),
        ({"custom_id": "r1", "response": {"status_code": 500}}, "r1", "failed_request"),
        ({"custom_id": "r1", "response": "text"}, "r1", "failed_request"),
        ({"response": {}}, "answers.jsonl:2", "failed_request"),
        ({"custom_id": "r1", "response": None}, "r1", "no_answer"),
        ({"custom_id": "r1", "response": {"body": {"choices": []}}}, "r1", "no_answer"),
        (answer("r1", None), "r1", "no_answer"),
        ([1], "answers.jsonl:2", "bad_json"),
    ],
)
def test_what_is_no_answer_is_rejected_and_the_rest_is_read(
    record: Any, key: str, reason: str, tmp_path: Path
) -> None:
    rows, bad = read(tmp_path, [answer("r0", "a"), record])
    assert [name for _, name in rows] == ["r0"]
    assert bad == [(key, reason)]


def test_the_fingerprint_changes_with_answers_and_rows(tmp_path: Path) -> None:
    asked = [{"id": "r0", "data": {"question": "Q"}}]
    seen = set()
    for text, question in (("a", "Q"), ("b", "Q"), ("b", "R"), ("b", "R")):
        asked[0]["data"] = {"question": question}
        read(tmp_path, [answer("r0", text)], asked)
        source = build("batch", path="answers.jsonl", rows="rows.jsonl")
        seen.add(source.fingerprint(View(tmp_path)))
    assert len(seen) == 3


def test_rows_that_are_none_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        read(tmp_path, [answer("r0", "a")], [{"question": "Q"}])
    assert str(caught.value).startswith("rows: 'rows.jsonl' holds no rows of a run; fix: give the")
