"""What a run must not look at, the clock, and what it must carry through, any text."""

import ast
import itertools
import json
import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import files_of, launched, loaded_job

from pipelines.calling import Interrupted
from pipelines.folder import RunFolder
from pipelines.launch import Options, launch
from pipelines.runner import Watch

REPOSITORY = Path(__file__).resolve().parents[2]
TELLING_TIME = {"time.time", "time.time_ns", "datetime.now", "datetime.today", "date.today"}


class StopAfterBlock(Watch):
    """Asks to stop once a block is committed."""

    stopped = False

    def on_block(self, accepted: int, rejected: int) -> None:
        self.stopped = True

    def stop_requested(self) -> bool:
        return self.stopped


def test_a_clock_that_jumps_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports = [{"kind": "jsonl"}]
    whole = files_of(launched(tmp_path, "whole", exports=exports).folder)
    jumps = itertools.cycle([4e9, 0.0, 1.8e9, 86_400.0])
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    run, ledger = tmp_path / "run", tmp_path / "other.sqlite"
    with pytest.raises(Interrupted):
        launch(loaded_job(tmp_path, exports=exports), run, Options(ledger, watch=StopAfterBlock()))
    for path in tmp_path.rglob("*"):
        os.utime(path, (0, 0) if path.suffix == ".jsonl" else (4e9, 4e9))
    launch(loaded_job(tmp_path, exports=exports), run, Options(ledger))
    assert files_of(run) == whole


def test_the_time_of_day_is_asked_for_only_in_names_and_when_a_server_names_it() -> None:
    asking = {
        str(path.relative_to(REPOSITORY))
        for package in ("chains", "pipelines", "prompts")
        for path in (REPOSITORY / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in TELLING_TIME
    }
    assert asking == {"pipelines/launch.py", "chains/models/server_reply.py"}


HARD = st.sampled_from(
    [
        "\u2028",
        "\x85",
        "\x00",
        "\x1e",
        "\ufeff",
        "e\u0301",
        "\u202e\u05d0\u0639",
        "👩\u200d🚀",
        "\ud83d",
        "\r",
    ]
)
TEXTS = st.lists(st.lists(st.text(max_size=8) | HARD, min_size=1), min_size=20, max_size=40)


@settings(deadline=None, max_examples=5)
@given(TEXTS)
def test_any_text_comes_through_a_run_as_it_was_but_for_halves_of_characters(
    pieces: list[list[str]],
) -> None:
    texts = ["".join(some) for some in pieces]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        records = [json.dumps({"text": text}) + "\n" for text in texts]
        (folder / "seeds.jsonl").write_text("".join(records), encoding="utf-8")
        done = launched(
            folder,
            sources=[{"kind": "records", "path": str(folder / "seeds.jsonl")}],
            stages=[{"kind": "dedup", "field": "text", "action": "flag"}],
            prompts={},
            models={},
            exports=[{"kind": "jsonl"}, {"kind": "csv", "formula_safe": False}],
        )
        rows = list(RunFolder(done.folder).rows())
        exported = next(done.folder.glob("*/*.jsonl")).read_bytes().split(b"\n")
    whole = [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts]
    assert [row.data["text"] for row in rows] == whole
    assert [json.loads(line)["text"] for line in exported if line] == whole
