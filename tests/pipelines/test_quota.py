"""The quota of a run: exact numbers of rows by cell, whatever the gates let through."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any, Literal

import pytest
from jobs import files_of, job_data, loaded_job, prompt_text, write_job
from test_runner import StopAfter, assert_accounts, read

from pipelines.calling import Interrupted
from pipelines.cells import short_lines
from pipelines.job import load_job
from pipelines.launch import Launched, Options, launch
from pipelines.quota import Quota, apportioned
from pipelines.rows import Row, digest
from pipelines.sources import SOURCES
from pipelines.stages import STAGES, Filter
from prompts.errors import UsageError

REPOSITORY = Path(__file__).resolve().parents[2]
LABELS = ["joy", "anger", "fear", "pride", "doubt"]
PLACES = ["home", "work", "school", "road"]
SHARES = {"joy": 90, "anger": 60, "fear": 25, "pride": 50, "doubt": 12}
"""Per cent of the rows of a label that the gate lets through."""


@STAGES.register
class UnevenGate(Filter):
    """Lets rows through by their label's share, and none of those that `never` describes."""

    kind: Literal["uneven_gate"] = "uneven_gate"
    never: dict[str, str] = {}

    def fault(self, row: Row) -> str | None:
        if self.never and self.never.items() <= row.data.items():
            return "forbidden"
        number = int(digest(row.id, row.data["text"]), 16) % 100
        return None if number < SHARES[row.data["label"]] else "unlucky"


@STAGES.register
class KillerGate(UnevenGate):
    """Ends the process, without a word, at the seed that the environment names."""

    kind: Literal["killer_gate"] = "killer_gate"  # type: ignore[assignment]

    def fault(self, row: Row) -> str | None:
        if str(row.order[0]) == os.environ.get("KILL_AT_SEED"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fault(row)


def quota_job(**changes: Any) -> dict[str, Any]:
    """Twenty cells of twenty rows; labels are drawn and let through unevenly."""
    columns = {"label": {"joy": 8, "anger": 4, "fear": 2, "pride": 1, "doubt": 1}, "place": PLACES}
    parts = {
        "block": 32,
        "prompts": {"ask": prompt_text("A {{ label }} at {{ place }}.", ["label", "place"])},
        "sources": [{"kind": "attributes", "columns": columns}],
        "stages": [
            {"kind": "generate", "model": "writer", "prompt": "ask", "adds": "text"},
            {"kind": "uneven_gate"},
        ],
        "quota": {"per": ["label", "place"], "each": 20},
    }
    return job_data(**{**parts, **changes})


def made(folder: Path, run: str = "run", **changes: Any) -> Launched:
    loaded = load_job(write_job(folder, quota_job(**changes)))
    return launch(loaded, folder / run, Options())


def cells_of(run: Path) -> Counter[tuple[str, str]]:
    return Counter((row["data"]["label"], row["data"]["place"]) for row in read(run))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Launched:
    return made(tmp_path_factory.mktemp("quota"))


def test_every_cell_has_exactly_its_rows_though_gates_reject_unevenly(done: Launched) -> None:
    assert (done.run.stop, done.run.accepted) == ("quota", 400)
    assert cells_of(done.folder) == dict.fromkeys(product(LABELS, PLACES), 20)
    assert_accounts(done.folder, done.run.counts)
    assert {(cell["wanted"], cell["rows"]) for cell in done.cells} == {(20, 20)}


def test_seeds_are_drawn_for_cells_that_are_short_only(done: Launched) -> None:
    """A row of a cell costs 1 / share seeds; all beyond that is what blocks take in vain."""
    needed = sum(len(PLACES) * 20 / (SHARES[label] / 100) for label in LABELS)
    seeds = done.run.counts[0]["in"]
    assert needed * 0.8 < seeds < needed * 1.25
    drawn = max(int(row["order"].split(".")[0]) for row in read(done.folder))
    assert drawn > 2 * seeds  # the others were passed over, and cost nothing
    assert done.run.counts[-1]["rejected"].get("over_quota", 0) < 60


def test_a_cell_that_cannot_be_filled_is_named_with_its_reasons(tmp_path: Path) -> None:
    ask, _ = quota_job()["stages"]
    gate = {"kind": "uneven_gate", "never": {"label": "joy", "place": "road"}}
    job = write_job(tmp_path, quota_job(stages=[ask, gate], plugins=["test_quota"]))
    done = command("run", str(job), "--out", str(tmp_path / "run"))
    assert done.returncode == 5
    assert "380 of 400 rows, stopped by: budget: seeds; short: joy / road 0 of 20" in done.stderr
    line = "short       joy / road: 0 of 20; uneven_gate: forbidden 400"
    assert line in done.stdout.split("\n")
    cells = cells_of(tmp_path / "run")
    assert cells[("joy", "road")] == 0
    assert {n for cell, n in cells.items() if cell != ("joy", "road")} == {20}
    report = json.loads((tmp_path / "run/manifest.json").read_text())["reports"]["quota"]
    assert report["short"] == 20


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(Path(__file__).parent), str(REPOSITORY)])
    return subprocess.run(
        [sys.executable, "run_pipeline.py", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    ask, _ = quota_job()["stages"]
    stages = [ask, {"kind": "killer_gate"}]
    small = {"per": ["label", "place"], "each": 4}
    job = write_job(tmp_path, quota_job(stages=stages, quota=small, plugins=["test_quota"]))

    def run(out: str, seed: str) -> int:
        folder = str(tmp_path / out / "run")
        return command("run", str(job), "--out", folder, KILL_AT_SEED=seed).returncode

    assert run("whole", "") == 0
    late = [row["order"] for row in read(tmp_path / "whole/run")][60]
    assert run("killed", late) == -signal.SIGKILL
    begun = len(read(tmp_path / "killed/run"))
    assert 0 < begun < 80
    assert run("killed", "") == 0
    assert files_of(tmp_path / "killed/run") == files_of(tmp_path / "whole/run")


@pytest.mark.parametrize("moments", range(1, 12, 2))
def test_a_run_that_is_stopped_anywhere_goes_on_to_the_same_bytes(
    tmp_path: Path, moments: int
) -> None:
    small = {"per": ["label", "place"], "each": 2}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    whole = made(tmp_path / "a", quota=small)
    loaded = load_job(write_job(tmp_path / "b", quota_job(quota=small)))
    with pytest.raises(Interrupted):
        launch(loaded, tmp_path / "b/run", Options(watch=StopAfter(moments)))
    assert made(tmp_path / "b", quota=small).run.accepted == 40
    assert files_of(whole.folder) == files_of(tmp_path / "b/run")


def test_cells_of_different_size(tmp_path: Path) -> None:
    cells = [
        {"label": "joy", "place": "home", "rows": 7},
        {"label": "doubt", "place": "road", "rows": 3},
    ]
    done = made(tmp_path, quota={"cells": cells})
    assert cells_of(done.folder) == {("joy", "home"): 7, ("doubt", "road"): 3}
    assert done.run.stop == "quota"


def test_weights_divide_the_rows_of_the_job(tmp_path: Path) -> None:
    per = {"label": {"joy": 3, "anger": 1}}
    done = made(tmp_path, quota={"per": per}, rows=10)
    assert Counter(row["data"]["label"] for row in read(done.folder)) == {"joy": 8, "anger": 2}


def test_a_label_that_a_stage_gives_is_counted_at_the_end(tmp_path: Path) -> None:
    """Nothing of it is known of a seed, so none is passed over and surplus rows are itemised."""
    stages = [
        {"kind": "generate", "model": "writer", "prompt": "ask", "adds": "text"},
        {"kind": "template", "forms": [{"tone": "warm"}, {"tone": "cold"}, {"tone": "odd"}]},
    ]
    done = made(tmp_path, stages=stages, quota={"per": {"tone": ["warm", "cold"]}, "each": 9})
    assert Counter(row["data"]["tone"] for row in read(done.folder)) == {"warm": 9, "cold": 9}
    assert set(done.run.counts[-1]["rejected"]) >= {"no_cell"}
    assert_accounts(done.folder, done.run.counts)


def test_records_of_full_cells_are_itemised_before_a_model_is_asked(tmp_path: Path) -> None:
    lines = [{"label": "joy" if n % 10 else "fear", "place": "home", "n": n} for n in range(200)]
    lines.append({"label": "bliss", "place": "home", "n": 200})
    text = "\n".join(json.dumps(line) for line in lines)
    (tmp_path / "rows.jsonl").write_text(text, encoding="utf-8")
    done = made(
        tmp_path,
        sources=[{"kind": "records", "path": str(tmp_path / "rows.jsonl")}],
        stages=quota_job()["stages"][:1],
        quota={"per": {"label": ["joy", "fear"]}, "each": 12},
        block=8,
    )
    assert Counter(row["data"]["label"] for row in read(done.folder)) == {"joy": 12, "fear": 12}
    source, generate = done.run.counts[:2]
    assert source["rejected"]["over_quota"] > 50
    assert generate["in"] < 60
    assert_accounts(done.folder, done.run.counts)


def test_a_quota_ends_where_the_sources_end(tmp_path: Path) -> None:
    columns = {"label": LABELS, "place": PLACES}
    sources = [{"kind": "attributes", "columns": columns, "count": 50}]
    done = made(tmp_path, sources=sources, passes=1)
    assert done.run.stop == "passes"
    [line, *_] = short_lines(done.cells)
    assert line.startswith("short       ")


@pytest.mark.parametrize(
    ("changes", "key", "problem"),
    [
        ({"quota": {}}, "quota", "either per or cells"),
        ({"quota": {"per": ["label"]}}, "quota.each", "nothing says how many"),
        ({"quota": {"per": ["lable"], "each": 1}}, "quota.per", "does not tell all values"),
        ({"quota": {"per": {"label": []}, "each": 1}}, "quota.per.label", "no values"),
        ({"quota": {"per": {"label": ["a", "a"]}, "each": 1}}, "quota.per.label", "named twice"),
        ({"quota": {"per": {"label": {"joy": 0}}}}, "quota.per.label", "below 1"),
        ({"quota": {"per": ["label"], "each": 2}, "rows": 11}, "rows", "wants 11 rows"),
        ({"quota": {"per": ["label"]}, "rows": 3}, "quota.per", "too few for 5 cells"),
        ({"quota": {"cells": [{"label": "joy"}]}}, "quota.cells.0.rows", "found rows None"),
        ({"quota": {"cells": [{"rows": 3}]}}, "quota.cells.0", "found rows"),
        (
            {"quota": {"cells": [{"label": "joy", "rows": n} for n in (1, 2)]}},
            "quota.cells",
            "there twice",
        ),
        ({"quota": {"per": {"label": ["bliss"]}, "each": 1}}, "quota", "no source draws 'bliss'"),
        ({"quota": {"per": {"mood": ["x"]}, "each": 1}}, "quota", "unknown column 'mood'"),
    ],
)
def test_quotas_that_cannot_be_met_are_refused(
    tmp_path: Path, changes: dict[str, Any], key: str, problem: str
) -> None:
    with pytest.raises(UsageError, match=problem) as raised:
        loaded_job(tmp_path, **quota_job(**changes))
    assert raised.value.key == key


def test_combinations_that_conditions_forbid_are_no_cells() -> None:
    columns = {
        "country": ["France", "Japan"],
        "city": {"given": {"country": {"France": ["Paris", "Lyon"], "Japan": ["Tokyo"]}}},
        "rank": [1, 2],
    }
    where = ["city != 'Lyon' or rank == 2"]
    source = SOURCES.build({"kind": "attributes", "columns": columns, "where": where})
    wanted = Quota(per=("city", "rank"), each=1).wanted([source], None)
    assert list(wanted) == [
        ('"Paris"', "1"), ('"Paris"', "2"), ('"Lyon"', "2"), ('"Tokyo"', "1"), ('"Tokyo"', "2"),
    ]  # fmt: skip


@pytest.mark.parametrize("total", range(8, 40))
def test_shares_of_a_total_are_exact(total: int) -> None:
    weights = {("a", "n"): 3, ("a", "s"): 3, ("b", "n"): 1, ("b", "s"): 1}
    shares = apportioned(total, weights)
    assert sum(shares.values()) == total
    assert all(abs(shares[cell] - total * weight / 8) < 1 for cell, weight in weights.items())
