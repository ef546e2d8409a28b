"""Calls to a server that go out and come back as files."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import assert_line, textmill
from jobs import job_data, prompt_text, write_job

from pipelines.folder import RunFolder

SAMPLE = {"strategy": "sample", "n": 2, "temperature": 0.5}


def job(folder: Path, **changes: Any) -> Path:
    server = {"server": "http://127.0.0.1:9/v1", "model": "qwen3", "price": {"output": 8}}
    sources = [{"kind": "topics", "topics": ["tea", "rain", "bread"], "count": 3}]
    prompts = {
        "ask": prompt_text("Ask about {{ topic }}.", ["topic"]),
        "reply": prompt_text("Answer {{ question }}", ["question"]),
    }
    ask = {"kind": "generate", "model": "writer", "prompt": "ask", "adds": "question"}
    stages = [
        {**ask, "decoding": SAMPLE},
        {"kind": "generate", "model": "writer", "prompt": "reply", "adds": "answer"},
    ]
    data = job_data(
        models={"writer": server}, sources=sources, prompts=prompts, stages=stages, **changes
    )
    return write_job(folder, data)


def answered(requests: Path, replies: Path, skip: int = 0) -> list[dict[str, Any]]:
    """What a batch API makes of a file of requests, in another order; `skip` of them fail."""
    asked = [json.loads(line) for line in requests.read_text().splitlines()]
    lines = []
    for place, request in enumerate(asked):
        content = f"{request['body']['messages'][-1]['content']} [{request['body'].get('seed')}]"
        body = {
            "choices": [{"message": {"content": content}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 2},
        }
        response = {"status_code": 500 if place < skip else 200, "body": body}
        lines.append(json.dumps({"custom_id": request["custom_id"], "response": response}))
    replies.write_text("\n".join(reversed(lines)))
    return asked


def test_a_job_comes_to_its_end_by_files_alone(tmp_path: Path) -> None:
    words = ("run", str(job(tmp_path)), "--out", "run", "--no-progress")
    first = textmill(tmp_path, *words, "--batch-out", "one.jsonl")
    assert first.code == 10
    assert "waiting for the answers to 6 requests in one.jsonl" in first.err
    asked = answered(tmp_path / "one.jsonl", tmp_path / "one.out")
    assert {(a["method"], a["url"]) for a in asked} == {("POST", "/v1/chat/completions")}
    assert {a["body"]["temperature"] for a in asked} == {0.5}
    assert len({a["body"]["seed"] for a in asked}) == 6
    second = textmill(
        tmp_path, "resume", "run", "--no-progress",
        "--batch-in", "one.out", "--batch-out", "two.jsonl",
    )  # fmt: skip
    assert second.code == 10
    assert len(answered(tmp_path / "two.jsonl", tmp_path / "two.out")) == 6
    last = textmill(tmp_path, *words, "--batch-in", "two.out")
    assert last.code == 0, last.err
    run = RunFolder(tmp_path / "run")
    rows = list(run.rows())
    assert len(rows) == 6
    assert all(str(r.data["answer"]).startswith(f"Answer {r.data['question']}") for r in rows)
    usage = run.manifest()["usage"]["writer"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (60, 24)
    assert usage["cost"] == 24 * 8 / 1e6
    assert "cost 0.000192" in last.out


def test_a_failed_answer_is_asked_for_again(tmp_path: Path) -> None:
    words = ("run", str(job(tmp_path)), "--out", "run", "--no-progress")
    textmill(tmp_path, *words, "--batch-out", "one.jsonl")
    answered(tmp_path / "one.jsonl", tmp_path / "one.out", skip=1)
    again = textmill(tmp_path, *words, "--batch-in", "one.out", "--batch-out", "two.jsonl")
    assert again.code == 10
    assert "5 calls answered, 1 replies failed" in again.err
    first = (tmp_path / "one.jsonl").read_text().splitlines()
    assert (tmp_path / "two.jsonl").read_text().splitlines() == first[:1]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{}", "answers:1: is no answer to a call of a run; fix: ..."),
        (
            '\n{"custom_id": "9f2c", "response": {}}',
            "answers:2: is no answer to a call of a run...",
        ),
        ("not json", "answers:1: is no answer to a call of a run; fix: ..."),
        ('{"custom_id": 7}', "answers:1: is no answer to a call of a run; fix: ..."),
        (None, "answers: cannot be read: ...; fix: ..."),
    ],
)
def test_a_file_that_holds_no_answers_is_refused(
    tmp_path: Path, text: str | None, line: str
) -> None:
    if text is not None:
        (tmp_path / "answers").write_text(text)
    ended = textmill(tmp_path, "run", str(job(tmp_path)), "--out", "run", "--batch-in", "answers")
    assert ended.code == 2
    assert_line(ended.err, line)


def test_a_file_of_requests_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text("mine")
    words = ("--out", "run", "--no-progress", "--batch-out", "one.jsonl")
    ended = textmill(tmp_path, "run", str(job(tmp_path)), *words)
    assert ended.code == 2
    assert_line(ended.err, "one.jsonl: exists already; fix: ...")
    assert (tmp_path / "one.jsonl").read_text() == "mine"


def test_a_job_without_servers_has_no_batch_files(tmp_path: Path) -> None:
    file = write_job(tmp_path, job_data())
    ended = textmill(tmp_path, "run", str(file), "--out", "run", "--batch-out", "one.jsonl")
    assert ended.code == 4
    assert_line(ended.err, "models: no model of this job is behind a server; fix: ...")
