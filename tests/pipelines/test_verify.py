"""`verify` makes runs once more and names what is not the same; other environments are told of."""

import itertools
import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import pytest
from command_line import Ended, assert_line, textmill
from jobs import SEEDS, files_of, job_data, write_job

from chains.calls import Call, Message
from chains.decoding import Greedy
from pipelines.files import read_jsonl
from pipelines.replaying import Drawn, Sample
from pipelines.rows import Row, digest
from pipelines.stages import STAGES, Map

HERE = ("--out", "run", "--ledger", "ledger.sqlite")
VERIFY = ("verify", "run", "--ledger", "ledger.sqlite")
PATTERN = {"kind": "pattern", "field": "answer", "require": ["[aeiou]{2}.*ing"]}
EXPORTS = [{"kind": "jsonl"}, {"kind": "hf_dataset", "splits": {"train": 0.5, "test": 0.5}}]
numbers = itertools.count()


@STAGES.register
class Counted(Map):
    """Numbers rows as no second run would."""

    kind: Literal["counted"] = "counted"

    def columns_added(self) -> set[str]:
        return {"number"}

    def apply(self, row: Row) -> Row:
        return row.with_data({"number": next(numbers)})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a finished run beside its job and its ledger."""
    made(tmp_path)
    return tmp_path / "run"


def made(folder: Path, *stages: dict[str, Any], **changes: Any) -> None:
    data = {
        "rows": 6,
        "stages": [*job_data()["stages"], PATTERN, *stages],
        "exports": EXPORTS,
    }
    write_job(folder, job_data(**{**data, **changes}))
    ended = textmill(folder, "run", "job.yaml", *HERE)
    assert ended.code == 0, ended.err


def edit_json(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads(path.read_bytes())
    sealed = data.pop("sha", "")  # what a manifest is known by to be as it was written
    change(data)
    if sealed:
        data["sha"] = digest(data)
    path.write_text(json.dumps(data))


def edit_call(ledger: Path, old: str, new: str) -> str:
    """Change the recorded reply that holds `old`, checksum and all; gives its key."""
    with closing(sqlite3.connect(ledger, isolation_level=None)) as db:
        ((key, text),) = db.execute(
            "SELECT key, replies FROM calls WHERE instr(replies, ?)", (old,)
        ).fetchall()
        text = text.replace(old, new)
        crc = zlib.crc32(text.encode(), zlib.crc32(key))
        db.execute("UPDATE calls SET replies = ?, crc = ? WHERE key = ?", (text, crc, key))
    return str(key.hex())


def recorded(ledger: Path) -> list[Any]:
    with closing(sqlite3.connect(ledger)) as db:
        return db.execute("SELECT * FROM calls UNION ALL SELECT * FROM vectors").fetchall()


def rejected(run: Path) -> int:
    return len(list(read_jsonl(run / "rejected.jsonl")))


def test_a_sample_of_calls_and_all_rows_are_the_same(run: Path) -> None:
    before, known = files_of(run), recorded(run.parent / "ledger.sqlite")
    ended = textmill(run.parent, *VERIFY)
    refused = rejected(run)
    assert refused > 1
    assert ended == Ended(
        0,
        f"20 of 20 calls, 6 of 6 rows, {refused} of {refused} rejected rows "
        "and 5 of 5 files of exports are the same bytes\n",
        "",
    )
    assert textmill(run.parent, *VERIFY, "--calls", "3").out.startswith("3 of 3 calls, ")
    assert (files_of(run), recorded(run.parent / "ledger.sqlite")) == (before, known)


def test_calls_that_failed_fail_again_and_are_not_missed(tmp_path: Path) -> None:
    topics = [*SEEDS[:3], "word " * 9000]
    made(tmp_path, sources=[{"kind": "topics", "topics": topics, "count": 4}], rows=None)
    assert "context_overflow" in (tmp_path / "run/rejected.jsonl").read_text()
    ended = textmill(tmp_path, *VERIFY)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("6 of 6 calls, ")


def test_all_of_a_run_is_made_without_its_ledger(run: Path) -> None:
    (run.parent / "ledger.sqlite").unlink()
    ended = textmill(run.parent, "verify", "run", "--all", "--json")
    assert (ended.code, ended.err) == (0, "")
    report = json.loads(ended.out)
    assert report == {
        "run": "run",
        "same": True,
        "counts": {
            "rows": {"same": 6, "of": 6},
            "rejected rows": {"same": rejected(run), "of": rejected(run)},
            "files of exports": {"same": 5, "of": 5},
        },
        "differences": [],
        "environment": [],
    }


def test_a_reply_that_the_model_does_not_give_is_named_with_its_row(run: Path) -> None:
    row = list(read_jsonl(run / "rows.jsonl"))[2]
    answer, other = row["data"]["answer"], f"Really, {row['data']['answer']}"
    key = edit_call(run.parent / "ledger.sqlite", answer, other)
    ended = textmill(run.parent, *VERIFY, "--calls", "1000", "--json")
    assert ended.code == 9
    assert_line(
        ended.err,
        f'run/rows.jsonl:3: data.answer: recorded "{answer[:20]}..., made again "{other[:20]}...; '
        "fix: the same job, versions and machine class give the same bytes: please report it",
    )
    report = json.loads(ended.out)
    calls = report["counts"]["calls"]
    assert calls["same"] == calls["of"] - 1 > 20
    assert report["counts"]["rows"] == {"same": 5, "of": 6}
    assert report["counts"]["files of exports"]["same"] < 5
    places = [(d["where"], d["line"], d["column"]) for d in report["differences"]]
    assert places[0] == ("rows.jsonl", 3, "data.answer")
    assert places[-1] == (f"call {key[:12]} to writer", None, "replies.0.text")
    assert json.loads(report["differences"][-1]["recorded"]) == other
    assert json.loads(report["differences"][-1]["found"]) == answer


def test_a_stage_that_is_never_the_same_is_found(tmp_path: Path) -> None:
    made(tmp_path, {"kind": "counted"}, exports=[])
    ended = textmill(tmp_path, "verify", "run", "--all")
    assert ended.code == 9
    assert ended.out.startswith("0 of 6 rows and ")
    assert_line(ended.err, "run/rows.jsonl:1: data.number: recorded 0, made again ...; fix: ...")


def new_ledger(run: Path) -> None:
    (run.parent / "ledger.sqlite").unlink()
    sqlite3.connect(run.parent / "ledger.sqlite").close()


def other_job(run: Path) -> None:
    job = run / "job.yaml"
    job.write_text(job.read_text().replace("topic 5\n", "topic 50\n"))


def a_server(run: Path) -> None:
    job = run / "job.yaml"
    job.write_text(job.read_text().replace("server: ''", "server: http://127.0.0.1:9/v1"))


def other_model(run: Path) -> None:
    edit_json(run / "manifest.json", lambda m: m["models"]["writer"].update(fingerprint="0"))


ALL = "or make all of it again with --all"
REFUSALS: dict[str, tuple[Callable[[Path], object], str]] = {
    "the ledger is gone": (
        lambda run: (run.parent / "ledger.sqlite").unlink(),
        "ledger.sqlite: the ledger of the run is not there; "
        f"fix: name the run's own with --ledger FILE, {ALL}",
    ),
    "the ledger is another": (
        new_ledger,
        "ledger.sqlite: it does not have all calls of the run; "
        f"fix: name the run's own with --ledger FILE, {ALL}",
    ),
    "not finished": (
        lambda run: (run / "manifest.json").unlink(),
        "run: the run is not finished; fix: go on with it first: python run_pipeline.py resume run",
    ),
    "ended by the clock": (
        lambda run: edit_json(
            run / "manifest.json", lambda m: m.update(reproducible=False, stop="budget: minutes")
        ),
        "run: the run was stopped by 'budget: minutes', and a clock never runs alike; fix: ...",
    ),
    "a server": (a_server, "run: models.writer: is a server's, and what a server replies ..."),
    "another job": (other_job, "run: the job changed since the run began; fix: ..."),
    "another model": (other_model, "run: models.writer: is another one than the run was made ..."),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_compared_is_refused(case: str, run: Path) -> None:
    change, line = REFUSALS[case]
    change(run)
    ended = textmill(run.parent, *VERIFY)
    assert (ended.code, ended.out) == (2, "")
    assert_line(ended.err, line)


def test_another_environment_is_told_before_anything_is_compared(run: Path) -> None:
    edit_json(run / "manifest.json", lambda m: m["versions"].update(torch="1.0"))
    edit_json(run / "manifest.json", lambda m: m.update(machine="z80"))
    ended = textmill(run.parent, *VERIFY)
    assert ended.code == 0
    assert ended.err.startswith("warning: made with torch 1.0, now ")
    assert "; machine z80, now " in ended.err
    assert ended.err.endswith(": differences may come from that\n")
    assert ended.err.count("\n") == 1


RESUME = ("resume", "run", "--ledger", "ledger.sqlite")


def test_going_on_with_another_package_is_told(run: Path) -> None:
    (run / "manifest.json").unlink()
    assert "warning" not in textmill(run.parent, *RESUME).err
    edit_json(run / ".environment", lambda e: e["versions"].update(pydantic="1.0"))
    assert "warning" not in textmill(run.parent, *RESUME).err, "it is finished"
    (run / "manifest.json").unlink()
    ended = textmill(run.parent, *RESUME)
    assert ended.code == 0
    assert ended.err.startswith("warning: begun with pydantic 1.0, now ")
    assert ": what is made now may differ in its bytes\n" in ended.err
    assert "changed" not in json.loads((run / "manifest.json").read_text())


def test_a_run_that_went_on_with_another_torch_says_so_for_ever(run: Path) -> None:
    (run / "manifest.json").unlink()
    torch = json.loads((run / ".environment").read_text())["versions"]["torch"]
    edit_json(run / ".environment", lambda e: e["versions"].update(torch="1.0"))
    ended = textmill(run.parent, *RESUME, "--allow-changes")
    assert ended.code == 0
    change = f"torch 1.0, now {torch}"
    assert ended.err.startswith(f"warning: begun with {change}: ")
    told = f"This run went on in another environment ({change}), so another one may end elsewhere"
    assert told in (run / "dataset/README.md").read_text()
    edit_json(
        run / ".environment", lambda e: e["versions"].update(torch=torch)
    )  # back where it was
    (run / "manifest.json").unlink()
    assert textmill(run.parent, *RESUME).code == 0
    assert json.loads((run / "manifest.json").read_text())["changed"] == [change]
    assert f"made with {change}: " in textmill(run.parent, *VERIFY).err


def drawn(number: int) -> Drawn:
    call = Call((Message("user", str(number)),), Greedy(), number)
    return Drawn("writer", number.to_bytes(4, "big"), call)


def shown(seed: int, size: int, order: Iterator[int]) -> list[int]:
    sample = Sample(seed, size)
    for number in order:
        sample.show(drawn(number))
    return [one.call.seed for one in sample.calls()]


def test_which_calls_are_drawn_depends_on_keys_and_seed_alone() -> None:
    first = shown(1, 5, iter(range(3000)))
    assert len(set(first)) == 5
    assert first == shown(1, 5, reversed(range(3000)))
    assert first == shown(1, 5, itertools.chain(range(3000), range(3000)))
    assert first != shown(2, 5, iter(range(3000)))
    assert max(first) > 100, "not the first that come"
