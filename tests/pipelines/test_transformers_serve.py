"""A job against `transformers serve`, a server that is none of ours, with a small trained model."""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from command_line import textmill

pytestmark = pytest.mark.slow
MODEL = Path(os.environ.get("TEXTMILL_TEST_DATA", "")) / "models" / "stories260k"
NEEDED = ("fastapi", "uvicorn", "openai")
JOB = """
name: served
rows: 5
block: 5
models: {{writer: {{server: "{address}/v1", model: {model}, batch: 2}}}}
prompts:
  tell: |
    variables: {{topic: who it is about}}
    messages: [{{role: user, content: "Once upon a time, {{{{ topic }}}}"}}]
sources:
  - {{kind: topics, topics: [Lily, Tom, Anna, Ben, Sam], count: 5}}
stages:
  - {{kind: generate, model: writer, prompt: tell, adds: story, allow_cut: true,
     decoding: {decoding}}}
"""


@contextmanager
def served(model: Path, room: Path) -> Iterator[str]:
    """The server's address; what it downloads, which is nothing, would lie in `room`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "import sys; from transformers.cli.transformers import main; sys.exit(main())"
    words = ["serve", str(model), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    (room / "hub").mkdir()
    settings = {**os.environ, "HF_HUB_CACHE": str(room / "hub"), "HF_HUB_OFFLINE": "1"}
    with (room / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words], env=settings, stdout=log, stderr=log
        )
    address = f"http://127.0.0.1:{port}"
    try:
        limit = time.monotonic() + 240
        while not reachable(address):
            if process.poll() is not None or time.monotonic() > limit:
                log_text = (room / "server.log").read_text(errors="replace")
                pytest.skip(f"transformers serve does not start: {log_text[-300:]}")
            time.sleep(0.5)
        yield address
    finally:
        process.kill()
        process.wait()


def reachable(address: str) -> bool:
    with suppress(OSError):
        urllib.request.urlopen(f"{address}/health", timeout=5).close()
        return True
    return False


@pytest.mark.skipif(not MODEL.is_dir(), reason="needs TEXTMILL_TEST_DATA")
@pytest.mark.timeout(900)
def test_a_job_is_answered_by_transformers_serve(tmp_path: Path) -> None:
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        pytest.skip(f"transformers serve needs {missing[0]}")
    model = tmp_path / "toy"
    shutil.copytree(MODEL, model, copy_function=shutil.copyfile)
    model.chmod(0o755)
    (model / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    with served(model, tmp_path) as address:
        greedy = '{strategy: greedy, max_tokens: 16, stop: ["."]}'
        job = tmp_path / "greedy.yaml"
        job.write_text(JOB.format(address=address, model=model, decoding=greedy))
        done = textmill(tmp_path, "run", "greedy.yaml", "--out", "run")
        assert done.code == 0, done.err
        # It is greedy whatever it is asked for, where the model's own files do not say `do_sample`.
        drawn = "{strategy: sample, temperature: 0.9, max_tokens: 16}"
        (tmp_path / "drawn.yaml").write_text(
            JOB.format(address=address, model=model, decoding=drawn)
        )
        refused = textmill(tmp_path, "run", "drawn.yaml", "--out", "drawn")
    assert (refused.code, "the server ignores temperature" in refused.err) == (4, True)
    rows = [json.loads(line) for line in (tmp_path / "run" / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == 5
    for row in rows:
        story, tokens = row["data"]["story"], row["history"][-1]["tokens"]
        assert len(story.split()) >= 3
        assert tokens[0] > 3
        assert 3 <= tokens[1] <= 16
