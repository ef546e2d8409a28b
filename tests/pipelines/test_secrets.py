"""A key of the environment is sent to its server, and is in nothing that is written or printed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import Ended, textmill
from mistakes import RESUME, RUN, SEEDS, changed, write

from chains.models import server_pace
from tests.chains.fake_server import GOOD_KEY, FakeServer, completion, serving

COMMANDS = (
    RUN,
    RESUME,
    ("inspect", "run", "0"),
    ("validate", "job.yaml"),
    ("export", "run", "--format", "csv", "--out", "table"),
    ("report", "run", "--out", "report.html"),
    ("ls", "."),
)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    """A server that lets in who has the key, and a job that names it by its variable."""
    monkeypatch.setenv("TEXTMILL_CANARY", GOOD_KEY)
    monkeypatch.setattr(server_pace, "LONGEST_PAUSE", 0.01)  # seconds between tries
    with serving() as server:
        server.needs_key = True
        address = f"{server.address}/v1"
        model = f"{{server: '{address}', model: qwen3, api_key: '${{TEXTMILL_CANARY}}'}}"
        job = changed(
            "{model: scripted}", model, "{kind: jsonl}", "{kind: hf_dataset, format: rows}"
        )
        write(tmp_path, {"job.yaml": job, "seeds.jsonl": SEEDS})
        yield server


def written(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def assert_no_key(folder: Path, *ended: Ended) -> None:
    files = {name: data for name, data in written(folder).items() if GOOD_KEY.encode() in data}
    assert sorted(files) == []
    assert not [e for e in ended if GOOD_KEY in e.out + e.err]


def test_no_file_and_no_stream_has_the_key(fake: FakeServer, tmp_path: Path) -> None:
    ended = [textmill(tmp_path, *words) for words in COMMANDS]
    assert [e.code for e in ended] == [0] * len(COMMANDS)
    assert len(fake.requests) >= 6  # who does not send the key gets no answer
    assert len(written(tmp_path)) > 15
    assert_no_key(tmp_path, *ended)


@pytest.mark.parametrize("status", [400, 401, 500])
def test_a_server_that_repeats_the_key_does_not_bring_it_into_the_run(
    status: int, fake: FakeServer, tmp_path: Path
) -> None:
    answers = iter([(200, completion("Blue."))])
    refused = (status, {"error": {"message": f"bad key {GOOD_KEY}: {GOOD_KEY}"}})
    fake.chat = lambda body: next(answers, refused)
    ended = textmill(tmp_path, *RUN, "--debug")
    assert ended.code != 0
    assert_no_key(tmp_path, ended)
