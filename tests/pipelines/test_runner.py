import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import pytest
from jobs import files_of, job_data, launched, loaded_job, prompt_text, write_job

from pipelines.accounting import AccountingError
from pipelines.calling import Caller, Interrupted
from pipelines.folder import RunFolder
from pipelines.launch import Options, launch
from pipelines.ledger import Ledger
from pipelines.rows import Outcome, Row
from pipelines.runner import Watch
from pipelines.stages import STAGES, Context, Filter, Map, Stage

REPOSITORY = Path(__file__).resolve().parents[2]


@STAGES.register
class EveryThird(Filter):
    """Rejects every third seed, whatever is in it."""

    kind: Literal["every_third"] = "every_third"

    def fault(self, row: Row) -> str | None:
        return "third" if row.order[0] % 3 == 0 else None


@STAGES.register
class Loses(Stage):
    """Loses a row without a word."""

    kind: Literal["loses"] = "loses"

    def run(self, rows: Iterator[Row], context: Context) -> Iterator[Outcome]:
        next(rows)
        yield from rows


class StopAfter(Watch):
    """Asks to stop after a number of batches and blocks."""

    def __init__(self, moments: int) -> None:
        self.left = moments

    def on_batch(self, caller: Caller) -> None:
        self.left -= 1

    def on_block(self, accepted: int, rejected: int) -> None:
        self.left -= 1

    def stop_requested(self) -> bool:
        return self.left <= 0


def stage(kind: str, **settings: Any) -> dict[str, Any]:
    return {"kind": kind, **settings}


def with_stages(*stages: dict[str, Any]) -> list[dict[str, Any]]:
    ask, answer = job_data()["stages"]
    return [ask, *stages, answer]


def read(run: Path, file: str = "rows.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / file).read_bytes().split(b"\n") if line]


def assert_accounts(run: Path, counts: list[dict[str, Any]]) -> None:
    """Every stage takes in what the one before gave out, and loses nothing; files say the same."""
    for entry in counts:
        assert entry["in"] + entry["created"] == entry["out"] + sum(entry["rejected"].values())
    sources = [entry for entry in counts if entry["stage"].startswith("source:")]
    chain = [{"out": sum(entry["out"] for entry in sources)}, *counts[len(sources) :]]
    for before, after in pairwise(chain):
        assert before["out"] == after["in"]
    assert chain[-1]["out"] == len(read(run))
    reasons: dict[tuple[str, str], int] = {}
    for record in read(run, "rejected.jsonl"):
        place = (record["stage"], record["reason"])
        reasons[place] = reasons.get(place, 0) + 1
    assert reasons == {(e["stage"], r): n for e in counts for r, n in e["rejected"].items()}


def test_the_output_ends_at_the_row_that_fills_the_quota(tmp_path: Path) -> None:
    done = launched(tmp_path, rows=8, stages=with_stages(stage("every_third")))
    assert (done.run.stop, done.run.accepted) == ("quota", 8)
    orders = [record["order"] for record in read(done.folder)]
    assert orders == ["1", "2", "4", "5", "7", "8", "10", "11"]
    assert_accounts(done.folder, done.run.counts)
    assert done.run.counts[-1] == {
        "stage": "quota", "kind": "quota", "in": 10, "created": 0, "out": 8,
        "rejected": {"over_quota": 2},
    }  # fmt: skip


def test_a_quota_is_met_by_going_through_the_source_again(tmp_path: Path) -> None:
    done = launched(tmp_path, rows=60, stages=with_stages(stage("every_third")))
    rows = read(done.folder)
    assert done.run.stop == "quota"
    assert len({row["id"] for row in rows}) == 60
    assert {row["history"][0]["pass"] for row in rows} == {0, 1, 2}
    assert_accounts(done.folder, done.run.counts)


@pytest.mark.parametrize(
    ("changes", "stop", "accepted"),
    [
        ({}, "sources", 40),
        ({"passes": 2}, "sources", 80),
        ({"rows": 50, "passes": 1}, "passes", 40),
        ({"rows": 50, "budget": {"calls": 30}}, "budget: calls", 16),
        ({"rows": 4, "budget": {"seeds_per_row": 3}, "stages": "none pass"}, "budget: seeds", 0),
    ],
)
def test_a_run_says_what_ended_it(
    tmp_path: Path, changes: dict[str, Any], stop: str, accepted: int
) -> None:
    if "stages" in changes:
        never = stage("pattern", field="topic", require=["never"])
        changes = {**changes, "stages": [never]}
    done = launched(tmp_path, **changes)
    assert (done.run.stop, done.run.accepted) == (stop, accepted)
    assert_accounts(done.folder, done.run.counts)


def test_a_run_made_twice_is_the_same_to_the_byte(tmp_path: Path) -> None:
    changes = {"rows": 30, "stages": with_stages(stage("every_third"))}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    first = launched(tmp_path / "a", **changes)
    second = launched(tmp_path / "b", **changes)
    assert files_of(first.folder) == files_of(second.folder)


def test_the_block_size_does_not_change_the_rows(tmp_path: Path) -> None:
    rows = set()
    for block in (1, 3, 8, 64):
        done = launched(
            tmp_path, f"run{block}", rows=12, block=block, stages=with_stages(stage("every_third"))
        )
        rows.add((done.folder / "rows.jsonl").read_bytes())
    assert len(rows) == 1


def test_inserting_a_seed_changes_no_other_row(tmp_path: Path) -> None:
    topics = [f"topic {n}" for n in range(6)]
    seeds = tmp_path / "seeds.jsonl"
    rows: list[dict[str, dict[str, Any]]] = []
    for run, texts in (("a", topics), ("b", ["new", *topics])):
        seeds.write_text("".join(json.dumps({"topic": text}) + "\n" for text in texts))
        source = {"kind": "records", "path": str(seeds)}
        done = launched(tmp_path, run, sources=[source])
        rows.append({r["data"]["topic"]: r for r in read(done.folder)})
    before, after = rows
    assert len(after) == 7
    for topic in topics:
        assert after[topic]["id"] == before[topic]["id"]
        assert after[topic]["data"] == before[topic]["data"]


def test_a_second_run_of_the_same_job_pays_no_call(tmp_path: Path) -> None:
    first = launched(tmp_path, "a", rows=20)
    second = launched(tmp_path, "b", rows=20)
    assert first.meter.known == 0
    assert second.meter.known == second.meter.calls == first.meter.calls > 0
    assert files_of(first.folder) == files_of(second.folder)


def keys_of(folder: Path) -> set[bytes]:
    with Ledger(folder / "ledger.sqlite") as ledger:
        return ledger.keys()


def test_an_edited_prompt_pays_only_for_its_own_calls(tmp_path: Path) -> None:
    launched(tmp_path, "a")
    before = keys_of(tmp_path)
    prompts = job_data()["prompts"]
    edited = {**prompts, "reply": prompt_text("Answer in short: {{ question }}", ["question"])}
    second = launched(tmp_path, "b", prompts=edited)
    assert second.meter.calls - second.meter.known == 40
    assert len(keys_of(tmp_path) - before) == 40
    assert [r["data"]["question"] for r in read(tmp_path / "a")] == [
        r["data"]["question"] for r in read(tmp_path / "b")
    ]


@pytest.mark.parametrize(
    ("change", "paid"),
    [
        ({"seed": 4}, 80),
        ({"exports": [{"kind": "jsonl"}]}, 0),
        ({"block": 5}, 0),
        ({"rows": 25}, 0),
        ({"name": "other"}, 0),
        ({"max_reject_rate": 0.5}, 0),
        ({"models": {"writer": {"model": "scripted", "batch": 3}}}, 0),
        ({"stages": [*job_data()["stages"], {"kind": "length", "field": "answer", "min": 1}]}, 0),
        ({"stages": [{"kind": "length", "field": "topic", "min": 1}, *job_data()["stages"]]}, 0),
    ],
)
def test_what_each_edit_of_a_job_pays(tmp_path: Path, change: dict[str, Any], paid: int) -> None:
    launched(tmp_path, "a")
    second = launched(tmp_path, "b", **change)
    assert second.meter.calls - second.meter.known == paid


def test_an_interrupted_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    changes = {"rows": 30, "stages": with_stages(stage("every_third"))}
    whole = files_of(launched(tmp_path, "whole", **changes).folder)
    interruptions = 0
    for moments in range(1, 20):
        run, ledger = tmp_path / f"run{moments}", tmp_path / f"ledger{moments}.sqlite"
        try:
            launch(loaded_job(tmp_path, **changes), run, Options(ledger, watch=StopAfter(moments)))
        except Interrupted:
            interruptions += 1
        launch(loaded_job(tmp_path, **changes), run, Options(ledger))
        assert files_of(run) == whole
    assert interruptions > 10


def test_a_finished_run_is_left_alone(tmp_path: Path) -> None:
    first = launched(tmp_path, rows=10)
    before = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    again = launched(tmp_path, rows=10)
    assert (first.run.fresh, again.run.fresh) == (True, False)
    assert again.meter.calls == 0
    after = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    del before[first.folder / ".lock"], after[first.folder / ".lock"]
    assert after == before


def test_several_replies_are_one_family(tmp_path: Path) -> None:
    ask, answer = job_data()["stages"]
    ask["decoding"] = {"strategy": "sample", "n": 3}
    done = launched(tmp_path, rows=7, stages=[ask, answer])
    rows = read(done.folder)
    assert [row["order"] for row in rows] == ["0.0", "0.1", "0.2", "1.0", "1.1", "1.2", "2.0"]
    assert len({row["family"] for row in rows}) == 3
    assert rows[0]["id"] == rows[0]["family"] != rows[1]["id"]
    assert_accounts(done.folder, done.run.counts)
    one = launched(tmp_path, "one", rows=3)
    assert [row["data"] for row in read(one.folder)] == [row["data"] for row in rows[::3]]


def test_a_stage_that_loses_a_row_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(AccountingError, match="stage 'loses' lost row"):
        launched(tmp_path, stages=[stage("loses")])


def test_rejections_carry_reason_evidence_and_data(tmp_path: Path) -> None:
    ask, answer = job_data()["stages"]
    ask["length"] = {"unit": "words", "min": 200}
    done = launched(tmp_path, stages=[ask, answer])
    record = read(done.folder, "rejected.jsonl")[0]
    assert done.run.accepted == 0
    assert (record["stage"], record["reason"], record["attempts"]) == ("question", "too_short", 3)
    assert record["detail"]["min"] == 200
    assert record["detail"]["reply"]
    assert set(record["data"]) == {"topic"}
    assert done.meter.calls == 40 * 3


class Upper(Map):
    kind: Literal["upper"] = "upper"

    def apply(self, row: Row) -> Outcome:
        return row.with_data({"topic": row.data["topic"].upper()}, {"stage": self.name})


def test_a_row_that_was_changed_keeps_its_id(tmp_path: Path) -> None:
    STAGES.register(Upper)
    done = launched(tmp_path, stages=[stage("upper")])
    row = read(done.folder)[0]
    assert row["data"]["topic"].startswith("TOPIC ")
    assert row["id"] == row["family"]
    assert [event["stage"] for event in row["history"]] == ["source:topics", "upper"]


PLUGIN = """
import os, signal
from typing import Literal
from pipelines.rows import Row
from pipelines.stages import STAGES, Filter

@STAGES.register
class Killer(Filter):
    kind: Literal["killer"] = "killer"

    def fault(self, row: Row) -> str | None:
        if str(row.order[0]) == os.environ["KILL_AT"]:
            os.kill(os.getpid(), signal.SIGKILL)
        return None
"""


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "killer_plugin.py").write_text(PLUGIN)
    data = job_data(plugins=["killer_plugin"], rows=30, stages=with_stages(stage("killer")))
    data["exports"] = [{"kind": "hf_dataset", "format": "rows", "splits": {"train": 1.0}}]
    command = [sys.executable, "run_pipeline.py", "run", str(write_job(tmp_path, data)), "--out"]

    def run(out: Path, kill_at: str = "") -> int:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "KILL_AT": kill_at}
        return subprocess.run(
            [*command, str(out)], cwd=REPOSITORY, env=environment, capture_output=True, check=False
        ).returncode

    assert run(tmp_path / "whole") == 0
    for place in ("0", "11", "29"):
        (tmp_path / "ledger.sqlite").unlink()
        assert run(tmp_path / place, kill_at=place) == -signal.SIGKILL
        assert run(tmp_path / place) == 0
        assert files_of(tmp_path / place) == files_of(tmp_path / "whole")


def test_what_a_run_holds_is_what_its_job_says(tmp_path: Path) -> None:
    done = launched(tmp_path, rows=5)
    folder = RunFolder(done.folder)
    manifest = folder.manifest()
    assert manifest["rows"] == len(list(folder.rows())) == 5
    assert manifest["rejected"] == len(list(folder.rejected()))
    assert manifest["stages"] == done.run.counts
    text = "".join(p.read_text() for p in (folder.manifest_file, folder.job_file))
    assert str(tmp_path) not in text
