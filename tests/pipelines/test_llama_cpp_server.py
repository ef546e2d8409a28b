"""A job against the server of llama.cpp, which is none of ours, with the embedded model's file."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import textmill

from chains.models.embedded import WRITER
from prompts.errors import ModelError

pytestmark = pytest.mark.slow
SERVER = """
import sys, time, xllamacpp
settings = xllamacpp.CommonParams()
settings.model.path, settings.model_alias = sys.argv[1], {"small"}
settings.n_ctx, settings.n_parallel, settings.warmup = 1024, 2, False
settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(settings)
print(server.listening_address, flush=True)
time.sleep(3600)
"""
JOB = """
name: served
rows: 4
block: 5
models: {{writer: {{server: "{address}/v1", model: small, batch: 2}}}}
prompts:
  ask: |
    variables: {{topic: x}}
    messages: [{{role: user, content: "Write one question about {{{{ topic }}}}."}}]
  describe: |
    variables: {{topic: x}}
    messages: [{{role: user, content: "Describe {{{{ topic }}}} as JSON."}}]
    output:
      form: json
      schema: {{type: object, required: [warm], additionalProperties: false,
                properties: {{warm: {{type: boolean}}}}}}
sources:
  - {{kind: records, path: topics.jsonl}}
stages:
  - {{kind: generate, model: writer, prompt: ask, adds: question, allow_cut: true,
     decoding: {{strategy: sample, temperature: 0.8, max_tokens: 16, stop: ["?"]}}}}
  - {{kind: generate, model: writer, prompt: describe, adds: about,
     decoding: {{strategy: greedy, max_tokens: 24}}}}
"""


@contextmanager
def served(model: Path, room: Path) -> Iterator[str]:
    """The server's address; it takes two calls at once, 512 tokens for each."""
    with (room / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(model)], stdout=subprocess.PIPE, stderr=log
        )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().decode().strip()
        if not address:
            pytest.skip(f"no server: {(room / 'server.log').read_text(errors='replace')[-300:]}")
        yield address
    finally:
        process.kill()
        process.communicate()


@pytest.mark.timeout(900)
def test_a_job_is_answered_by_llama_cpp(tmp_path: Path) -> None:
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("needs xllamacpp")
    try:
        model = WRITER.path()
    except ModelError as exc:
        pytest.skip(str(exc))
    topics = ["tea", "rain", "word " * 600, "bread", "maps"]
    (tmp_path / "topics.jsonl").write_text("\n".join(json.dumps({"topic": t}) for t in topics))
    with served(model, tmp_path) as address:
        (tmp_path / "job.yaml").write_text(JOB.format(address=address))
        done = textmill(tmp_path, "run", "job.yaml", "--out", "run")
        assert done.code == 0, done.err
        again = textmill(tmp_path, "run", "job.yaml", "--out", "again")
        wrong = ["--set", "models.writer.model=smal", "--out", "wrong"]
        refused = textmill(tmp_path, "run", "job.yaml", *wrong)
    assert refused.code == 4
    assert "write 'small' (served: small)" in refused.err
    dead = textmill(tmp_path, "run", "job.yaml", "--out", "dead", "--ledger", "other.sqlite")
    assert (dead.code, "the server cannot be reached" in dead.err) == (4, True)
    made = records(tmp_path / "run" / "rows.jsonl")
    assert (again.code, records(tmp_path / "again" / "rows.jsonl")) == (0, made)
    assert "16 from the ledger, 2 paid" in again.out  # a failed call is not remembered
    for row in made:
        assert len(row["data"]["question"].split()) >= 3
        assert "?" not in row["data"]["question"]
        assert isinstance(row["data"]["about"]["warm"], bool)
        assert all(event["tokens"][0] > 10 for event in row["history"][1:3])
    rejected = records(tmp_path / "run" / "rejected.jsonl")
    long = [entry for entry in rejected if entry["reason"] == "context_overflow"]
    assert {entry["data"]["topic"] for entry in long} == {topics[2]}


def records(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]
