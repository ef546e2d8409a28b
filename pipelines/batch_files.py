"""Calls by file: what the ledger misses goes out as a batch file, and answers come back into it.

    run JOB --out DIR --batch-out requests.jsonl     # exit code 10: waiting
    vllm run-batch -i requests.jsonl -o replies.jsonl --model NAME
    run JOB --out DIR --batch-in replies.jsonl --batch-out requests-2.jsonl

    {"custom_id": "9f2c...e1-0-1", "method": "POST", "url": "/v1/chat/completions", "body": {...}}

`custom_id` is the call's key in the ledger, the number of the reply and how many the call has. One
file holds the calls that one stage needs next for one block of rows, to one model behind a server.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from chains.calls import Call, Reply
from chains.models.server_request import refuse_unsayable, reply_of, request_body
from chains.models.spec import ModelSpec
from pipelines.files import disk_errors, write_atomically
from pipelines.ledger import Ledger
from prompts.errors import ModelError, UsageError, WaitingError

URL = "/v1/chat/completions"

_ID = re.compile(r"([0-9a-f]{64})-(\d{1,6})-(\d{1,6})")


class Posted(WaitingError):
    """The calls that are needed next have been written; the run goes on with their answers."""

    def __init__(self, path: Path, requests: int) -> None:
        super().__init__(f"{requests} requests in {path}")
        self.path = path
        self.requests = requests


class TakenIn(NamedTuple):
    """What a file of answers held.

    Attributes:
        calls: Calls that are in the ledger now.
        failed: Answers that are errors or no chat completions.
        partial: Calls of which not all replies are there.
    """

    calls: int
    failed: int
    partial: int


def post(path: Path, spec: ModelSpec, missing: Mapping[bytes, Call]) -> Posted:
    """Write the calls that are missing to a batch file.

    Raises:
        ModelError: The protocol has no word for a setting of a call.
        UsageError: The file exists.
    """
    if path.exists():
        fix = "name a new file; the answers to that one are read with --batch-in"
        raise UsageError("exists already", fix=fix, file=path)
    refuse_unsayable(list(missing.values()))
    lines = []
    for key, call in missing.items():
        for number in range(call.decoding.n):
            body = request_body(spec.model, call, number)
            name = f"{key.hex()}-{number}-{call.decoding.n}"
            record = {"custom_id": name, "method": "POST", "url": URL, "body": body}
            lines.append(json.dumps(record, ensure_ascii=False, separators=(",", ":")))
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "\n".join([*lines, ""]))
    return Posted(path, len(lines))


def take_in(path: Path, ledger: Ledger) -> TakenIn:
    """Put the answers of a batch API into the ledger; a call with a failed reply stays unknown.

    Raises:
        UsageError: The file cannot be read, or is not one of answers to a run's calls.
    """
    found: dict[bytes, dict[int, Reply]] = {}
    sizes: dict[bytes, int] = {}
    failed = 0
    for key, number, size, reply in _answers(path):
        sizes[key] = size
        if reply is None or reply.finish == "error":
            failed += 1
        else:
            found.setdefault(key, {})[number] = reply
    whole = {key: replies for key, replies in found.items() if len(replies) == sizes[key]}
    ledger.put((key, [replies[n] for n in sorted(replies)]) for key, replies in whole.items())
    return TakenIn(len(whole), failed, len(found) - len(whole))


def _answers(path: Path) -> Iterator[tuple[bytes, int, int, Reply | None]]:
    try:
        with path.open(encoding="utf-8") as file:
            for line, text in enumerate(file, start=1):
                if text.strip():
                    yield _answer(text, path, line)
    except (OSError, UnicodeError) as exc:
        fix = "give the file of answers that the batch API or 'vllm run-batch' wrote"
        raise UsageError(f"cannot be read: {exc}", fix=fix, file=path) from exc


def _answer(text: str, path: Path, line: int) -> tuple[bytes, int, int, Reply | None]:
    """Key, number of the reply, how many the call has, and the reply where it is one."""
    try:
        record = json.loads(text)
        match = _ID.fullmatch(record["custom_id"])
        response = record.get("response") or {}
        body = response.get("body")
        good = not record.get("error") and response.get("status_code", 200) == 200
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        match = None
    if match is None or not int(match[2]) < int(match[3]):
        fix = "give the answers to a file that --batch-out wrote"
        raise UsageError("is no answer to a call of a run", fix=fix, file=path, line=line)
    try:
        reply = reply_of(body) if good else None
    except ValueError:
        reply = None
    return bytes.fromhex(match[1]), int(match[2]), int(match[3]), reply


def check_servers(specs: Mapping[str, ModelSpec], used: list[str]) -> None:
    """Refuse to write batch files for a job that asks no server.

    Raises:
        ModelError: None of the models in use is one.
    """
    if not any(specs[name].server for name in used):
        fix = "give a model a 'server', or leave out --batch-out"
        raise ModelError("no model of this job is behind a server", fix=fix, key="models")
